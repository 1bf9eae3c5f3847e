"""Becomes a phase: `launch.py FD`, where FD tells the user, the limits, the environment and the program."""

import json
import os
import resource
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from codexsys_adapters.walls import rights

    with os.fdopen(int(sys.argv[1]), "rb") as file:
        told = json.load(file)
    for name, value in told["limits"].items():
        number = getattr(resource, name)
        _, most = resource.getrlimit(number)
        bound = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(number, (bound, bound))
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # which this interpreter ignores, and would hand on
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    rights.become(told["user"], told["user"])
    os.chdir("/app/code")
    try:
        os.execvpe(told["argv"][0], told["argv"], told["env"])  # noqa: S606 - it is what we are for
    except OSError as error:
        print(f"{told['argv'][0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(127)
