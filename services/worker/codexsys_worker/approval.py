"""Approval: a change that the environment's policy wants a person to see waits for one, without a sandbox."""

import base64

from pydantic import BaseModel, Field, ValidationError

from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound
from codexsys_core.outcome import Outcome
from codexsys_core.patch import PatchBench
from codexsys_core.policy import met, named
from codexsys_core.question import Asked
from codexsys_core.verdict import Evidence
from codexsys_worker.asking import Waits
from codexsys_worker.finish import Result
from codexsys_worker.patience import PatientObjects
from codexsys_worker.work import Work

_YES, _NO = "yes", "no"


class _Kept(BaseModel):
    """A result that waits for its approval."""

    question: str
    outcome: Outcome
    evidence: Evidence
    patch: str
    outputs: dict[str, str] = Field(default_factory=dict)


class Approvals:
    """Objects beside the base: what was found out of a change need not be found out again."""

    def __init__(self, *, objects: PatientObjects, bench: PatchBench) -> None:
        self._objects = objects
        self._bench = bench

    async def ask(self, work: Work, result: Result) -> None:
        """Return where nobody need be asked, else keep the result and raise `Waits`."""
        if not result.outcome.good or result.evidence is None or result.patch is None:
            return
        flags = met(work.spec.environment.policy, result.evidence.flags, "ask")
        if not flags:
            return
        text = (
            f"The change holds what somebody is to look at: {named(flags)}. May it be handed out?"
        )
        kept = _Kept(
            question=text,
            outcome=result.outcome,
            evidence=result.evidence,
            patch=base64.b64encode(result.patch.diff).decode(),
            outputs={
                name: base64.b64encode(data).decode() for name, data in result.outputs.items()
            },
        )
        objects = self._objects.until(work.stop)
        data = kept.model_dump_json().encode()
        await objects.put(_name(work), data, content_type="application/json")
        raise Waits(Asked(text=text, options=[_YES, _NO], default=_NO), always=True)

    async def recall(self, work: Work) -> Result | None:
        """Return the result that a person was asked about, once there is an answer."""
        if not work.answers:
            return None
        try:
            data = await self._objects.until(work.stop).get(_name(work))
            kept = _Kept.model_validate_json(data)
        except (NotFound, ValidationError):
            return None
        said = [each["answer"] for each in work.answers if each["question"] == kept.question]
        if not said:
            return None
        approved = str(said[-1]).strip().lower() == _YES
        return await self._result(work, kept, approved=approved)

    async def _result(self, work: Work, kept: _Kept, *, approved: bool) -> Result:
        note = "A person let it through." if approved else "Nobody let it through."
        sentences = [*kept.evidence.sentences, f"{kept.question} {note}"]
        reason = kept.outcome.reason if approved else EndReason.POLICY_REFUSED
        return Result(
            Outcome(reason=reason, detail=kept.outcome.detail),
            evidence=kept.evidence.model_copy(update={"sentences": sentences}),
            patch=await self._bench.apply(work.base_dir, base64.b64decode(kept.patch)),
            outputs={name: base64.b64decode(data) for name, data in kept.outputs.items()},
        )


def refused(work: Work, evidence: Evidence) -> Evidence | None:
    """Return the evidence that says what is refused; None where nothing is."""
    flags = met(work.spec.environment.policy, evidence.flags, "refuse")
    if not flags:
        return None
    sentence = f"The environment's policy refuses this: {named(flags)}."
    return evidence.model_copy(update={"sentences": [*evidence.sentences, sentence]})


def _name(work: Work) -> str:
    task_id, number = work.task.id, work.hold.number
    return f"codexsys-code/processed_code/{task_id}/approval-a{number}.json"
