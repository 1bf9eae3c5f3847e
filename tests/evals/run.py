"""Runs evals through a platform: submits, waits, and tries what came of it with what no agent saw."""

import asyncio
import io
import json
import re
import time
import zipfile
from dataclasses import dataclass
from typing import Any

from tests.evals.case import Case
from tests.support.users import User, zipped

PATIENCE_SECONDS = 300.0
"""Beyond an agent's own time: for queueing, setup and checks."""
_ACCEPTED = "ACCEPTED"


@dataclass(frozen=True)
class Result:
    """What one eval came to."""

    name: str
    language: str
    kind: str
    task: str
    status: str
    verdict: str | None
    end_reason: str
    accepted: bool
    """Whether what no agent saw agrees."""
    passed: bool
    steps: int
    tokens: int
    cost_usd: float
    seconds: float
    why: str
    """Why it did not pass."""
    ours: bool
    """Whether that is the platform's fault, or of what it runs on."""


class Evals:
    """One user's evals with one model."""

    def __init__(self, user: User, *, wall_seconds: int) -> None:
        self._user = user
        self._wall_seconds = wall_seconds

    async def run(self, case: Case, model: str) -> Result:
        """Let a model work on one, and judge it."""
        began = time.monotonic()
        body = case.body(model, wall_seconds=self._wall_seconds)
        task_id = await self._user.submit(body, archive=zipped(case.repository))
        rounds = 4  # the first one, and those that a rejected change is given
        most = rounds * (self._wall_seconds + PATIENCE_SECONDS)
        task = await self._user.finished(task_id, seconds=most)
        seconds = time.monotonic() - began
        succeeded = task["status"] == "succeeded"
        why = await self._objection(case, task_id) if succeeded else _cause(task)
        judged = case.judged_well(task["verdict"])
        usage, reason = task["usage"], task["end_reason"]
        return Result(
            name=case.name,
            language=case.language,
            kind=case.kind,
            task=task_id,
            status=task["status"],
            verdict=task["verdict"],
            end_reason=reason["code"],
            accepted=succeeded and not why,
            passed=succeeded and judged and not why,
            steps=await self._steps(task_id),
            tokens=usage["input_tokens"] + usage["output_tokens"],
            cost_usd=usage["cost_usd"],
            seconds=round(seconds, 1),
            why=why or ("" if judged else _evidence(task)),
            ours=reason["category"] in ("system", "network", "auth"),
        )

    async def _objection(self, case: Case, task_id: str) -> str:
        """Say what is wrong with a result that the platform takes for good, or nothing."""
        if case.answer:
            answer = (await self._artifact(task_id, "answer.md")).decode()
            missing = [each for each in case.answer if not re.search(each, answer)]
            return f"not in the answer: {', '.join(missing)}" if missing else ""
        return await self._refusal(case, task_id) if case.accept else ""

    async def _refusal(self, case: Case, task_id: str) -> str:
        """Run the hidden acceptance on the result, in a sandbox of its own."""
        answer = await self._user.client.get(f"/api/v1/tasks/{task_id}/workspace")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            tree = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
        body = {
            "prompt": f"Acceptance of {case.name}",
            "engine": "command",
            "command": f"set -e\n({case.accept})\necho yes > {_ACCEPTED}\n",
            "checks": {"strategy": "skip"},
            "environment": case.environment,
            "limits": {"attempts": 1, "wall_seconds": 330},
        }
        tried = await self._user.submit(body, archive=zipped(tree | case.hidden))
        task = await self._user.finished(tried, seconds=330 + PATIENCE_SECONDS)
        if task["status"] == "succeeded":
            return ""
        log = await self._user.log(tried, "agent")
        return f"not accepted ({task['end_reason']['code']}): {log[-1500:]}"

    async def _steps(self, task_id: str) -> int:
        record = json.loads(await self._artifact(task_id, "trajectory.json") or b"{}")
        return sum(step["source"] == "agent" for step in record.get("steps", ()))

    async def _artifact(self, task_id: str, name: str) -> bytes:
        path = f"/api/v1/tasks/{task_id}/artifacts/{name}"
        answer = await self._user.client.get(path, follow_redirects=True)
        return answer.content if answer.is_success else b""


async def run_all(evals: Evals, cases: list[Case], *, model: str | None, jobs: int) -> list[Result]:
    """Run them, so many at a time; without a model's name each has its script's."""
    turn = asyncio.Semaphore(jobs)

    async def one(case: Case) -> Result:
        async with turn:
            return await evals.run(case, model or case.name)

    return list(await asyncio.gather(*map(one, cases)))


def _cause(task: dict[str, Any]) -> str:
    reason = task["end_reason"]
    return " ".join(filter(None, [reason["cause"], reason.get("detail"), _evidence(task)]))


def _evidence(task: dict[str, Any]) -> str:
    evidence = task["checks"].get("evidence") or {}
    return " ".join(map(str, evidence.get("sentences", ())))
