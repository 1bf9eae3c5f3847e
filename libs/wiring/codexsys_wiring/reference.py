"""Pages of the documentation that are made from the code: settings and end reasons."""

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from codexsys_core.end_reasons import EndReason
from codexsys_wiring.settings import PREFIX, Settings

SECRET_NOTE = f"Each secret can also be given as a file: the same name with `_FILE`, such as `{PREFIX}MODEL_KEY_FILE`."


def settings_page() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Made from the settings classes by `make docs`. Precedence: flag, environment, `./codexsys.toml`, the user's",
        f"file, default. An unknown `{PREFIX}` variable is an error at start. {SECRET_NOTE}",
        "",
        "| variable | default | what it says |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        text = (field.description or "").replace("\n", " ").replace("|", "\\|")
        lines.append(f"| `{PREFIX}{name.upper()}` | {_default(name, field)} | {text} |")
    return "\n".join(lines) + "\n"


def end_reasons_page() -> str:
    """Return docs/end-reasons.md."""
    lines = [
        "# End reasons",
        "",
        "Each terminal task has exactly one, from this closed list. Made from the code by `make docs`. The platform",
        "tries again by itself only in the categories `network` and `system`.",
        "",
        "| code | category | what happened | what to do next |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{reason}` | {reason.category} | {reason.cause} | {reason.next} |"
        for reason in EndReason
    ]
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Write both pages."""
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    (folder / "end-reasons.md").write_text(end_reasons_page(), encoding="utf-8")


def _default(name: str, field: FieldInfo) -> str:
    if name == "data_dir":
        return "the user's data folder"
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or value in ("", []):
        return "none"
    if isinstance(value, SecretStr):
        return "none"
    return f"`{value}`".replace("|", "\\|")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
