"""All hostile zips, by their names."""

from tests.unit.adapters.hostile_zips.directories import DIRECTORY, WIDE_LIES
from tests.unit.adapters.hostile_zips.headers import HEADERS
from tests.unit.adapters.hostile_zips.kinds import BOMBS, KINDS, PACKING
from tests.unit.adapters.hostile_zips.names import (
    FILE_AND_FOLDER,
    LINKS,
    NAMES,
    OTHER_NAMES,
    TWICE,
    both,
    named,
)

from codexsys_adapters.zips.rules import ZipLimits


def hostile() -> dict[str, tuple[bytes, str, ZipLimits]]:
    """Return all of them, with the limits that they are held to."""
    plain: dict[str, tuple[bytes, str]] = {}
    for about, cases in (
        ("headers", HEADERS),
        ("directory", DIRECTORY),
        ("64 bits", WIDE_LIES),
        ("names", {repr(name): (named(name), said) for name, said in NAMES.items()}),
        ("other names", OTHER_NAMES),
        ("twice", {repr(pair): (both(*pair), "twice") for pair in TWICE}),
        ("both", {repr(pair): (both(*pair), "is a file and the") for pair in FILE_AND_FOLDER}),
        ("links", {name: (data, "[Ll]ink") for name, data in LINKS.items()}),
        ("kinds", KINDS),
        ("packing", PACKING),
    ):
        plain |= {f"{about}: {name}": case for name, case in cases.items()}
    return {name: (*case, ZipLimits()) for name, case in plain.items()} | {
        f"bombs: {name}": case for name, case in BOMBS.items()
    }
