"""What clients wish for: tasks of many shapes, from a zip or from Git, some to be cancelled at some point."""

import random
from dataclasses import dataclass
from typing import Any

from tests.chaos.shapes import SHAPES

CANCELLED, FROM_GIT = 0.15, 0.2
AT_ONCE, ANY_TIME, OVER = "at once", "any time", "over"
_LIMITS = {"attempts": 3, "wall_seconds": 120}
LIMITS = {"kubernetes": {"memory_mb": 256}}
"""A pod waits until its node has room for all that it may use."""
_POINTS = {
    "quick": (AT_ONCE, OVER),
    "slow": ("analyzing", ANY_TIME),
    "sleeps": ("analyzing", ANY_TIME),
    "set_up": ("setup",),
    "checked": ("testing",),
    "asks": ("suspended",),
    "unstartable": ("queued", ANY_TIME),
}
"""Where a task of a shape stays long enough to be met there by a cancel."""


@dataclass(frozen=True)
class Wish:
    """One task that a client wants."""

    op: str
    body: dict[str, Any]
    zip: bool
    cancel: str | None
    """At what point: a status or phase that was shown, or one of the words above."""
    cancel_after: float
    """Seconds, for any time."""
    follow: bool


def wish(name: str, number: int, *, seed: int, sandbox: str, git_url: str) -> Wish:
    """Return the wish with this number; the same seed gives the same ones."""
    rng = random.Random(f"{seed} {name} {number}")
    op, shapes = f"{name}-{number}", SHAPES[sandbox]
    shape = rng.choices(list(shapes), [weight for weight, _ in shapes.values()])[0]
    drawn = shapes[shape][1](op, rng)
    environment = {"variables": drawn.variables} | drawn.environment
    labels = {"op": op, "shape": shape, "wants": drawn.wants, "lines": str(drawn.lines)}
    body: dict[str, Any] = {
        "prompt": f"The wish {op}, of the shape {shape}",
        "engine": "command",
        "command": "true",
        "checks": {"strategy": "skip"},
        "environment": environment,
        "labels": labels,
    }
    body = {name: value for name, value in (body | drawn.body).items() if value is not None}
    body["limits"] = LIMITS.get(sandbox, {}) | _LIMITS | body.get("limits", {})
    zip_ = rng.random() >= FROM_GIT
    if not zip_:
        body["source"] = {"git": {"url": git_url}}
    points = _POINTS.get(shape, (AT_ONCE, ANY_TIME, OVER))
    cancel = rng.choice(points) if rng.random() < CANCELLED else None
    return Wish(op, body, zip_, cancel, rng.uniform(0.0, 6.0), rng.random() < 0.4)
