"""Rounds of work and checks: what a rejected agent is told, and which state is handed out at last."""

from dataclasses import dataclass, field, replace

from codexsys_core.end_reasons import EndReason
from codexsys_core.flags import FlagKind
from codexsys_core.policy import named
from codexsys_core.verdict import Evidence, Verdict
from codexsys_worker.finish import Result

MOST_DIFF = 20_000
"""Bytes of its own change that an agent is shown again."""
_ORDER = (
    Verdict.NO_CHANGE,
    Verdict.TESTS_TAMPERED,
    Verdict.TESTS_FAILED,
    Verdict.UNVERIFIED,
    Verdict.VERIFIED,
)
_OF_THE_AGENT = (EndReason.AGENT_GAVE_UP, EndReason.NO_CHANGE, EndReason.CHECKS_FAILED, EndReason.CHECKS_TAMPERED, EndReason.POLICY_REFUSED)  # fmt: skip


@dataclass
class Rounds:
    """The results of one attempt's rounds, in order."""

    left: int
    """How often a rejected change may still go back to the agent."""
    _judged: list[Result] = field(default_factory=list)

    def again(self, result: Result) -> bool:
        """Take a round's result; says whether the agent is to try again."""
        if result.evidence is not None and result.patch is not None:
            self._judged.append(result)
        rejected = result.verdict in (Verdict.TESTS_FAILED, Verdict.TESTS_TAMPERED)
        if not (rejected or _is_refused(result)) or self.left == 0:
            return False
        self.left -= 1
        return True

    def better_than(self, last: Result) -> Result | None:
        """Return the best of the earlier rounds if the last one did worse."""
        best = max(self._judged, key=_rank, default=last)
        return best if _rank(best) > _rank(last) else None

    def outcome(self, last: Result) -> Result:
        """Return what the rounds came to: the last one, or the best state by its checks if it was better.

        A limit that ended a later round stays the reason; the change is still the best one.
        """
        best = max(self._judged, key=_rank, default=last)
        if best is last or best.evidence is None:
            return last
        if last.evidence is None and last.outcome.reason not in _OF_THE_AGENT:
            return replace(last, patch=best.patch)
        number = self._judged.index(best) + 1
        note = f"This is the state after round {number}; what came later did no better."
        told = best.evidence.model_copy(update={"sentences": [*best.evidence.sentences, note]})
        return replace(best, evidence=told, outputs=last.outputs)


def rejection(result: Result, tail: str, *, stands: Result | None = None) -> str:
    """Say to the agent why its change was rejected, and what stands in the tree now: its own, or an earlier one."""
    sentences = " ".join(result.evidence.sentences) if result.evidence else ""
    patch = (stands or result).patch
    diff = patch.diff[: MOST_DIFF + 1] if patch else b""
    back = (
        "This did worse than an earlier state of yours, so the tree is as it was then.\n"
        if stands
        else ""
    )
    shown = diff[:MOST_DIFF].decode(errors="replace")
    more = "\n[… cut]" if len(diff) > MOST_DIFF else ""
    return (
        f"Your change was checked in a clean sandbox and rejected. {sentences}\n"
        f"The end of the output:\n{tail}\n{_seen(result)}{back}"
        f"Your change so far, which is still in the working tree:\n{shown}{more}"
    )


def _seen(result: Result) -> str:
    """Return what tools said of the change beside the checks, as a line; it is no reason for a round."""
    flags = result.evidence.flags if result.evidence else []
    seen = [flag for flag in flags if flag.kind in (FlagKind.SYNTAX, FlagKind.LINT)]
    return f"Also seen in lines that you changed: {named(seen)}.\n" if seen else ""


def _is_refused(result: Result) -> bool:
    return result.outcome.reason is EndReason.POLICY_REFUSED


def _rank(result: Result) -> tuple[int, int, int]:
    """Order results; the first of equal ones is the best by `max`."""
    evidence: Evidence | None = result.evidence
    if evidence is None or _is_refused(result):
        return (-1, 0, 0)
    harm = len(evidence.broken) + len(evidence.missing)
    passed = (evidence.after or {}).get("passed", 0)
    return (_ORDER.index(evidence.verdict), -harm, passed)
