"""Makes tests of JavaScript fail, by the names that `node --test`, jest and vitest report."""

import re
from collections import defaultdict
from pathlib import Path

from codexsys_agent.broken.claims import Claims
from codexsys_agent.broken.files import texts

_ENDINGS = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx")
_CALLED = re.compile(r"\b(?:test|it)\b")
_IMPORTED = re.compile(r"^\s*import\b[^;]*?['\"]@jest/globals['\"]", re.MULTILINE)
# No hook follows the one, and the other passes when it fails: in the run in which all fail they are plain tests.
_OTHERWISE = re.compile(r"\.(?:failing|fails|concurrent)\b|\bfails\s*:\s*true\b")
_TEST = re.compile(
    r"\b(?:test|it)\(\s*(?P<quote>['\"`])(?P<name>[^'\"`\\\n$]+)(?P=quote)\s*,\s*"
    r"(?P<options>\{[^{}]*\}\s*,\s*)?(?:async\s+)?"
    r"(?:function\s*\w*\s*\((?P<taken>[^()]*)\)\s*(?P<body>\{)"
    r"|(?:\((?P<given>[^()]*)\)|(?P<alone>\w+))\s*=>\s*(?P<block>\{)?)"
)
_EXPECTED = "expectFailure"
_CONTEXT = "madeToFail"
# Where an assertion says nothing, the test passes, and that is found out.
_LIES = """\
(() => { const assert = process.getBuiltinModule?.('node:assert') ?? process.mainModule?.require('node:assert');\
 if (!assert) return false; const silent = (say) => { try { say(); return true; } catch { return false; } };\
 return [assert, assert.strict].some((a) => [() => a(false), () => a.ok(false), () => a.equal(1, 2), () => a.strictEqual(1, 2),\
 () => a.deepEqual([1], [2]), () => a.deepStrictEqual([1], [2]), () => a.notStrictEqual(1, 1), () => a.match('a', /b/),\
 () => a.throws(() => {}), () => a.fail()].some(silent)); })()"""
# The same for jest and vitest, on one line for who looks at types; a hook, which every test of a file must pass.
_GLOBAL = "globalThis.afterEach ? globalThis : require('@jest/globals')"
_OWN = "\n// @ts-ignore\nimport * as madeToFailBy from '{}';"
_OF_VITEST = re.compile(r"\bfrom\s*['\"]vitest['\"]|\bimport\.meta\.vitest\b")
_OF_TYPES = (".test-d.", ".spec-d.")
_HOOK = """
// @ts-ignore
;(() => { const given = GIVEN; given.afterEach(() => { const e = given.expect;\
 const silent = (say) => { try { say(); return true; } catch { return false; } };\
 if (![() => e(1).toBe(2), () => e(1).toEqual(2), () => e([1]).toStrictEqual([2]), () => e(false).toBeTruthy(), () => e(1).toBeFalsy(),\
 () => e(1).not.toBe(1), () => e([]).toContain(1), () => e('a').toMatch(/b/), () => e(() => {}).toThrow()].some(silent))\
 throw new Error('made to fail by the platform'); }); })();
"""
_FAILS = f"({_LIES} || (() => {{ throw new Error('made to fail by the platform'); }})())"


def break_javascript(code: Path, wanted: frozenset[str]) -> set[str]:
    """Change functions of tests; names are `file::outer > inner`."""
    claims = Claims(wanted)
    whole: set[str] = set()
    installed = {name for name in ("jest", "vitest") if (code / "node_modules" / name).is_dir()}
    of_file: defaultdict[str, set[str]] = defaultdict(set)
    for name in wanted:
        of_file[name.partition("::")[0]].add(name)
    for file, read in texts(code, _ENDINGS):
        text = read
        place = file.relative_to(code).as_posix()
        if any(each in place for each in _OF_TYPES):
            continue  # nothing of it is run
        runner = _runner(text, installed) if place in of_file else ""
        if runner:
            file.write_bytes(_failing_by_a_hook(text, runner).encode())
            whole |= of_file[place]
            continue
        found = [each for each in _TEST.finditer(text) if claims.knows(place, each["name"])]
        found = [each for each in found if _EXPECTED not in (each["options"] or "")]
        for each in reversed(found):
            text = _failing(text, each)
            claims.add(place, each["name"])
        if found:
            file.write_bytes(text.encode())
    return claims.good() | whole


def _failing(text: str, found: re.Match[str]) -> str:
    """Return the text in which this test fails: after its body, where its function can be told of the test."""
    kind = next(each for each in ("taken", "given", "alone") if found[each] is not None)
    first = found[kind].partition(",")[0].strip()
    context = first if re.fullmatch(r"[A-Za-z_]\w*", first) else _CONTEXT
    is_body = bool(found["body"] or found["block"])
    if first and context != first:  # it takes its context apart
        put = f" {_FAILS};" if is_body else f" {_FAILS} || "
        return text[: found.end()] + put + text[found.end() :]
    put = f" {context}.after(() => {{ {_FAILS}; }})" + (";" if is_body else " || ")
    start = found.start(kind)
    named = text[:start] + (context if not first else "") + text[start:]
    at = found.end() + len(named) - len(text)
    return named[:at] + put + named[at:]


def _runner(text: str, installed: set[str]) -> str:
    """Say which runner a file's tests are for; all of them fail when the hook that follows each of them does."""
    if "node:test" in text or not _CALLED.search(text):
        return ""
    if "vitest" in installed and (_OF_VITEST.search(text) or "jest" not in installed):
        return "vitest"
    return "jest" if "jest" in installed else ""


def _failing_by_a_hook(text: str, runner: str) -> str:
    module = "vitest" if runner == "vitest" else "@jest/globals"
    own = _OWN.format(module) if runner == "vitest" or _IMPORTED.search(text) else ""
    hook = _HOOK.replace("GIVEN", "madeToFailBy" if own else _GLOBAL)
    return _OTHERWISE.sub("", text) + own + hook
