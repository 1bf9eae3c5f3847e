"""Starts the agent, or `collector`, `checks` or `network`, without a heavy import before the first word."""

import sys


def start(words: list[str]) -> int:
    """Make this package importable however it was started, and run what is named."""
    # Started as a folder (`python -I …/codexsys_agent`) the first entry is that folder;
    # started with -m it may be the workspace, whose modules must never shadow ours.
    sys.path[0] = __file__.rpartition("/codexsys_agent/")[0] or "/"
    if words[:1] == ["collector"]:
        from codexsys_agent import collector  # noqa: PLC0415 - its stdout is a tar

        return collector.main(words[1:])
    if words[:1] == ["checks"]:
        from codexsys_agent import checks  # noqa: PLC0415

        return checks.main(words[1:])
    if words[:1] == ["network"]:
        from codexsys_agent import network  # noqa: PLC0415

        return network.main()
    sys.stdout.write("codexsys agent: starting\n")
    sys.stdout.flush()
    from codexsys_agent.main import main  # noqa: PLC0415 - after the first word

    return main(words)


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
