"""Runs as a task's command and searches everything it can read for secrets that the model names.

The names come with their texts reversed, so that nothing but this process holds them as they are.
It prints a line for each place where one was found, and at the end what it has searched.
"""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

DOOR = "http://127.0.0.1:8700"
_CHUNK = 64 << 20
_SKIPPED = ("/proc", "/sys")
_SYSTEM = ("/usr/", "/lib", "/opt/")
_BEFORE = 3600.0  # what the system had an hour ago cannot hold a secret of a test
_ASKED = (
    ("GET", "/v1/control?wait=0", b""),
    ("GET", "/v1/workspace", b""),
    ("GET", "/v1/nowhere", b""),
    ("GET", "/metrics", b""),
    ("POST", "/v1/chat/completions", b"{}"),
    (
        "POST",
        "/v1/chat/completions",
        b'{"model": "x", "messages": [{"role": "tool", "content": 1}]}',
    ),
    ("POST", "/v1/events", b'{"number": 1, "type": "none"}'),
    ("POST", "/v1/logs", b"[]"),
    ("PUT", "/v1/outputs/..%2f..%2fx", b"x"),
    ("PUT", "/v1/checkpoint", b"\xff"),
)


class Search:
    """Counts what was looked at, and remembers what was found."""

    def __init__(self, secrets: dict[str, bytes]) -> None:
        self._secrets = secrets
        self.pieces = 0
        self.bytes = 0
        self.found: set[str] = set()

    def look(self, place: str, data: bytes) -> None:
        """Search one piece of data."""
        self.pieces += 1
        self.bytes += len(data)
        self.found |= {
            f"{name} in {place}" for name, secret in self._secrets.items() if secret in data
        }

    def look_in_file(self, path: str, place: str) -> None:
        """Search a regular file from start to end."""
        with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123
            while data := file.read(_CHUNK):
                self.look(place, data)


def secrets_from_the_model() -> dict[str, bytes]:
    """Ask until the model says what to search for."""
    question = {"stream": True, "messages": [{"role": "user", "content": "What?"}]}
    while True:
        _, answer = ask("POST", "/v1/chat/completions", json.dumps(question).encode())
        text = said(answer)
        if text != "wait":
            told: dict[str, str] = json.loads(text)
            return {name: secret[::-1].encode() for name, secret in told.items()}
        time.sleep(0.3)


def said(stream: bytes) -> str:
    """Return the text of a streamed reply."""
    lines = [
        line.removeprefix("data: ") for line in stream.decode().split("\n") if "data: {" in line
    ]
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def ask(method: str, path: str, body: bytes) -> tuple[str, bytes]:
    """Return headers and body of what the door answers, whatever its status."""
    request = urllib.request.Request(
        DOOR + path, body or None, {"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return str(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return str(error.headers), error.read()


def look_at_files(search: Search) -> None:
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in _SKIPPED]  # noqa: PTH118
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            if os.path.isfile(path) and not os.path.islink(path) and not _old(path):  # noqa: PTH113, PTH114
                search.look_in_file(
                    path, "a file of the workspace" if path.startswith("/app/code") else path
                )


def _old(path: str) -> bool:
    return path.startswith(_SYSTEM) and os.stat(path).st_ctime < time.time() - _BEFORE  # noqa: PTH116


def look_at_processes(search: Search) -> None:
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):  # noqa: PTH208
        for name in ("environ", "cmdline", "maps", "mountinfo", "cgroup", "status", "net/unix"):
            search.look_in_file(f"/proc/{pid}/{name}", name)
        if int(pid) != os.getpid():
            for data in memory(pid):
                search.look("memory of another process", data)


def memory(pid: str) -> Iterator[bytes]:
    """Yield what may be read of a process's memory."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
        file = open(f"/proc/{pid}/mem", "rb", buffering=0)  # noqa: PTH123, SIM115
    except OSError:
        return
    with file:
        for line in maps.splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if match and not line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                start, end = (int(text, 16) for text in match.groups())
                with contextlib.suppress(OSError):
                    file.seek(start)
                    yield file.read(min(end - start, _CHUNK))


def look_at_git(search: Search) -> None:
    for command in (
        ["config", "--list", "--show-origin"],
        ["-C", "/app/base.git", "config", "--list"],
        ["-C", "/app/base.git", "log", "--all", "-p"],
        ["remote", "-v"],
        ["stash", "list"],
    ):
        done = subprocess.run(["git", *command], capture_output=True, check=False)
        search.look("git", done.stdout + done.stderr)


def look_through_the_door(search: Search) -> None:
    for method, path, body in _ASKED:
        headers, answer = ask(method, path, body)
        search.look("headers of the door", headers.encode())
        search.look("answers of the door", answer)


def main() -> None:
    search = Search(secrets_from_the_model())
    for look in (look_at_processes, look_at_files, look_at_git, look_through_the_door):
        look(search)
    for line in sorted(search.found):
        print("FOUND", line)
    print(f"SEARCHED {search.pieces} {search.bytes}")


if __name__ == "__main__":
    main()
