"""The plain variables that CI jobs and containers already use, such as REPO_URL: read for `codexsys run` alone."""

import os
from collections.abc import Collection
from pathlib import Path

from codexsys_wiring.settings import ConfigurationError


def job_variables(names: Collection[str], *, secret: Collection[str]) -> dict[str, str]:
    """Return those that are set; a secret may stand in the file that `<name>_FILE` names.

    Raises `ConfigurationError` with every file that cannot be read.
    """
    environment = os.environ  # noqa: TID251 - the one place for these
    found = {name: environment[name] for name in names if environment.get(name)}
    problems = []
    for name in secret:
        path = environment.get(f"{name}_FILE")
        if not path or name in found:
            continue
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}_FILE: {error}")
    if problems:
        raise ConfigurationError(problems)
    return found
