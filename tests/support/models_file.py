"""A models file for a platform under test."""

import json
from pathlib import Path
from typing import Any

FREE = {"input_usd": 0, "output_usd": 0}


def models_file(
    folder: Path,
    upstreams: list[dict[str, Any]],
    *,
    default: str | None = None,
    rules: list[dict[str, Any]] | None = None,
) -> Path:
    """Write upstreams, each with its `models` (names, or names with what is said of them)."""
    lines = [f"default = {json.dumps(default or next(iter(upstreams[0]['models'])))}"]
    for upstream in upstreams:
        lines += ["[[upstreams]]", *_pairs(upstream, but="models")]
        models = upstream["models"]
        named = models if isinstance(models, dict) else dict.fromkeys(models, FREE)
        for name, said in named.items():
            lines += ["[[upstreams.models]]", f"name = {json.dumps(name)}", *_pairs(said)]
    for rule in rules or []:
        lines += ["[[rules]]", *_pairs(rule, but="labels")]
        if "labels" in rule:
            lines.append(f"labels = {{ {', '.join(_pairs(rule['labels']))} }}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "models.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def _pairs(said: dict[str, Any], *, but: str = "") -> list[str]:
    return [
        f"{json.dumps(name)} = {json.dumps(value)}" for name, value in said.items() if name != but
    ]
