"""Takes a secret off the command line: what stands there, everybody on the host can read."""

import os
import sys
from typing import NoReturn


def hand_over(text: str) -> NoReturn:
    """Become this very command with `-` in place of the text, which is on standard input then."""
    with os.fdopen(os.memfd_create("order"), "w+b") as memory:
        memory.write(os.fsencode(text))
        memory.flush()
        memory.seek(0)
        os.dup2(memory.fileno(), 0)
        arguments = ["-" if argument == text else argument for argument in sys.orig_argv]
        os.execv(sys.executable, arguments)  # noqa: S606 - ourselves
