"""The names by which a user may ask for a commit, and what a remote's list says of them."""

import re

from codexsys_core.end_reasons import EndReason
from codexsys_core.source import SourceFailure, is_ref

_COMMIT = re.compile(r"[0-9a-f]{40}")


def commit_of(ref: str | None) -> str | None:
    """Return the ref when it is a full commit id."""
    wanted = (ref or "").lower()
    return wanted if _COMMIT.fullmatch(wanted) else None


def candidates(ref: str | None) -> list[str]:
    """Return the full names that a ref may stand for, the preferred one first."""
    if ref is None or ref == "HEAD":
        return ["HEAD"]
    if not is_ref(ref):
        raise SourceFailure(
            EndReason.REF_NOT_FOUND, "The ref is not a valid branch, tag or commit."
        )
    if ref.startswith("refs/"):
        return [f"{ref}^{{}}", ref]
    return [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]


def read_list(output: bytes) -> dict[str, str]:
    """Read what `git ls-remote` printed: name to object id."""
    found = {}
    for line in output.decode(errors="replace").splitlines():
        commit, _, name = line.partition("\t")
        found[name] = commit
    return found


def missing(ref: str | None) -> SourceFailure:
    """Make the failure for a ref that a non-empty repository does not have."""
    if ref is None:
        detail = "The repository's default branch does not exist; name a branch, tag or commit."
    elif re.fullmatch(r"[0-9a-fA-F]{4,39}", ref):
        detail = f"{ref} is no branch or tag; a commit must be given by its full 40 digits."
    else:
        detail = f"{ref} is not a branch, tag or commit of the repository."
    return SourceFailure(EndReason.REF_NOT_FOUND, detail)
