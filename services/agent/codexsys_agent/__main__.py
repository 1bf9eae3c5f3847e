"""Starts the agent; the first word comes before anything heavy is imported."""

import sys


def start() -> int:
    """Say hello, make this package importable however it was started, and run."""
    sys.stdout.write("codexsys agent: starting\n")
    sys.stdout.flush()
    # Started as a folder (`python -I …/codexsys_agent`) the first entry is that folder;
    # started with -m it may be the workspace, whose modules must never shadow ours.
    parent = __file__.rpartition("/codexsys_agent/")[0] or "/"
    sys.path[0] = parent
    from codexsys_agent.main import main  # noqa: PLC0415 - after the first word

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
