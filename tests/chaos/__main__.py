"""`make chaos`: break everything by a seed, then judge from outside; prints and keeps a report."""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from tests.chaos import report
from tests.chaos.run import Plan, run

FOLDER = Path(__file__).parents[2] / "build" / "chaos"


def main() -> None:
    """Run once; exit 1 when a promise or a figure was missed."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=1.5)
    parser.add_argument("--faults", type=int)
    options = parser.parse_args()
    print(f"make chaos: seed {options.seed}", flush=True)
    plan = Plan(
        seed=options.seed,
        seconds=options.minutes * 60,
        rate=options.rate,
        most_faults=options.faults,
    )
    outcome = asyncio.run(run(plan, FOLDER))
    print(report.write(outcome, FOLDER))
    if report.missed(outcome):
        sys.exit(f"make chaos: seed {plan.seed} was not survived; see build/chaos")
    print(f"make chaos: seed {plan.seed} was survived; the report is in build/chaos")


main()
