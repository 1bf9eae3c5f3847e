"""What a tenant's tasks came to, by day and by label."""

from datetime import date
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.task import Usage

MOST_DAYS = 92
MOST_VALUES = 100


class TasksUsage(Usage):
    """So many tasks, how many of them were verified, and what their model calls came to."""

    tasks: int = 0
    verified: int = 0


class DayUsage(TasksUsage):
    """Of the tasks that were made on one day, in UTC."""

    day: date


class ValueUsage(TasksUsage):
    """Of the tasks whose label has one value; None: of those without the label."""

    value: str | None


class UsageQuery(BaseModel):
    """Which tasks of a tenant: those made from the first to the last day, both included."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    first: date
    last: date
    label: tuple[str, str | None] | None = None
    """A name alone divides by its values; with a value only those tasks are meant."""


class UsageReport(BaseModel):
    """Days in order, each that there is in the range; values by cost, the dearest first."""

    model_config = ConfigDict(frozen=True)

    days: list[DayUsage]
    values: list[ValueUsage]
    more: bool
    """Whether there are values beside the `MOST_VALUES` that are told."""

    @property
    def total(self) -> TasksUsage:
        """Return the sum of all days."""
        names = TasksUsage.model_fields
        summed = {name: sum(getattr(day, name) for day in self.days) for name in names}
        return TasksUsage(**summed | {"cost_usd": round(summed["cost_usd"], 6)})


class UsageStore(Protocol):
    """Sums over tasks and their wallets; nothing is kept for it, so that nothing can disagree.

    What a task used counts on the day on which it was made, also what it uses later. Raises
    `Unavailable` when the database does not answer.
    """

    async def report(self, query: UsageQuery) -> UsageReport:
        """Sum up at most `MOST_DAYS` days of one tenant; deleted tasks count, too."""
