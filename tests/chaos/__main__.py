"""`make chaos`: break everything by a seed, then judge from outside; prints and keeps a report."""

import argparse
import random
import sys
from pathlib import Path

import uvloop
from tests.chaos import report
from tests.chaos.run import Plan, run

RATES = {"dummy": 1.5, "local": 0.5}
"""Tasks a second, unless something else is wanted."""
FOLDER = Path(__file__).parents[2] / "build" / "chaos"


def main() -> None:
    """Run once; exit 1 when a promise or a figure was missed."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--tasks", type=int, help="instead of minutes")
    parser.add_argument(
        "--rate", type=float, help="tasks a second; with --tasks 80 %% of what is sustained"
    )
    parser.add_argument("--faults", type=int, help="spread evenly; else one after another")
    parser.add_argument("--sandbox", choices=sorted(RATES), default="dummy")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of the report")
    parser.add_argument("--apart", action="store_true", help="workers are of different hosts")
    options = parser.parse_args()
    print(f"make chaos: seed {options.seed}", flush=True)
    plan = _plan(options)
    outcome = uvloop.run(run(plan, options.into))
    print(report.write(outcome, options.into))
    if report.missed(outcome):
        sys.exit(f"make chaos: seed {plan.seed} was not survived; see {options.into}")
    print(f"make chaos: seed {plan.seed} was survived; the report is in {options.into}")


def _plan(options: argparse.Namespace) -> Plan:
    rate = options.rate or RATES[options.sandbox]
    measured = options.tasks is not None and options.rate is None
    return Plan(
        seed=options.seed,
        tasks=options.tasks or max(1, round(options.minutes * 60 * rate)),
        rate=None if measured else rate,
        faults=options.faults,
        sandbox=options.sandbox,
        apart=options.apart,
    )


main()
