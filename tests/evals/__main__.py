"""`make evals`: run all evals, print a table, keep the result as JSON."""

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from tests.evals.case import LANGUAGES, Case, all_cases
from tests.evals.place import SCRIPTED, place, scripted_place
from tests.evals.run import Evals, Result, run_all
from tests.evals.table import keep, table
from tests.support.users import User

from codexsys_wiring.settings import Settings
from codexsys_wiring.telemetry import configure_telemetry

ROOT = Path(__file__).resolve().parents[2]
_KEY = "CODEXSYS_MODEL_KEY"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make evals", description=__doc__)
    parser.add_argument("--url", help="an OpenAI-compatible endpoint; without one, the scripts")
    parser.add_argument("--model", help=f"its model; the key is read from {_KEY}")
    parser.add_argument("--input-usd", type=float, help="price of a million input tokens")
    parser.add_argument("--output-usd", type=float, help="price of a million output tokens")
    parser.add_argument("--only", nargs="*", default=["*"], help="names, with * and ?")
    parser.add_argument("--jobs", type=int, default=2, help="tasks at the same time")
    parser.add_argument("--wall-seconds", type=int, default=900, help="of one run of the agent")
    parser.add_argument("--json", type=Path, help="where the result goes; build/evals else")
    options = parser.parse_args()
    if bool(options.url) != bool(options.model):
        parser.error("a real model needs both --url and --model")
    return options


def _chosen(patterns: list[str]) -> list[Case]:
    cases = [c for c in all_cases() if any(fnmatchcase(c.name, each) for each in patterns)]
    missing = [
        f"{language} ({LANGUAGES[language]})"
        for language in sorted({case.language for case in cases})
        if not _runs(LANGUAGES[language])
    ]
    if missing:
        sys.exit(f"evals: not on this machine: {', '.join(missing)}. deploy/setup evals brings it.")
    return cases or sys.exit(f"evals: none is called {' or '.join(patterns)}")


def _runs(program: str) -> bool:
    """Say whether sandboxes see a program: they see the system's folders alone."""
    return any((Path(folder) / program).exists() for folder in ("/usr/local/bin", "/usr/bin"))


def _opened(
    options: argparse.Namespace, folder: Path, cases: list[Case]
) -> AbstractAsyncContextManager[User]:
    if options.url is None:
        return scripted_place(folder, cases, jobs=options.jobs)
    return place(
        folder,
        jobs=options.jobs,
        model_url=options.url,
        model=options.model,
        model_key=os.environ.get(_KEY, ""),
        model_input_usd=options.input_usd,
        model_output_usd=options.output_usd,
    )


async def _results(options: argparse.Namespace, cases: list[Case]) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="evals-") as made:
        folder = Path(made) / "platform"
        folder.mkdir()
        async with _opened(options, folder, cases) as user:
            evals = Evals(user, wall_seconds=options.wall_seconds)
            return await run_all(evals, cases, model=options.model, jobs=options.jobs)


def main() -> int:
    """Exit with 1 when a script did not pass, or the platform failed a real model."""
    options = _options()
    configure_telemetry(Settings(log_level="error"), service="evals")
    results = asyncio.run(_results(options, _chosen(options.only)))
    print(table(results))
    at = datetime.now(UTC)
    path = options.json or ROOT / f"build/evals/{at:%Y%m%dT%H%M%SZ}.json"
    keep(results, model=options.model or SCRIPTED, at=at.isoformat(timespec="seconds"), path=path)
    print(f"kept in {path}")
    wrong = [each for each in results if (each.ours if options.url else not each.passed)]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
