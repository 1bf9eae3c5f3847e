"""Names that lead elsewhere, or are two names at once, and links."""

from tests.support.zip_writer import (
    DOS,
    LINK,
    NTFS,
    STORED,
    UTF8,
    Part,
    unicode_path,
    written,
)
from tests.unit.adapters.hostile_zips.case import Case


def named(name: str | bytes, system: int = 3) -> bytes:
    return written(Part("ok.py", "x"), Part(name, "x", flags=UTF8, system=system, external=None))


def both(first: str, second: str) -> bytes:
    return written(Part("z", "z"), Part(first, "1", flags=UTF8), Part(second, "2", flags=UTF8))


def linked(**links: str) -> bytes:
    """Write a zip with a folder, a file in it, and links to somewhere by their names."""
    made = [Part("d/x", "x"), Part("x", "x")]
    made += [
        Part(name.replace("_", "/"), target, method=STORED, mode=LINK)
        for name, target in links.items()
    ]
    return written(*made)


NAMES: dict[str, str] = {
    **dict.fromkeys(("../a", "d/../../a", "d/../a", "..", "d/.."), "leads out"),
    **dict.fromkeys(("/etc/passwd", "//host/share/a", "//./C:/a", "//?/C:/a", "/"), "absolute"),
    **dict.fromkeys(("C:/a", "c:a", "z:", "./C:/a"), "absolute"),
    **dict.fromkeys(("\\\\host\\share\\a", "..\\a", "d\\a", "\\\\.\\a", "d/..\\a"), "backslash"),
    **dict.fromkeys(("CON", "nul", "d/aux", "Lpt1", "COM\u00b9", "prn ", "NUL/a"), "device"),
    **dict.fromkeys(("com1:", "CONOUT$", "d/conin$/a", "n\u200dul"), "device"),
    **dict.fromkeys(("a\0.py", "a\nb", "a\rb", "\x1b[31mred", "a\x7f", "a\tb", "a\x9b31m"), "control"),
    **dict.fromkeys(("a\u2028b", "a\u2029b"), "control"),
    **dict.fromkeys(("a\u202egpj.py", "\u200fa", "\u2066a\u2069", "a\u061c", "\u202ba"), "turns"),
    **dict.fromkeys((".git/config", ".GIT/config", "d/.git", "d/.Git/HEAD", ".git/"), ".git folder"),
    **dict.fromkeys((".git./config", ".git /config", ".git. ./a", ".git...", "d/.git "), ".git folder"),
    **dict.fromkeys(("git~1/config", "GIT~1", "d/git~2", "git~10/x", "git~1./x"), ".git folder"),
    **dict.fromkeys((".git::$INDEX_ALLOCATION/config", ".git:x", ".GIT::$DATA"), ".git folder"),
    **dict.fromkeys((".g\u200cit/config", ".git\ufeff/a", "\u200d.git/a", ".g\u206fi\u200dt"), ".git folder"),
    **dict.fromkeys((".g\u0131t/config", ".G\u0130T/config"), ".git folder"),
    **dict.fromkeys(("a//b", "a/./b", "...", "d/ /a", " ", "d/. ./a", "a/\u200d/b"), "not a plain path"),
    **dict.fromkeys(("a" * 256, "é" * 128), "longer than 255 bytes"),
    **dict.fromkeys(("/".join("d" * 65), "/".join(["d" * 200] * 6)), "too long or too deep"),
}  # fmt: skip
OTHER_NAMES: dict[str, Case] = {
    "no name": (written(Part("ok", "x"), Part("", "x")), "not a plain path"),
    "no UTF-8": (written(Part("ok", "x"), Part(b"\xff\xfe", "x", flags=UTF8)), "not UTF-8"),
    "overlong UTF-8": (written(Part("ok", "x"), Part(b"\xc0\xaf", "x", flags=UTF8)), "not UTF-8"),
    "half a pair": (written(Part("ok", "x"), Part(b"\xed\xa0\x80", "x", flags=UTF8)), "not UTF-8"),
    "another name in Unicode": (
        written(Part("ok", "x"), Part("a", "x", extra=unicode_path(b"a", "../../a"))),
        "leads out",
    ),
    "a folder of git in Unicode": (
        written(Part("ok", "x"), Part("a", "x", extra=unicode_path(b"a", ".git/config"))),
        ".git folder",
    ),
    "of Windows, upwards": (named("..\\..\\a", NTFS), "leads out"),
    "of Windows, absolute": (named("\\windows\\a", DOS), "absolute"),
    "of Windows, of a share": (named("\\\\host\\share\\a", DOS), "absolute"),
    "of Windows, of a drive": (named("C:\\a", NTFS), "absolute"),
    "of Windows, of git": (named("d\\.git\\config", DOS), ".git folder"),
    "of Windows, mixed": (named("d\\..\\../a", DOS), "backslash"),
}
TWICE: tuple[tuple[str, str], ...] = (
    *(("a.py", "a.py"), ("a.py", "A.py"), ("d/a", "D/A"), ("\u00e9", "e\u0301"), ("É", "e\u0301")),
    *(("a", "a."), ("a", "a "), ("d/a", "d./a"), ("a.", "A . ."), ("stra\u00dfe", "STRASSE")),
    *(("a\u200d", "a"), ("\u212b", "\u00e5"), ("k", "\u212a")),
)
FILE_AND_FOLDER: tuple[tuple[str, str], ...] = (
    *(("a", "a/b"), ("a/b", "A"), ("a./b", "a"), ("é/x", "e\u0301"), ("a/b/c", "A/b.")),
)
LINKS: dict[str, bytes] = {
    "absolute": linked(l="/etc/passwd"),
    "above": linked(l="../x"),
    "above, from a folder": linked(d_l="../../x"),
    "above, by a way round": linked(l="d/../../x"),
    "above, over another": linked(a="d", d_b="../a/../../x"),
    "above, over three": linked(a="d", d_b="..", d_c="b/b2", b2="d/b/.."),
    "above, over a link to here": linked(up=".", l="up/../x"),
    "to itself": linked(l="l"),
    "in a circle": linked(a="b", b="c", c="a"),
    "ever longer": linked(**{f"l{at}": f"l{at + 1}/l{at + 1}" for at in range(60)}, l60="d"),
    "of Windows": linked(l="d\\x"),
    "to a drive": linked(l="C:/windows"),
    "to a share": linked(l="//host/share"),
    "to nothing": linked(l=""),
    "to a name with NUL": linked(l="d/x\0/../../etc"),
    "to a name that turns": linked(l="d/\u202ex"),
    "to a folder of git": linked(l=".git/config"),
    "to a folder of git, hidden": linked(l="d/.G\u200cIT/config"),
    "to a short name of git": linked(l="git~1/hooks"),
    "too long": linked(l="d/" * 2100 + "x"),
    "no UTF-8": written(Part("x", "x"), Part("l", b"\xff", method=STORED, mode=LINK)),
    "packed tightly": written(Part("x", "x"), Part("l", "d/../../x", mode=LINK)),
}
