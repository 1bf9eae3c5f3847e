"""The shapes of tasks that clients ask for, and how each must end when nobody cancels it."""

import random
from dataclasses import dataclass
from typing import Any

_PATCH = """diff --git a/made-{op}.txt b/made-{op}.txt
new file mode 100644
index 0000000..257cc56
--- /dev/null
+++ b/made-{op}.txt
@@ -0,0 +1 @@
+foo
"""
SHAPES = ("quick", "patch", "slow", "chatter", "fails")
_WEIGHTS = (3, 3, 2, 2, 1)


@dataclass(frozen=True)
class Wish:
    """One task that a client wants."""

    op: str
    shape: str
    body: dict[str, Any]
    zip: bool
    end: str
    """The end reason that it asks for."""
    cancel_after: float | None
    follow: bool


def wish(number: int, rng: random.Random, git_url: str) -> Wish:
    """Return the wish with this number; the same seed gives the same ones."""
    op, shape = f"op-{number}", rng.choices(SHAPES, _WEIGHTS)[0]
    variables = {"DUMMY_AGENT_DELAY": f"{rng.uniform(0.0, 1.0):.2f}"}
    end, mode = "finished", "modify"
    if shape in ("patch", "slow", "chatter"):
        variables["DUMMY_PATCH"] = _PATCH.format(op=op)
    if shape == "quick":
        mode = "explain"
    if shape == "slow":
        variables["DUMMY_AGENT_DELAY"] = f"{rng.uniform(4.0, 12.0):.1f}"
    if shape == "chatter":
        variables["DUMMY_AGENT_CHATTER"] = str(rng.randint(200, 20_000))
    if shape == "fails":
        variables["DUMMY_AGENT_EXIT"] = "8"
        end = "command_failed"
    zip_ = rng.random() < 0.5
    body: dict[str, Any] = {
        "prompt": f"The wish {op}, of the shape {shape}",
        "engine": "command",
        "command": "true",
        "mode": mode,
        "checks": {"strategy": "skip"},
        "environment": {"variables": variables},
        "labels": {"op": op},
        "limits": {"attempts": 3, "wall_seconds": 120},
    }
    if not zip_:
        body["source"] = {"git": {"url": git_url}}
    cancel = rng.uniform(0.0, 6.0) if rng.random() < 0.12 else None
    return Wish(op, shape, body, zip_, end, cancel, rng.random() < 0.4)
