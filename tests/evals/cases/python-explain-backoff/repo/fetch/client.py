"""Asking again and again."""

import time

from fetch.retry import delay


def get(ask, tries=5):
    """Return what is answered, the last error otherwise."""
    for number in range(tries):
        try:
            return ask()
        except OSError:
            if number == tries - 1:
                raise
            time.sleep(delay(number))
    return None
