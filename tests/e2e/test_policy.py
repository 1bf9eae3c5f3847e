"""An environment's policy: what is flagged in a change is refused, or a person is asked; on dummy sandboxes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import zipped
from tests.support.distributed import eventually
from tests.support.shop import diff_of, open_shop
from tests.support.users import User

pytestmark = pytest.mark.asyncio(loop_scope="module")
WORKFLOW = ".github/workflows/ci.yml"
PATCH = (
    f"diff --git a/{WORKFLOW} b/{WORKFLOW}\nnew file mode 100644\n--- /dev/null\n"
    f"+++ b/{WORKFLOW}\n@@ -0,0 +1 @@\n+on: push\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def user(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[User]:
    folder = tmp_path_factory.mktemp("policy") / "data"
    async with open_shop(folder, sandbox="dummy", relay_seconds=0.1) as (_, made):
        yield made


async def submitted(user: User, policy: dict[str, str], **more: Any) -> str:
    body = {
        "prompt": "Do it",
        "engine": "command",
        "command": "true",
        "environment": {"variables": {"DUMMY_PATCH": PATCH}, "policy": policy},
    }
    return await user.submit(body | more, archive=zipped({"README.md": "one\n"}))


async def asked(user: User, task_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        task = await user.get(f"/tasks/{task_id}")
        return task if task["status"] == "suspended" else None

    task = await eventually(look, seconds=60, what=f"{task_id} waits")
    (question,) = task["questions"]
    assert isinstance(question, dict)
    return question


async def answered(user: User, task_id: str, text: str) -> dict[str, Any]:
    question = await asked(user, task_id)
    assert WORKFLOW in question["text"]
    assert (question["options"], question["default"]) == (["yes", "no"], "no")
    body = {"question": question["id"], "answer": text}
    answer = await user.client.post(f"/api/v1/tasks/{task_id}/answers", json=body)
    assert answer.is_success, answer.text
    return await user.finished(task_id, seconds=60)


async def test_what_is_refused_ends_the_task_with_evidence(user: User) -> None:
    task = await user.finished(await submitted(user, {"ci_file": "refuse"}), seconds=60)
    assert (task["status"], task["end_reason"]["code"]) == ("failed", "policy_refused")
    assert task["verdict"] == "unverified"
    evidence = task["checks"]["evidence"]
    assert f"refuses this: what CI runs was changed ({WORKFLOW})" in evidence["sentences"][-1]
    assert "on: push" in await diff_of(user, task["id"])


async def test_a_person_lets_it_through_and_nothing_is_done_again(user: User) -> None:
    task_id = await submitted(user, {"ci_file": "ask"}, clarify="never")
    task = await answered(user, task_id, "yes")
    assert (task["status"], task["end_reason"]["code"]) == ("succeeded", "finished")
    assert task["checks"]["evidence"]["sentences"][-1].endswith("A person let it through.")
    assert "on: push" in await diff_of(user, task_id)
    attempts = await user.get(f"/tasks/{task_id}/attempts")
    roles = [each["role"] for each in attempts["items"][0]["sandboxes"]]
    assert roles.count("agent") == 1


async def test_whatever_is_not_yes_lets_nothing_through(user: User) -> None:
    refused = await answered(user, await submitted(user, {"ci_file": "ask"}), "no, not this")
    assert refused["end_reason"]["code"] == "policy_refused"


async def test_other_flags_and_no_policy_are_only_shown(user: User) -> None:
    for policy in ({}, {"ci_file": "flag", "secret": "refuse"}):
        task = await user.finished(await submitted(user, policy), seconds=60)
        assert task["status"] == "succeeded"
        assert [flag["kind"] for flag in task["checks"]["evidence"]["flags"]] == ["ci_file"]


async def test_a_policy_names_flags_and_what_is_done(user: User) -> None:
    for policy in ({"colour": "ask"}, {"secret": "perhaps"}):
        body = {"name": "x", "policy": policy}
        answer = await user.client.post("/api/v1/environments", json=body)
        assert answer.status_code == 422, answer.text
