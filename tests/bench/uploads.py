"""How long a zip takes into the object store, against minio-py's put of the same file, and what the API holds of it."""

import asyncio
import random
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Event, Thread
from urllib.parse import urlsplit

from minio import Minio
from pydantic import BaseModel
from tests.bench.place import Place
from tests.bench.processes import Server, our_api

from codexsys_client import ApiError, Client
from codexsys_core.artifact import CODE_BUCKET

ZIP_BYTES = 100 << 20
FILES = 40
PARALLEL = 16
TRIES = 30
ROUNDS = 5
"""For each round of the others: a round is short, and two short times make an unsteady ratio."""
LEAST_RATIO = 0.8
MOST_GROWTH_MIB = 64
NEVER = 1 << 60
WAYS = ("minio-py", "direct", "direct, with its task", "through the API, with its task")
JUDGED = ("direct", "through the API, with its task")
WISH = {"prompt": "Wait.", "mode": "explain"}


class Uploads(BaseModel):
    """Seconds of each way in each round, and how much the API's process grew, in MiB."""

    mib: float
    seconds: dict[str, list[float]]
    growth: dict[str, float]
    parallel_seconds: dict[str, float]
    refused: dict[str, int]
    """Answers of 503 meanwhile; what was refused was sent again."""

    def ratios(self, way: str) -> list[float]:
        """Return how fast it is as a part of minio-py's put in each round, the slowest first."""
        pairs = zip(self.seconds["minio-py"], self.seconds[way], strict=True)
        return sorted(theirs / ours for theirs, ours in pairs)

    def ratio(self, way: str) -> float:
        """Return how fast it is as a part of minio-py's put: the median of the rounds."""
        return median(self.ratios(way))

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        slow = [
            f"a zip {way} is {self.ratio(way):.2f} of minio-py's put, not {LEAST_RATIO}"
            for way in JUDGED
            if self.ratio(way) < LEAST_RATIO
        ]
        large = [
            f"{PARALLEL} zips {way} take {grown:.0f} MiB of the API, not {MOST_GROWTH_MIB}"
            for way, grown in self.growth.items()
            if grown > MOST_GROWTH_MIB
        ]
        return slow + large

    def text(self) -> str:
        """Return the figures as Markdown."""
        rows = [
            f"| {way} | {median(self.seconds[way]):.2f} | {min(self.seconds[way]):.2f} "
            f"| {self.mib / median(self.seconds[way]):.0f} | {self.ratio(way):.2f} | {_middle(self.ratios(way))} |"
            for way in WAYS
        ]
        grown = [
            f"- {way}: {self.growth[way]:.0f} MiB at most (wanted: {MOST_GROWTH_MIB}), all done after "
            f"{self.parallel_seconds[way]:.1f} s, with {self.refused[way]} answers of 503."
            for way in self.growth
        ]
        return "\n".join(
            [
                "## Zips into the object store",
                "",
                f"One zip of {self.mib:.0f} MiB, {len(self.seconds[WAYS[0]])} rounds of all ways in turn, each round begun by another.",
                "`direct`: a form is asked for, and filled; `with its task`: until the 202, so the zip was copied, hashed and",
                "looked through, which a put alone is not. A way is held against the put of its own round.",
                "",
                "| way | s, median | s, least | MiB/s, median | of minio-py, median | half of the rounds |",
                "|---|---|---|---|---|---|",
                *rows,
                "",
                f"Growth of the API's process while {PARALLEL} such zips come in at the same time:",
                "",
                *grown,
                "",
            ]
        )


async def measure_uploads(place: Place, key: str, rounds: int) -> Uploads:
    """Measure each way alone, then many at once."""
    file = place.folder / "code.zip"
    await asyncio.to_thread(make_zip, file)
    async with our_api(place, pinned=False) as server:
        return await asyncio.to_thread(_measured, place, key, file, server, ROUNDS * rounds)


def make_zip(file: Path) -> None:
    """Write a zip of files that nothing makes smaller."""
    content = random.Random(1)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(FILES):
            archive.writestr(f"data/{number}.bin", content.randbytes(ZIP_BYTES // FILES))


def _measured(place: Place, key: str, file: Path, server: Server, rounds: int) -> Uploads:
    with Client(f"http://127.0.0.1:{server.port}", key, timeout_seconds=300) as client:
        ways = _ways(place, client, file)
        for act in ways.values():
            act()
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(rounds):
            first = number % len(WAYS)
            for way in WAYS[first:] + WAYS[:first]:
                seconds[way].append(_timed(ways[way]))
        growth: dict[str, float] = {}
        together: dict[str, float] = {}
        refused: dict[str, int] = {}
        for way in WAYS[2:]:
            with _watched(server.pid) as grown:
                began = time.perf_counter()
                refused[way] = _at_once(ways[way])
                together[way] = time.perf_counter() - began
            growth[way] = max(grown)
    return Uploads(
        mib=file.stat().st_size / (1 << 20),
        seconds=seconds,
        growth=growth,
        parallel_seconds=together,
        refused=refused,
    )


def _middle(ratios: list[float]) -> str:
    """Return between what the middle half of the rounds is."""
    quarter = len(ratios) // 4
    return f"{ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f}"


def _ways(place: Place, client: Client, file: Path) -> dict[str, Callable[[], object]]:
    host = urlsplit(place.s3_url).netloc
    store = Minio(host, access_key=place.s3_key, secret_key=place.s3_secret, secure=False)
    bucket = CODE_BUCKET + place.suffix

    def put() -> None:
        if not store.bucket_exists(bucket):
            store.make_bucket(bucket)
        store.fput_object(bucket, f"plain/{time.monotonic_ns()}", str(file))

    acts: Sequence[Callable[[], object]] = (
        put,
        lambda: client.upload(file),
        lambda: client.submit(WISH, file=file, direct_bytes=0),
        lambda: client.submit(WISH, file=file, direct_bytes=NEVER),
    )
    return dict(zip(WAYS, acts, strict=True))


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _at_once(act: Callable[[], object]) -> int:
    failures: list[BaseException] = []
    refused: list[float] = []

    def work() -> None:
        try:
            _in_time(act, refused)
        except Exception as error:
            failures.append(error)

    threads = [Thread(target=work) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"{len(failures)} of {PARALLEL} uploads failed: {failures[0]}")
    return len(refused)


def _in_time(act: Callable[[], object], refused: list[float]) -> None:
    """Try again after a 503, as its Retry-After says; note each."""
    for _ in range(TRIES):
        try:
            act()
        except ApiError as error:
            if error.status != 503:
                raise
            refused.append(time.monotonic())
            time.sleep(2)
        else:
            return
    raise SystemExit("the store is away for too long")


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """Note how much larger than now a process is, again and again."""
    before, grown, over = _mib(pid), [0.0], Event()

    def look() -> None:
        while not over.wait(0.02):
            grown.append(_mib(pid) - before)

    watcher = Thread(target=look)
    watcher.start()
    try:
        yield grown
    finally:
        over.set()
        watcher.join()


def _mib(pid: int) -> float:
    """Return what a process has of its own in memory: files that it maps are the kernel's to drop."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    anonymous = next(line for line in lines if line.startswith("RssAnon:"))
    return int(anonymous.split()[1]) / 1024
