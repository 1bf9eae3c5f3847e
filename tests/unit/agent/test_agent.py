"""The real loop against a scripted model over real HTTP."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_door import Fault, Say, ScriptedDoor, scripted_door
from tests.unit.agent.conftest import Sandbox, Worker

from codexsys_agent.stop import Stop

EDIT = Say("It subtracts.", (("edit", {"path": "calc.py", "old": "a - b", "new": "a + b"}),))
FINISH = Say("", (("finish", {"status": "done", "summary": "add() adds", "criteria": ["AC-1"]}),))
LIST = Say("", (("bash", {"command": "echo hello"}),))


def tool_outputs(door: ScriptedDoor) -> list[str]:
    return [m["content"] for m in door.asked[-1]["messages"] if m["role"] == "tool"]


def test_a_change_is_made_checkpointed_and_told(sandbox: Sandbox, run_agent: Worker) -> None:
    with scripted_door(EDIT, FINISH) as door:
        assert run_agent(door.url) == 0
    assert sandbox.result()["summary"] == "add() adds"
    assert b"+    return a + b" in door.patch()
    assert sandbox.applies(door.patch())
    assert [e["type"] for e in door.events] == [
        *("agent.step", "agent.tool") * 3, "agent.finished",
    ]  # fmt: skip
    assert [e["number"] for e in door.events] == [1, 2, 3, 4, 5, 6, 7]


def test_the_prompt_is_in_order_and_streamed(run_agent: Worker) -> None:
    wanted = {"functional": ["adds"], "acceptance": ["1+2=3"], "affected_files": ["calc.py"]}
    with scripted_door(FINISH) as door:
        run_agent(door.url, requirements=wanted, checks={"command": "pytest -q"}, notes=["before"])
    asked = door.asked[0]
    text = asked["messages"][1]["content"]
    marks = ["Keep it small", "root: ", "pytest -q", "> add() must add", "FR-1: adds",
             "AC-1: 1+2=3", "return a - b", "Mode: modify", "before"]  # fmt: skip
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert asked["stream"] is True
    assert [t["function"]["name"] for t in asked["tools"]] == [
        "bash", "read", "edit", "write", "plan", "finish",
    ]  # fmt: skip


def test_an_explanation_has_no_changing_tools_and_leaves_an_answer(
    sandbox: Sandbox, run_agent: Worker
) -> None:
    with scripted_door(EDIT, FINISH) as door:
        assert run_agent(door.url, mode="explain") == 0
    assert tool_outputs(door)[0].startswith("error: there is no tool 'edit'")
    assert (sandbox.root / "output/answer.md").read_text() == "add() adds\n"
    assert door.patch() == b""


def test_the_trajectory_is_atif(sandbox: Sandbox, run_agent: Worker) -> None:
    with scripted_door(EDIT, FINISH) as door:
        run_agent(door.url)
    record = json.loads((sandbox.root / "output/trajectory.json").read_text())
    assert record["schema_version"] == "ATIF-v1.4"
    assert [s["source"] for s in record["steps"]] == ["system", "user", *["agent"] * 3]
    assert record["steps"][2]["observation"]["results"][0]["content"].startswith("ok")
    assert record["final_metrics"]["total_prompt_tokens"] == 300


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Say("", (("finish", {"status": "blocked", "summary": "cannot"}),)), 2),
        (Say("thinking"), 4),
        (LIST, 4),
        (Say("", (("no_such_tool", {}),)), 4),
        (Fault(401, "budget_exhausted"), 5),
        (Fault(401, "task_cancelled"), 143),
        (Fault(403), 5),
        (Fault(404), 6),
        (Fault(500), 6),
        (Fault(429, retry_after=0), 6),
        (Fault(503), 6),
        (Fault(400, "context_length_exceeded"), 7),
        (Fault(400, "not_allowed"), 6),
        (Say("half", broken_off=True), 6),
    ],
)
def test_every_end_has_its_exit_code(
    sandbox: Sandbox, run_agent: Worker, step: Any, code: int
) -> None:
    with scripted_door(step) as door:
        assert run_agent(door.url) == code
    assert sandbox.result()["exit"] == code
    assert door.checkpoints


def test_limits_end_the_run(run_agent: Worker) -> None:
    with scripted_door(LIST) as door:
        assert run_agent(door.url, limits={"steps": 3}) == 3
        assert len(door.asked) == 3
        assert run_agent(door.url, limits={"tokens": 150}) == 3


def test_the_wall_ends_a_silent_model(run_agent: Worker) -> None:
    with scripted_door(Fault(0)) as door:
        assert run_agent(door.url, limits={"wall_seconds": 0.3}) == 3


def test_a_silent_model_is_asked_again(run_agent: Worker) -> None:
    with scripted_door(Fault(0), FINISH) as door:
        assert run_agent(door.url, idle=0.2) == 0


def test_a_model_recovers_from_short_faults(run_agent: Worker) -> None:
    faults = (Fault(503, retry_after=0), Fault(500), Say("x" * 50, broken_off=True))
    with scripted_door(*faults, Say("", (("bash", '{"command": "ec'),)), EDIT, FINISH) as door:
        assert run_agent(door.url) == 0
    assert tool_outputs(door)[0].startswith("error: the arguments are not JSON")


def test_nothing_at_the_door_is_its_own_exit(run_agent: Worker) -> None:
    with scripted_door(FINISH) as door:
        url = door.url
    assert run_agent(url) == 10


def test_most_of_the_steps_gone_is_said_once(run_agent: Worker) -> None:
    with scripted_door(
        lambda body: Say("", (("bash", {"command": f"echo {len(body['messages'])}"}),))
    ) as door:
        run_agent(door.url, limits={"steps": 10})
    said = [m["content"] for m in door.asked[-1]["messages"] if "steps, " in m["content"]]
    assert len(said) == 1
    assert said[0].startswith("[platform] 2 steps")


def test_a_cancel_interrupts_a_running_command(run_agent: Worker, tmp_path: Path) -> None:
    running = tmp_path / "running"
    os.mkfifo(running)
    with scripted_door(Say("", (("bash", {"command": f"echo > {running}; sleep 60"}),))) as door:

        def cancel() -> None:
            running.read_text()
            door.tell("cancel")

        threading.Thread(target=cancel, daemon=True).start()
        started = time.monotonic()
        assert run_agent(door.url) == 143
        assert time.monotonic() - started < 20


def silent_after(happens: Callable[[], object]) -> Callable[[dict[str, Any]], Fault]:
    """A model that never answers; something happens as soon as it is asked."""

    def step(_: dict[str, Any]) -> Fault:
        happens()
        return Fault(0)

    return step


def test_a_dead_token_interrupts_a_silent_model(run_agent: Worker) -> None:
    with scripted_door(silent_after(lambda: door.refuse_control())) as door:  # noqa: PLW0108 - soon
        assert run_agent(door.url) == 143


def test_a_request_to_stop_ends_with_a_checkpoint(run_agent: Worker) -> None:
    stop = Stop()
    with scripted_door(EDIT, silent_after(lambda: stop.request("signal"))) as door:
        assert run_agent(door.url, stop) == 143
    assert b"+    return a + b" in door.patch()


def test_a_note_reaches_the_model(run_agent: Worker) -> None:
    with scripted_door(Say("", (("bash", {"command": "sleep 0.3"}),)), LIST, FINISH) as door:
        door.tell("note", text="use tabs")
        assert run_agent(door.url) == 0
    assert any("use tabs" in m["content"] for m in door.asked[-1]["messages"])


def test_a_message_is_heard_once_and_told_to_be_heard(run_agent: Worker) -> None:
    def taken(number: int) -> Callable[[dict[str, Any]], Say]:
        def wait(_: dict[str, Any]) -> Say:
            door.wait_taken(number)
            return LIST

        return wait

    with scripted_door(taken(1), LIST, LIST) as door:
        door.tell("message", message="msg_1", text="use tabs")
        assert run_agent(door.url, limits={"steps": 3}) == 3
        first = door
    state = first.checkpoints[-1]["state"]
    assert state["heard"] == ["msg_1"]
    with scripted_door(taken(2), LIST, FINISH) as door:
        door.tell("message", message="msg_1", text="use tabs")
        door.tell("message", message="msg_2", text="and no spaces")
        assert run_agent(door.url, resume=state) == 0
    for found, ids in ((first, ["msg_1"]), (door, ["msg_2"])):
        told = [each["data"] for each in found.events if each["type"] == "agent.message"]
        assert told == [{"message": each} for each in ids]
    said = [str(m["content"]) for m in door.asked[-1]["messages"]]
    assert sum("use tabs" in each for each in said) == 1
    assert sum("and no spaces" in each for each in said) == 1


def test_a_message_that_comes_with_the_end_is_thought_about(run_agent: Worker) -> None:
    def ends_late(_: dict[str, Any]) -> Say:
        door.tell("message", message="msg_1", text="one more thing")
        door.wait_taken(1)
        return FINISH

    with scripted_door(ends_late, FINISH) as door:
        assert run_agent(door.url) == 0
    assert len(door.asked) == 2
    assert "one more thing" in door.asked[1]["messages"][-1]["content"]


def test_a_resume_goes_on_from_the_state(sandbox: Sandbox, run_agent: Worker) -> None:
    (sandbox.code / "made.by.setup").write_text("setup\n")
    with scripted_door(EDIT, LIST) as door:
        assert run_agent(door.url, limits={"steps": 2}) == 3
    state = door.checkpoints[-1]["state"]
    assert state["changed"] == ["calc.py"]
    assert b"made.by.setup" not in door.patch()
    with scripted_door(FINISH) as door:
        assert run_agent(door.url, resume=state, notes=["tests failed: x"]) == 0
    assert door.asked[0]["messages"][: len(state["messages"])] == state["messages"]
    assert "tests failed: x" in door.asked[0]["messages"][-1]["content"]
    assert sandbox.result()["steps"] == 4
    assert b"+    return a + b" in door.patch()
    assert b"made.by.setup" not in door.patch()


def test_a_command_changes_the_tree_without_a_model(sandbox: Sandbox, run_agent: Worker) -> None:
    with scripted_door(FINISH) as door:
        assert run_agent(door.url, engine="command", command="sed -i 's/-/+/' calc.py") == 0
        assert not door.asked
        assert b"return a + b" in door.patch()
        assert run_agent(door.url, engine="command", command="exit 3") == 8
        limits = {"wall_seconds": 0.3}
        assert run_agent(door.url, engine="command", command="sleep 9", limits=limits) == 3


def test_a_brief_that_is_wrong_names_the_field(
    run_agent: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_agent("http://127.0.0.1:1", mode="destroy") == 1
    assert "mode: one of modify, explain" in capsys.readouterr().out
    assert run_agent("http://127.0.0.1:1", engine="command") == 1
    assert run_agent("http://127.0.0.1:1", limits={"steps": "many"}) == 1
    assert "limits.steps: a number" in capsys.readouterr().out
