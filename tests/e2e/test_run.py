"""`codexsys run`: a task in the foreground, by flags, by variables and by JSON."""

import asyncio
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.foreground import LOCAL, SNOOP, Bench, command_lines
from tests.support.git_http import GitHttpServer, git, make_repository
from tests.support.model_server import ModelServer
from tests.support.place import FINISH, bash
from tests.support.receiver import Receiver
from tests.support.wheels import SETUP

from codexsys_cli.demo.run import make_repository as make_inventory

MODEL_KEY, TOKEN, SIGNING = "sk-model-key-7f3a", "glpat-private-word", "whk-shared-secret"
LARGE = 64 << 20  # images of disks, as large as those
SECRETS = (MODEL_KEY, TOKEN, SIGNING)
MEND = "sed -i 's/return sum(item.price for/return sum(item.price * item.quantity for/' inventory/stock.py"


@pytest.fixture
def bench(tmp_path: Path, wheels: Path) -> Bench:
    return Bench(tmp_path, wheels)


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHttpServer]:
    root = tmp_path_factory.mktemp("private")
    make_repository(root / "shop", {"README.md": "one\n"})
    with GitHttpServer(root, user="ada", password=TOKEN) as server:
        yield server


async def test_a_folder_is_mended_verified_and_the_change_applies(
    bench: Bench, tmp_path: Path
) -> None:
    code, script = tmp_path / "inventory", tmp_path / "mend.sh"
    make_inventory(code)
    script.write_text(MEND)
    (tmp_path / "setup.sh").write_text(SETUP)
    checks = ["--checks", "python3 -m pytest -q", "--setup", "setup.sh", "--require-verified"]
    words = ["--source", "inventory", "--command", "mend.sh", "--git-email", "ada@example.org"]
    said = await bench.run(*words, *checks, "--task-id", "job 17", "Fix the total — 修复")
    assert said.code == 0, said.err
    result = said.result
    assert (result["task_id"], result["status"], result["verdict"]) == (
        "job 17",
        "succeeded",
        "verified",
    )
    assert (result["exit_code"], result["isolated"], result["diff"]["files"]) == (0, True, 1)
    out = Path(result["out"])
    assert json.loads((out / "result.json").read_text()) == result
    assert {file["name"] for file in result["files"]} >= {"diff.patch", "report.md", "verify.log"}
    assert "running: testing" in said.err
    git(code, "apply", "--check", str(out / "diff.patch"))
    git(code, "am", "--quiet", str(out / "commit.patch"))
    assert git(code, "log", "-1", "--format=%ae %s") == "ada@example.org Fix the total — 修复"
    assert git(code, "show", "--stat", "--format=") != ""
    assert bench.left() == []


async def test_a_private_repository_by_variables_and_nothing_secret_is_seen(
    bench: Bench, private: GitHttpServer, tmp_path: Path
) -> None:
    with ModelServer() as models, Receiver(500, 0) as receiver:
        models.scripts["small"] = [bash(SNOOP), bash("echo two >> README.md"), FINISH]
        variables = {
            "REPO_URL": private.url("shop"),
            "TASK_INTENT": "Add a line",
            "TASK_ID": "task_001",
            "OPENAI_API_KEY": MODEL_KEY,
            "OPENAI_BASE_URL": models.url("script"),
            "OPENAI_MODEL": "small",
            "GITLAB_API_TOKEN": TOKEN,
            "GIT_USERNAME": "ada",
            "WEBHOOK_URL": receiver.url,
            "WEBHOOK_SECRET": SIGNING,
            "MAX_ITERATIONS": "1",
            "WORKSPACE_DIR": str(tmp_path / "workspace"),
        }
        process = await bench.start(*LOCAL, "--state", "state", variables=variables)
        running = asyncio.create_task(bench.ended(process))
        shown = set[str]()
        while not running.done():
            shown |= {secret for line in command_lines() for secret in SECRETS if secret in line}
            await asyncio.sleep(0.01)
        said = await running
    assert (said.code, said.result["verdict"]) == (0, "unverified"), said.err
    assert shown == set()
    assert set(models.keys) == {f"Bearer {MODEL_KEY}"}
    assert "emoh/ppa/=EMOH" in json.dumps(models.asked)  # the agent has looked
    places = {
        "stdout": said.out,
        "stderr": said.err,
        "what the model was sent": json.dumps(models.asked),
    }
    for folder in (tmp_path / "workspace", tmp_path / "state"):
        places |= {
            str(path): path.read_bytes().decode(errors="replace")
            for path in folder.rglob("*")
            if path.is_file() and path.stat().st_size < LARGE
        }
    seen = [
        (secret, place)
        for place, text in places.items()
        for secret in SECRETS
        if secret in text or secret[::-1] in text
    ]
    assert seen == []
    assert said.result["patch"] == (tmp_path / "workspace" / "diff.patch").read_text()
    assert "+two" in said.result["patch"]
    told_in_order(receiver, said.result)
    assert bench.left() == []


def told_in_order(receiver: Receiver, result: dict[str, object]) -> None:
    assert all(message.signed_by(SIGNING) for message in receiver.tried)
    states = [message.json() for message in receiver.taken]
    assert {state["task_id"] for state in states} == {"task_001"}
    wanted = ["queued", "running", "cloning", "setup", "analyzing", "coding"]
    assert [state["phase"] or state["status"] for state in states][:5] == wanted[:5]
    progress = [state["progress"] for state in states]
    assert progress == sorted(progress)
    last = states[-1]
    assert (last["status"], last["progress"], last["type"]) == ("succeeded", 100, "task.succeeded")
    later = ("webhook", "patch")
    assert last["data"] == {key: value for key, value in result.items() if key not in later}
    assert result["webhook"] == {"sent": len(states), "lost": 0}


async def test_by_one_json_argument_whose_token_leaves_the_command_line(
    bench: Bench, private: GitHttpServer
) -> None:
    with ModelServer() as models:
        models.scripts["small"] = [bash("echo two >> README.md"), FINISH]
        order = {
            "task_id": "task_002",
            "repo_url": private.url("shop"),
            "intent": "Add a line",
            "checks": "test $(wc -l < README.md) = 1",
            "gitlab_api_token": TOKEN,
            "git_username": "ada",
            "openai_base_url": models.url("script"),
            "openai_model": "small",
            "max_iterations": 1,
        }
        process = await bench.start(*LOCAL, json.dumps(order))
        assert process.stderr is not None
        await process.stderr.readline()  # by now it has begun
        assert not [line for line in command_lines() if TOKEN in line]
        said = await bench.ended(process)
    assert said.code == 3, said.err
    result = said.result
    assert (result["task_id"], result["verdict"]) == ("task_002", "tests_failed")
    assert result["end_reason"]["code"] == "checks_failed"
    assert TOKEN not in said.out + said.err


async def test_who_may_not_read_the_repository_hears_that(
    bench: Bench, private: GitHttpServer, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("wrong\n")
    variables = {"REPO_URL": private.url("shop"), "GITLAB_API_TOKEN_FILE": str(tmp_path / "word")}
    (tmp_path / "it.sh").write_text("true")
    said = await bench.run(*LOCAL, "--command", "it.sh", "Do it", variables=variables)
    assert (said.code, said.result["end_reason"]["code"]) == (4, "source_auth"), said.err
    said = await bench.run("--command", "it.sh", "Do it", variables=variables)
    assert (said.code, said.out) == (2, "")
    assert "url_refused" in said.err


@pytest.mark.parametrize(
    ("signals", "code"), [((signal.SIGTERM,), 143), ((signal.SIGINT, signal.SIGINT), 130)]
)
async def test_a_signal_cancels_and_another_one_ends(
    bench: Bench, tmp_path: Path, signals: tuple[signal.Signals, ...], code: int
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "README.md").write_text("one\n")
    (tmp_path / "it.sh").write_text("echo two >> README.md; while :; do :; done")
    process = await bench.start("--source", "code", "--command", "it.sh", "Do it")
    assert process.stderr is not None
    line = b""
    while b"-- analyzing" not in line:
        line = await asyncio.wait_for(process.stderr.readline(), 60)
        assert line
    for number in signals:
        process.send_signal(number)
    said = await bench.ended(process)
    assert said.code == code, said.err
    if len(signals) == 1:
        assert (said.result["status"], said.result["exit_code"]) == ("cancelled", code)
    assert bench.left() == []


async def test_all_that_is_missing_is_named_at_once_and_nothing_begins(
    bench: Bench, tmp_path: Path
) -> None:
    said = await bench.run(variables={"MAX_ITERATIONS": "many", "WEBHOOK_SECRET": "x"})
    assert (said.code, said.out) == (2, "")
    for name in ("REPO_URL", "TASK_INTENT", "OPENAI_MODEL", "OPENAI_BASE_URL", "WEBHOOK_URL"):
        assert name in said.err
    assert "not many" in said.err
    said = await bench.run(
        "-",
        given='{"intent": "x", "colour": 1, "gitlab_api_token": "a-token", "repo_url": "nowhere"}',
    )
    assert (said.code, said.out) == (2, "")
    assert "colour" in said.err
    assert "nowhere is neither" in said.err
    assert "a-token" not in said.err
    words = ["--source", "https://example.org/a", "--model", "scripted-demo", "--webhook"]
    said = await bench.run(*words, "https://10.1.2.3/hook", "x")
    assert (said.code, "address_denied" in said.err) == (2, True), said.err
    assert not (tmp_path / "codexsys-run").exists()


async def test_what_an_earlier_run_left_is_never_taken_for_this_ones(
    bench: Bench, tmp_path: Path
) -> None:
    out = tmp_path / "codexsys-run"
    out.mkdir()
    (out / "diff.patch").write_text("an old change")
    (out / "mine").write_text("mine")
    (out / "result.json").write_text(json.dumps({"files": [{"name": "diff.patch"}]}))
    shutil.copytree(out, tmp_path / "code")
    (tmp_path / "it.sh").write_text("exit 7")
    said = await bench.run("--source", "code", "--command", "it.sh", "Do it")
    assert (said.code, said.result["end_reason"]["code"]) == (3, "command_failed"), said.err
    assert (out / "diff.patch").read_text() == ""
    assert (out / "mine").read_text() == "mine"
