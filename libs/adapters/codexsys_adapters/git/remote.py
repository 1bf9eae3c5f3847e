"""What git says about a remote, as an end reason and a sentence."""

import re

from codexsys_adapters.git.command import GitFailed, GitTooLarge, GitTooSlow
from codexsys_core.end_reasons import EndReason
from codexsys_core.source import SourceFailure

_R = EndReason
# In order: the first that matches speaks. Git's own text never leaves: it may hold a secret.
_MEANINGS: tuple[tuple[str, EndReason, str], ...] = (
    ("could not resolve host", _R.HOST_UNKNOWN, "The host of the Git URL is not known."),
    (
        "connection timed out|timeout was reached|timed out",
        _R.SOURCE_UNREACHABLE,
        "The Git server did not answer in time.",
    ),
    (
        "connection refused|failed to connect|couldn't connect",
        _R.CONNECTION_REFUSED,
        "Nothing accepts connections at the host and port of the Git URL.",
    ),
    (
        "could not read (username|password)|authentication failed|returned error: 40[1347]|repository '.*' not found|terminal prompts disabled|unable to read askpass",
        _R.SOURCE_AUTH,
        "The repository is private or does not exist: the server asks for a login or says not found.",
    ),
    (
        "returned error: 30[0-9]|redirect",
        _R.ADDRESS_DENIED,
        "The server sends on to another address, which is not followed: submit the final URL.",
    ),
    (
        "not our ref|couldn't find remote ref|no such remote ref|unadvertised object",
        _R.REF_NOT_FOUND,
        "The commit is not in the repository.",
    ),
    ("non-commit object", _R.REF_NOT_FOUND, "The ref is not a commit."),
    (
        "ssl|certificate|tls",
        _R.SOURCE_UNREACHABLE,
        "The Git server's certificate is not accepted.",
    ),
    (
        # Ended by a signal without a word of its own: it met a limit on size.
        r"\A\s*fatal: fetch-pack: invalid index-pack output\s*\Z",
        _R.SOURCE_TOO_LARGE,
        "The repository is larger than the limit.",
    ),
    (
        "fsck error|invalid index-pack output|bad tree object|index-pack failed|bad object",
        _R.SOURCE_REFUSED,
        "The repository holds objects that are damaged or unsafe (git fsck refuses them).",
    ),
)
_REST = "The address answers, but not as a Git repository over smart HTTP."


def meaning(problem: GitFailed) -> SourceFailure:
    """Say what a failed command on a remote means for the task."""
    if isinstance(problem, GitTooLarge):
        return SourceFailure(_R.SOURCE_TOO_LARGE, "The repository is larger than the limit.")
    if isinstance(problem, GitTooSlow):
        return SourceFailure(_R.SOURCE_UNREACHABLE, "The repository could not be read in time.")
    for pattern, reason, detail in _MEANINGS:
        if re.search(pattern, problem.text, re.IGNORECASE):
            return SourceFailure(reason, detail)
    return SourceFailure(_R.SOURCE_UNREACHABLE, _REST)
