"""What an environment does about what is flagged in a change: show it, ask a person, or refuse it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from codexsys_core.flags import Flag, FlagKind

Action = Literal["flag", "ask", "refuse"]


def _kind(value: Any) -> Any:
    """Take a kind's name, also in strict mode."""
    return next((kind for kind in FlagKind if kind.value == value), value)


Policy = dict[Annotated[FlagKind, BeforeValidator(_kind)], Action]
_MOST_NAMED = 10


def met(policy: Mapping[FlagKind, Action], flags: Iterable[Flag], action: Action) -> list[Flag]:
    """Return the flags for which this is to be done."""
    return [flag for flag in flags if policy.get(flag.kind, "flag") == action]


def named(flags: list[Flag]) -> str:
    """Say what was flagged, for a person."""
    told = [f"{flag.says} ({flag.place})" if flag.place else flag.says for flag in flags]
    more = f" and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    return "; ".join(each[:200] for each in told[:_MOST_NAMED]) + more
