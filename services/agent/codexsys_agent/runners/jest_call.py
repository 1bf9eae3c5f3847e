"""Recognises one plain call of jest, by itself, by npx or as the script of a package, and has our reporter told."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from codexsys_agent.runners.call import Call, Given
from codexsys_agent.runners.node_call import NodeListener, called_by_package
from codexsys_agent.runners.words import Plain, plain

# Options with which other tests run than all, other reporters are told, or what is compared with is written anew.
_OTHER = frozenset(
    """
    --watch --watchAll --listTests --reporters --json --outputFile --shard --onlyChanged -o --changedSince
    --onlyFailures -f --findRelatedTests --lastCommit --updateSnapshot -u --help --version --showConfig --init
    --clearCache --testResultsProcessor --filter --globalSetup --testRunner --runner --notify --
    """.split()  # noqa: SIM905 - a table is easier to read
)
_ENDS_EARLY = ("--bail", "-b")
_VALUED = frozenset(
    """
    -c --config -t --testNamePattern -w --maxWorkers --testPathPattern --testPathPatterns --testPathIgnorePatterns
    --env --testEnvironment --rootDir --roots --selectProjects --ignoreProjects --projects --coverageDirectory
    --coverageReporters --collectCoverageFrom --testTimeout --maxConcurrency --seed --cacheDirectory
    """.split()  # noqa: SIM905
)
_NARROWS = ("--testPathPattern", "--testPathPatterns")
_NPX = (("npx",), ("npx", "--no-install"), ("pnpm", "exec"), ("yarn",), ("yarn", "run"))
_OWN = "node_modules/.bin/jest"
SCRIPTS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_PASSED_OVER = {".git", "node_modules", "dist", "build", "coverage"}
# Runs in jest's own process. What was there when it was loaded is used: tests may share that process.
_REPORTER = """\
const MARK = %s;
const write = process.stdout.write.bind(process.stdout), { stringify } = JSON;
const say = (...told) => write(`\\n${MARK}${stringify(told)}\\n`);
const KINDS = { passed: 'pass', failed: 'fail' };
module.exports = class {
  onTestResult(test, { testResults, testFilePath = test.path, testExecError }) {
    for (const { status, ancestorTitles, title } of testResults) {
      say(KINDS[status] ?? 'skip', testFilePath, [...ancestorTitles, title]);
    }
    if (testExecError) say('fail', testFilePath, ['(file)']);
  }
};
"""


def jest_call(given: Given) -> Call | None:
    """Return the call when this is one plain call of jest."""
    written = plain(given.command)
    called = called_by_package(written, given.code) if written else None
    told = jest_words(called, given.code) if called else None
    if called is None or told is None:
        return None
    program, options = told
    mark = secrets.token_hex(16)
    reporter = given.scratch / "reporter.cjs"
    reporter.write_text(_REPORTER % json.dumps(mark), encoding="ascii")
    named = named_by(options)
    planted = _plant(given.code, given.planted, named) if given.planted else None
    narrowed = bool(named) or any(word.partition("=")[0] in _NARROWS for word in options)
    words = [
        *program,
        *options,
        *([planted] if planted and narrowed else []),
        *("--reporters=default", f"--reporters={reporter}", "--ci", "--watchman=false"),
    ]
    env = {"FORCE_COLOR": "0"}
    return Call(called.with_words(words), env, NodeListener(mark, given.code))


def jest_words(called: Plain, code: Path) -> tuple[list[str], list[str]] | None:
    """Return the words that start jest, and its own; None for another program, or what we do not run with."""
    words = list(called.words)
    program = [_OWN] if (code / _OWN).exists() else ["jest"]
    for before in _NPX:
        if tuple(words[: len(before)]) == before and words[len(before) : len(before) + 1] == [
            "jest"
        ]:
            words = words[len(before) :]
    if called.program == "node":
        n = next((n for n, word in enumerate(words) if word.endswith(("/jest", "/jest.js"))), 0)
        program, words = words[: n + 1], words[n:]
    elif words and "/" in words[0]:
        program = words[:1]
    if not words or words[0].rpartition("/")[2] not in ("jest", "jest.js"):
        return None
    options = [word for word in words[1:] if not word.startswith(_ENDS_EARLY)]
    return None if _OTHER.intersection(w.partition("=")[0] for w in options) else (program, options)


def named_by(options: list[str]) -> list[str]:
    """Return the paths, or patterns of such, that a call names."""
    named: list[str] = []
    rest = iter(options)
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            named.append(word)
    return named


def _plant(code: Path, name: str, named: list[str]) -> str:
    """Write a test where the others are, and called as they are, so that it is found as they are found."""
    folder, ending = next(_tests(code, named), (code, ".test.js"))
    place = folder / f"{name}{ending}"
    test = f"(globalThis.test ?? require('@jest/globals').test)('{name}', () => {{ throw new Error('planted'); }});\n"
    head = "// @ts-nocheck\n" if ".ts" in ending else ""
    with place.open("x", encoding="ascii") as opened:
        opened.write(head + test)
    return place.relative_to(code).as_posix()


def _tests(code: Path, named: list[str]) -> Iterator[tuple[Path, str]]:
    """Give the folders that hold tests, and how these are called after their first point."""
    for root in [code / each for each in named if (code / each).is_dir()] or [code]:
        for place, folders, files in os.walk(root):
            folders[:] = sorted(each for each in folders if each not in _PASSED_OVER)
            for file in sorted(files):
                ending = _ending(file, Path(place).name)
                if ending:
                    yield Path(place), ending


def _ending(file: str, folder: str) -> str:
    if not file.endswith(SCRIPTS):
        return ""
    for infix in (".test.", ".spec."):
        if infix in file:
            return infix + file.rpartition(infix)[2]
    return Path(file).suffix if folder == "__tests__" else ""
