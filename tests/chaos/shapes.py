"""The shapes of tasks: what each does, what it leaves, how it must end when nobody cancels it."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_PATCH = """diff --git a/made-{op}.txt b/made-{op}.txt
new file mode 100644
index 0000000..257cc56
--- /dev/null
+++ b/made-{op}.txt
@@ -0,0 +1 @@
+foo
"""


@dataclass
class Shape:
    """What is asked for, beside what all ask for."""

    wants: str = "finished"
    """The end reason."""
    lines: int = 0
    """So many numbered lines are the agent's output."""
    variables: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


Draw = Callable[[str, random.Random], Shape]


def _seconds(rng: random.Random, least: float, most: float) -> str:
    return f"{rng.uniform(least, most):.2f}"


def _dummy(op: str, rng: random.Random, *, least: float = 0.0, most: float = 1.0) -> Shape:
    """Change a file after a while."""
    variables = {
        "DUMMY_AGENT_DELAY": _seconds(rng, least, most),
        "DUMMY_PATCH": _PATCH.format(op=op),
    }
    return Shape(variables=variables)


def _quick(_op: str, rng: random.Random) -> Shape:
    return Shape(variables={"DUMMY_AGENT_DELAY": _seconds(rng, 0, 1)}, body={"mode": "explain"})


def _slow(op: str, rng: random.Random) -> Shape:
    return _dummy(op, rng, least=4, most=12)


def _chatter(op: str, rng: random.Random) -> Shape:
    shape = _dummy(op, rng, most=3)
    shape.lines = rng.randint(200, rng.choice((2_000, 2_000, 20_000)))
    shape.variables["DUMMY_AGENT_CHATTER"] = str(shape.lines)
    return shape


def _fails(_op: str, rng: random.Random) -> Shape:
    variables = {"DUMMY_AGENT_DELAY": _seconds(rng, 0, 1), "DUMMY_AGENT_EXIT": "8"}
    return Shape(wants="command_failed", variables=variables)


def _set_up(op: str, rng: random.Random) -> Shape:
    shape = _dummy(op, rng)
    shape.variables["DUMMY_ENVIRONMENT_DELAY"] = _seconds(rng, 1, 4)
    shape.environment = {"setup": "true", "network": {"setup": "none"}}
    return shape


def _checked(op: str, rng: random.Random) -> Shape:
    shape = _dummy(op, rng)
    shape.variables["DUMMY_CHECKS_DELAY"] = _seconds(rng, 1, 3)
    shape.body = {"checks": {"command": "true"}}
    return shape


def _asks(op: str, rng: random.Random) -> Shape:
    shape = _dummy(op, rng)
    asked: list[dict[str, Any]] = [
        {"text": "Which?", "options": [], "default": None}
    ] * rng.randint(1, 2)
    shape.variables["DUMMY_AGENT_ASK"] = json.dumps(asked)
    return shape


def _unstartable(_op: str, _rng: random.Random) -> Shape:
    """Each attempt fails by the system, so that another one is due after a while."""
    variables = {"DUMMY_AGENT_START_FAILURE": "1"}
    return Shape(wants="sandbox_failed", variables=variables)


def _told(command: str, **more: Any) -> Shape:
    return Shape(body={"command": command} | more)


def _edits(op: str, rng: random.Random) -> Shape:
    return _told(f"echo {op} >> made.txt; sleep {_seconds(rng, 0, 2)}; echo more >> README.md")


def _sleeps(op: str, rng: random.Random) -> Shape:
    return _told(f"echo {op} > made.txt; sleep {_seconds(rng, 4, 15)}; echo more >> made.txt")


def _prints(op: str, rng: random.Random) -> Shape:
    lines = rng.randint(20, 80)
    count = f"for n in $(seq 1 {lines}); do echo line $n; sleep {_seconds(rng, 0.05, 0.2)}; done"
    shape = _told(f"{count}; echo {op} > made.txt")
    shape.lines = lines
    return shape


def _fails_late(op: str, rng: random.Random) -> Shape:
    shape = _told(f"echo {op} > made.txt; sleep {_seconds(rng, 0, 3)}; exit 3")
    shape.wants = "command_failed"
    return shape


def _explains(_op: str, rng: random.Random) -> Shape:
    return _told(
        f"sleep {_seconds(rng, 0, 2)}; cat README.md > /app/output/answer.md", mode="explain"
    )


def _sets_up(op: str, rng: random.Random) -> Shape:
    shape = _edits(op, rng)
    script = f"echo line 1; sleep {_seconds(rng, 1, 3)}; echo ready > ~/ready"
    shape.environment = {"setup": script, "network": {"setup": "none"}}
    return shape


def _proves(op: str, rng: random.Random) -> Shape:
    command = f"sleep {_seconds(rng, 0.5, 2)}; test -e README.md"
    return _told(f"echo {op} > made.txt", checks={"command": command})


def _models(op: str, rng: random.Random) -> Shape:
    """The builtin engine with the scripted model: every step is a call through the gateway."""
    steps: list[dict[str, Any]] = [
        {"say": "I work.", "tool": "bash", "arguments": {"command": f"sleep {seconds}; date >> m"}}
        for seconds in (_seconds(rng, 0, 2) for _ in range(rng.randint(2, 5)))
    ]
    end = {"status": "done", "summary": f"{op} is done.", "criteria": []}
    steps.append({"say": "Done.", "tool": "finish", "arguments": end})
    prompt = f"The wish {op}\n\n```scripted\n{json.dumps(steps)}\n```"
    return Shape(body={"engine": "builtin", "command": None, "prompt": prompt})


def _outgrows(_op: str, _rng: random.Random) -> Shape:
    shape = _told("exec tail /dev/zero")
    shape.wants = "out_of_memory"
    return shape


def _overruns(op: str, rng: random.Random) -> Shape:
    shape = _told(f"echo {op} > made.txt; sleep {_seconds(rng, 100, 200)}")
    shape.wants = "deadline"
    shape.body["limits"] = {"wall_seconds": 15}
    return shape


_IN_CAGES: dict[str, tuple[int, Draw]] = {
    "edits": (2, _edits),
    "sleeps": (2, _sleeps),
    "prints": (2, _prints),
    "fails": (1, _fails_late),
    "explains": (1, _explains),
    "set_up": (1, _sets_up),
    "checked": (1, _proves),
    "models": (2, _models),
}
SHAPES: dict[str, dict[str, tuple[int, Draw]]] = {
    "dummy": {
        "quick": (3, _quick),
        "patch": (3, _dummy),
        "slow": (3, _slow),
        "chatter": (2, _chatter),
        "fails": (1, _fails),
        "set_up": (1, _set_up),
        "checked": (1, _checked),
        "asks": (1, _asks),
        "unstartable": (1, _unstartable),
    },
    "local": _IN_CAGES,
    "kubernetes": _IN_CAGES | {"outgrows": (1, _outgrows), "overruns": (1, _overruns)},
}
"""By kind of sandbox: how often of all, and how it is drawn."""
