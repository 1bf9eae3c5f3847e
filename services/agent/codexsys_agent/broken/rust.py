"""Makes tests of Rust fail, by the names that `cargo test` reports."""

import re
from pathlib import Path

from codexsys_agent.broken.claims import Claims
from codexsys_agent.broken.files import texts

_TEST = re.compile(
    r"^[ \t]*#\[(?:\w+::)*test(?:\([^\]\n]*\))?\]"
    r"(?P<more>(?:\s*(?:#\[[^\n]*\]|//[^\n]*))*)"
    r"\s*(?:pub(?:\([^)\n]*\))?\s+)?(?:async\s+)?(?:unsafe\s+)?fn\s+(?P<name>\w+)\s*\([^{}]*\{",
    re.MULTILINE,
)
_ELSEWHERE = re.compile(r"should_panic|cfg|ignore")
# The body runs: what lies for a test may do so only when the test calls it. Where an assertion says
# nothing, the test passes, and that is found out.
_FAILS = (
    " struct MadeToFail; impl ::std::ops::Drop for MadeToFail { fn drop(&mut self) {"
    " if !::std::thread::panicking()"
    " && ::std::panic::catch_unwind(|| assert!(::std::env::args().count() > 1 << 30)).is_err()"
    " && ::std::panic::catch_unwind(|| assert_eq!(1, 2)).is_err()"
    " && ::std::panic::catch_unwind(|| assert_ne!(1, 1)).is_err()"
    ' { ::std::panic!("made to fail by the platform") } } } let _made_to_fail = MadeToFail;'
)
_UNITS = ("src/lib.rs", "src/main.rs")


def break_rust(code: Path, wanted: frozenset[str]) -> set[str]:
    """Change functions of tests; names are `program (file)::module::function`."""
    claims = Claims(wanted)
    for file, read in texts(code, (".rs",)):
        text = read
        place = _program(file.relative_to(code))
        found = [each for each in _TEST.finditer(text) if claims.knows(place, each["name"])]
        found = [each for each in found if not _ELSEWHERE.search(each["more"])]
        for each in reversed(found):
            text = text[: each.end()] + _FAILS + text[each.end() :]
            claims.add(place, each["name"])
        if found:
            file.write_bytes(text.encode())
    return claims.good()


def _program(file: Path) -> str:
    """Return the file that a report names for this one's tests: a library's are those of its root."""
    parts = file.parts
    for folder in ("src", "tests"):
        if folder in parts:
            below = parts[parts.index(folder) :]
            return "/".join(below) if folder == "tests" or "/".join(below) in _UNITS else _UNITS[0]
    return file.as_posix()
