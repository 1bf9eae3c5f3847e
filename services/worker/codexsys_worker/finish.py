"""Finish: artifacts stored and hashed, then one fenced statement, then the record."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

from codexsys_core.announcement import Outbox, Queue
from codexsys_core.artifact import Artifact
from codexsys_core.attempt import AttemptStore, Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Unavailable
from codexsys_core.log import FILES, PRIVATE_STREAMS, PUBLIC_STREAMS, LogStore
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.patch import Patch
from codexsys_core.task import DiffStat
from codexsys_core.verdict import Evidence, Verdict
from codexsys_wiring.metrics import ENDINGS
from codexsys_worker.patience import PatientObjects
from codexsys_worker.work import Lost, Work

_TYPES = {
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".zip": "application/zip",
}
_LONGEST_ANSWER = 1000
_NOT_ISOLATED = "There was no sandbox, as was asked for: the agent was another user of the machine, with its network."
_KEPT_OUTPUTS = ("trajectory.json", "answer.md")
_STATUS = {EndReason.CANCELLED: TaskStatus.CANCELLED, EndReason.DEADLINE: TaskStatus.TIMED_OUT}
_TIMED_OUT = {
    EndReason.SETUP_TIMEOUT,
    EndReason.CHECKS_TIMEOUT,
    EndReason.QUEUE_TIMEOUT,
    EndReason.ANSWER_TIMEOUT,
}


@dataclass
class Result:
    """What an attempt came to, before it is written down."""

    outcome: Outcome
    evidence: Evidence | None = None
    patch: Patch | None = None
    outputs: dict[str, bytes] = field(default_factory=dict)
    unsaved: bool = False
    """Whether the change stands in a checkpoint that could not be taken up now: `diff.patch` is left to it."""

    @property
    def status(self) -> TaskStatus:
        """Return the terminal status that goes with the outcome."""
        if self.outcome.good:
            return TaskStatus.SUCCEEDED
        if self.outcome.reason in _TIMED_OUT:
            return TaskStatus.TIMED_OUT
        return _STATUS.get(self.outcome.reason, TaskStatus.FAILED)

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict, if there is one."""
        return self.evidence.verdict if self.evidence else None


class Finisher:
    """Writes terminal tasks."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        objects: PatientObjects,
        logs: LogStore,
        outbox: Outbox,
        queue: Queue,
        isolated: bool,
    ) -> None:
        self._attempts = attempts
        self._objects = objects
        self._logs = logs
        self._outbox = outbox
        self._queue = queue
        self._isolated = isolated

    async def finish(self, work: Work, result: Result) -> None:
        """Store everything, then end the task."""
        artifacts = [
            await self._put(work, name, data)
            for name, data in (await self._contents(work, result)).items()
        ]
        await self.end(work, result, artifacts)

    async def end(self, work: Work, result: Result, artifacts: list[Artifact]) -> None:
        """End the task with these artifacts, announce it; raises `Lost` when the fence is stale."""
        ending = Ending(
            status=result.status,
            outcome=result.outcome,
            verdict=result.verdict,
            evidence=result.evidence,
            diff=_stat(result.patch),
            artifacts=tuple(artifacts),
        )
        if not await self._attempts.end(work.hold, ending):
            raise Lost
        work.over = True
        ENDINGS.labels(ending.status.value, ending.outcome.reason.value).inc()
        await self._announce(work.task.id)

    async def _announce(self, task_id: str) -> None:
        """Publish at once; what fails here is the relay's to do."""
        record = await self._outbox.result(task_id)
        if record is None:
            return
        try:
            await self._queue.publish_result(record)
        except Unavailable:
            return
        await self._outbox.result_published(task_id, record.seq)

    async def _contents(self, work: Work, result: Result) -> dict[str, bytes]:
        contents: dict[str, bytes] = {}
        for stream in (*PUBLIC_STREAMS, *PRIVATE_STREAMS):
            text = await self._sealed(work.hold, stream)
            if text:
                contents[FILES[stream]] = text
        contents.setdefault("prompt.txt", work.spec.prompt.encode())
        if not result.unsaved:
            contents["diff.patch"] = result.patch.diff if result.patch else b""
        for name in _KEPT_OUTPUTS:
            if name in result.outputs:
                contents[name] = result.outputs[name]
        report = _report(work, result) | {"isolated": self._isolated}
        contents["report.json"] = json.dumps(report, indent=2, sort_keys=True).encode()
        contents["report.md"] = _markdown(report).encode()
        contents["evidence.zip"] = _evidence(contents)
        return contents

    async def _sealed(self, hold: Hold, stream: str) -> bytes:
        size = await self._logs.seal(hold, stream)
        if size is None:
            raise Lost
        text, after = bytearray(), 0
        while after < size:
            chunks = await self._logs.read(hold.task_id, stream, after)
            if not chunks:
                break
            for chunk in chunks:
                text += chunk.text
            after = chunks[-1].end
        return bytes(text)

    async def _put(self, work: Work, name: str, data: bytes) -> Artifact:
        kind = next(
            (kind for end, kind in _TYPES.items() if name.endswith(end)),
            "text/plain; charset=utf-8",
        )
        path = f"codexsys-logs/logs/{work.task.id}/{work.hold.writer}/{name}"
        objects = self._objects.until(work.stop)
        size, sha256 = await objects.put(path, data, content_type=kind)
        return Artifact(name=name, object=path, size=size, sha256=sha256, content_type=kind)


def _stat(patch: Patch | None) -> DiffStat | None:
    if patch is None:
        return None
    return DiffStat(files=len(patch.files), insertions=patch.insertions, deletions=patch.deletions)


def _report(work: Work, result: Result) -> dict[str, Any]:
    reason = result.outcome.reason
    return {
        "v": 1,
        "task_id": work.task.id,
        "attempt": work.hold.number,
        "engine": work.spec.engine,
        "model": work.spec.model,
        "mode": work.spec.mode,
        "status": result.status.value,
        "verdict": result.verdict.value if result.verdict else None,
        "end_reason": {
            "code": reason.value,
            "category": reason.category.value,
            "cause": reason.cause,
            "next": reason.next,
        },
        "detail": result.outcome.detail,
        "criteria": _criteria(work, result),
        "evidence": result.evidence.model_dump(mode="json") if result.evidence else None,
        "base": work.task.base.commit if work.task.base else None,
        "diff": [file.model_dump() for file in result.patch.files] if result.patch else [],
    }


def _criteria(work: Work, result: Result) -> list[dict[str, str]]:
    """Return what the agent says to each acceptance criterion: words for a person, no proof."""
    wanted = work.spec.requirements.acceptance
    try:
        told = json.loads(result.outputs.get("result.json", b"{}"))
        answers = told["criteria"] if isinstance(told["criteria"], list) else []
    except (ValueError, KeyError, TypeError, RecursionError):
        answers = []
    said = [str(each)[:_LONGEST_ANSWER] for each in answers] + [""] * len(wanted)
    return [{"criterion": each, "answer": said[n]} for n, each in enumerate(wanted)]


def _markdown(report: dict[str, Any]) -> str:
    evidence = report["evidence"] or {}
    lines = [
        f"# {report['task_id']}",
        "",
        f"- status: {report['status']}",
        f"- verdict: {report['verdict'] or 'none'}",
        f"- {report['end_reason']['cause']} {report['end_reason']['next']}",
        *([] if report["isolated"] else [f"- {_NOT_ISOLATED}"]),
        *(f"- {sentence}" for sentence in evidence.get("sentences", [])),
        *(
            f"- look at: {flag['says']} {_place(flag)}".rstrip()
            for flag in evidence.get("flags", [])
        ),
        *(f"- {note}" for note in evidence.get("looked", [])),
        *(f"- changed: `{file['path']}`" for file in report["diff"]),
    ]
    for number, each in enumerate(report["criteria"], 1):
        lines.append(
            f"- AC-{number}: {each['criterion']} The agent: {each['answer'] or 'no answer'}"
        )
    if report["detail"]:
        lines += ["", report["detail"]]
    return "\n".join(lines) + "\n"


def _place(flag: dict[str, Any]) -> str:
    line = f":{flag['line']}" if flag["line"] else ""
    return f"(`{flag['path']}{line}`)" if flag["path"] else ""


def _evidence(contents: dict[str, bytes]) -> bytes:
    """Zip what a verdict stands on, with fixed times so that equal contents give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("diff.patch", "report.json", "setup.log", "verify.log"):
            if name in contents:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), contents[name])
    return buffer.getvalue()
