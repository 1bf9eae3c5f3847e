"""The form of a base on disk: a bare git directory of the platform's own making."""

from pathlib import Path

BASE_REF = "refs/heads/base"
CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
ATTRIBUTES = (
    "* !diff -text !eol -ident -filter -working-tree-encoding -merge -export-ignore -export-subst\n"
)
"""Above every `.gitattributes` of a tree, so that no file can hide in a diff or an archive."""


def lay_out(into: Path) -> None:
    """Make `into` (must not exist) an empty base: no remotes, no hooks, no user's configuration."""
    into.mkdir(mode=0o755)
    for folder in ("info", "objects/info", "objects/pack", "refs/heads"):
        (into / folder).mkdir(parents=True)
    write_rules(into)


def write_rules(directory: Path) -> None:
    """Write what the platform alone decides: head, configuration and attributes."""
    (directory / "info").mkdir(exist_ok=True)
    (directory / "HEAD").write_text(f"ref: {BASE_REF}\n")
    (directory / "config").write_text(CONFIG)
    (directory / "info" / "attributes").write_text(ATTRIBUTES)
