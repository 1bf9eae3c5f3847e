"""Recognises one plain call of jest, by itself, by npx or as the script of a package, and has our reporter told."""

import json
import secrets
from pathlib import Path

from codexsys_agent.runners.call import Call, Given
from codexsys_agent.runners.javascript_tests import parted, paths_of, plant
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
_PLANTED = "(globalThis.test ?? require('@jest/globals').test)('{}', () => {{ throw new Error('planted'); }});\n"


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
    named = jest_paths(options)
    planted = None
    if given.planted:
        text = _PLANTED.format(given.planted)
        planted = plant(given.code, given.planted, named, text, by_folder=True)
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
    told = parted(called, code, "jest", ".js")
    if told is None:
        return None
    program, words = told
    options = [word for word in words if not word.startswith(_ENDS_EARLY)]
    return None if _OTHER.intersection(w.partition("=")[0] for w in options) else (program, options)


def jest_paths(options: list[str]) -> list[str]:
    """Return the paths, or patterns of such, that a call names."""
    return paths_of(options, _VALUED)
