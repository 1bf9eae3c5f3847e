"""When to try again."""

import random

FIRST = 0.5
CAP = 30.0


def delay(tries):
    """Return the seconds to wait after so many tries."""
    seconds = min(CAP, FIRST * 2**tries)
    return seconds * random.uniform(0.5, 1.0)
