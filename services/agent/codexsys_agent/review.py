"""The last look: before work ends, its model sees the whole change once, as a reviewer would."""

from codexsys_agent.files import clip
from codexsys_agent.worktree import Taken

_SHOWN = 12_000
_ASKED = (
    "Remove debris and scratch files, revert what is unrelated and changes of existing tests that "
    "nobody asked for, and run the checks if they have not run since your last change."
)


def review(taken: Taken, criteria: tuple[str, ...]) -> str:
    """What is said instead of `ok` when a model calls its work done for the first time."""
    if not taken.changed:
        return (
            "Not ended yet: nothing in the working tree is changed. Make the change now, or call "
            "finish again and say why there is none."
        )
    files = "\n".join(
        f"{change.status} {change.as_json()['path']}" for change in taken.changed[:100]
    )
    more = f"\nand {len(taken.changed) - 100} more" if len(taken.changed) > 100 else ""
    diff = clip(taken.patch.decode("utf-8", "replace"), _SHOWN)
    return "\n".join(
        [
            "Not ended yet. Look at the whole change once more, as its reviewer:",
            f"{files}{more}\n\n{diff}",
            _ASKED,
            *(f"Is AC-{number} met? {text}" for number, text in enumerate(criteria, 1)),
            "Then call finish again.",
        ]
    )
