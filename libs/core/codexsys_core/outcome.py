"""How a piece of the user's work ended: data, never an exception."""

from pydantic import BaseModel, ConfigDict

from codexsys_core.end_reasons import EndReason


class Outcome(BaseModel):
    """An end reason with the detail that only this case has."""

    model_config = ConfigDict(frozen=True)

    reason: EndReason
    detail: str = ""
    """One sentence for the user; no secret, no platform path."""

    @property
    def good(self) -> bool:
        """Say whether the work was done."""
        return self.reason is EndReason.FINISHED
