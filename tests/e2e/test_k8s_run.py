"""`codexsys k8s-run` on a real cluster, as a user meets it: its output, its exit code, and what is left."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from tests.contract.servers import IMAGE, must_have
from tests.support import cluster
from tests.support.cluster import kubectl
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.k8s_runs import Team, a_team, ended, someone, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(180)]

CLEAR_SECONDS, CUT_SECONDS = 1.0, 0.3
"""How long the weather stays as it is, again and again."""
HANG = "trap 'exit 1' TERM; sleep 600 & wait"


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with a_team() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(team: Team) -> Iterator[None]:
    yield
    until(lambda: not team.left())


@pytest.fixture
def image() -> str:
    return must_have(IMAGE)


def test_output_and_exit_codes_are_the_commands(team: Team, image: str) -> None:
    code, out, _ = team.run(image, "--", "sh", "-c", "echo one; echo '$(HOME)'; printf two")
    assert (code, out) == (0, "one\n$(HOME)\ntwo")
    code, out, said = team.run(image, "-e", "A=b c", "--", "sh", "-c", 'echo "$A" >&2; exit 7')
    assert (code, out) == (7, "b c\n")
    assert team.name in said


def test_it_has_what_was_asked_for_and_nothing_of_the_cluster(
    team: Team, image: str, tmp_path: Path
) -> None:
    (tmp_path / "env").write_text("# ours\nFILE=1\n")
    script = "id -u; pwd; env | sort; touch x; ls /var/run/secrets; grep Cap.nd /proc/self/status"
    words = ["--user", "1000", "--workspace-mount", "/data", "--env-file", str(tmp_path / "env")]
    code, out, _ = team.run(image, *words, "--entrypoint", "sh", "--", "-c", script)
    lines = out.splitlines()
    assert (lines[:2], code) == (["1000", "/data"], 0)
    assert "FILE=1" in lines
    assert "serviceaccount" not in out
    assert "CapBnd:\t0000000000000000" in lines


def test_lines_come_while_it_runs(team: Team, image: str) -> None:
    run = team.begin(image, "--", "sh", "-c", f"echo first; {HANG}")
    assert run.stdout is not None
    assert run.stdout.readline() == b"first\n"
    run.send_signal(signal.SIGINT)
    code, _, _ = ended(run)
    assert code == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_whoever_ends_it_before_it_starts_leaves_nothing(
    team: Team, number: int, code: int
) -> None:
    run = team.begin("nowhere.invalid/x:1")
    until(lambda: any(each.startswith("pod/") for each in team.left()))
    run.send_signal(number)
    assert ended(run)[0] == code


def test_kept_it_says_how_to_delete_it(team: Team, image: str) -> None:
    code, out, said = team.run(
        image, "--keep", "--name", "kept", "--", "sh", "-c", "echo x; exit 3"
    )
    assert (code, out) == (3, "x\n")
    (command,) = [
        line.split("kubectl ")[1] for line in said.splitlines() if "kubectl delete" in line
    ]
    assert "job.batch/kept" in team.left()
    code, _, again = team.run(image, "--name", "kept", "--", "true")
    assert (code, "another --name" in again) == (125, True)
    assert "job.batch/kept" in team.left()  # somebody else's is not cleared away
    kubectl(*command.split())


def test_a_folder_goes_in_and_its_changes_come_back(team: Team, image: str, tmp_path: Path) -> None:
    (tmp_path / "work/deep").mkdir(parents=True)
    (tmp_path / "work/deep/a").write_text("one\n")
    (tmp_path / "work/gone").write_text("x")
    (tmp_path / "work/big").write_bytes(os.urandom(3 << 20))
    script = (
        "cat deep/a; echo two >> deep/a; rm gone; mkdir new; echo three > new/b; ln -s /etc/passwd out;"
        "mkdir -p .git/hooks; echo x > .git/hooks/pre-commit; exit 7"
    )
    code, out, said = team.run(image, "--sync", str(tmp_path / "work"), "--", "sh", "-c", script)
    assert (code, out) == (7, "one\n"), said
    work = tmp_path / "work"
    assert (work / "deep/a").read_text() == "one\ntwo\n"
    assert (work / "new/b").read_text() == "three\n"
    assert sorted(path.name for path in work.iterdir()) == ["big", "deep", "new"]
    assert "2 written, 1 removed" in said
    assert "out: is a link to '/etc/passwd'" in said
    assert ".git" in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.invalid/x:1"], 125, "nowhere.invalid/x:1"),
        (["Not An Image"], 125, "image"),
        (["{image}", "--", "not-there"], 127, "not-there"),
        (["{image}", "--", "/etc/hostname"], 126, "/etc/hostname"),
        (["{image}", "--timeout", "2s", "--", "sh", "-c", HANG], 124, "--timeout"),
        (["{image}", "--request-cpu", "500", "--start-timeout", "2s"], 125, "Insufficient cpu"),
        (["{image}", "--limit-memory", "32Mi", "--", "tail", "/dev/zero"], 137, "memory"),
        (["{image}", "--service-account", "nobody"], 125, 'serviceaccount "nobody" not found'),
        (["{image}", "--request-cpu", "2", "--limit-cpu", "1"], 125, "less than or equal"),
        (["{image}", "--context", "none", "--", "true"], 2, "--context"),
        (["codexsys/pause:test", "--sync", "/usr/share/keyrings"], 125, "--sync needs sh"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_what_goes_wrong_is_said(
    team: Team, image: str, words: Sequence[str], code: int, said: str
) -> None:
    found, out, told = team.run(*(each.replace("{image}", image) for each in words))
    assert (found, out) == (code, ""), told
    assert said in told
    assert "Traceback" not in told


def test_a_quota_that_is_full_is_said_in_the_clusters_words(team: Team, image: str) -> None:
    team.apply("ResourceQuota", "small", spec={"hard": {"pods": "0"}})
    try:
        code, _, said = team.run(image, "--", "true")
    finally:
        kubectl("-n", team.name, "delete", "resourcequota", "small")
    assert (code, "exceeded quota: small" in said) == (125, True), said


def test_a_namespace_that_is_not_ones_own_is_said(team: Team, image: str, tmp_path: Path) -> None:
    """A user who may do all that is needed in one namespace, and nothing in another."""
    user = someone(team, tmp_path)
    assert user.run(image, "--", "sh", "-c", "exit 7")[0] == 7
    user.name = "kube-system"
    code, _, said = user.run(image, "--", "true")
    assert code == 125
    assert "The cluster does not let you: " in said
    assert '"kube-system"' in said
    user.name = "not-there-at-all"
    assert user.run(image, "--", "true")[0] == 125


def test_a_job_deleted_by_somebody_else_is_said(team: Team, image: str) -> None:
    run = team.begin(image, "--name", "theirs", "--", "sh", "-c", f"echo first; {HANG}")
    assert run.stdout is not None
    assert run.stdout.readline() == b"first\n"
    kubectl("-n", team.name, "delete", "job", "theirs")
    code, _, said = ended(run)
    assert (code, "deleted by somebody else" in said) == (125, True), said


def test_nobody_is_here_any_more_and_the_cluster_ends_it(team: Team, image: str) -> None:
    run = team.begin(image, "--lost-after", "5s", "--", "sh", "-c", f"echo first; {HANG}")
    assert run.stdout is not None
    assert run.stdout.readline() == b"first\n"
    time.sleep(6)  # a lease that is renewed does not end
    assert any(each.startswith("pod/") for each in team.left())
    run.kill()
    ended(run)


@contextlib.asynccontextmanager
async def through(team: Team, folder: Path) -> AsyncIterator[tuple[Team, FaultProxy]]:
    """Yield the team with a way to the cluster that can be broken."""
    host, port = cluster.server()
    async with FaultProxy(host, port) as proxy:
        made = Team(team.name)
        made.home = cluster.through_port(proxy.port, folder)
        yield made, proxy


async def test_a_log_is_whole_although_its_connections_break(
    team: Team, image: str, tmp_path: Path
) -> None:
    lines = "".join(f"line {number}\n" for number in range(1, 121))
    count = "for n in $(seq 1 120); do echo line $n; sleep 0.1; done; exit 7"
    async with through(team, tmp_path) as (own, proxy):
        run = own.begin(image, "--", "sh", "-c", count)
        end = asyncio.create_task(asyncio.to_thread(ended, run))
        while not end.done():
            await asyncio.sleep(CLEAR_SECONDS)
            proxy.turn(Weather.RESET)
            await asyncio.sleep(CLEAR_SECONDS)
            proxy.turn(Weather.CUT)
            await asyncio.sleep(CUT_SECONDS)
            proxy.turn(Weather.CLEAR)
        code, out, said = await end
    assert (code, out) == (7, lines), said
    assert proxy.opened > 10


async def test_a_cluster_that_stays_away_is_given_up_and_ends_it_by_itself(
    team: Team, image: str, tmp_path: Path
) -> None:
    async with through(team, tmp_path) as (own, proxy):
        run = own.begin(image, "--lost-after", "8s", "--", "sh", "-c", f"echo first; {HANG}")
        assert run.stdout is not None
        assert await asyncio.to_thread(run.stdout.readline) == b"first\n"
        proxy.turn(Weather.CUT)
        code, _, said = await asyncio.to_thread(ended, run)
    assert code == 125
    assert "The cluster did not answer for 8 s" in said
    assert f"kubectl delete -n {team.name} job/run-" in said
