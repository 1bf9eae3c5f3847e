"""Recognises one plain call of vitest, by itself, by npx or as the script of a package, and has our reporter told."""

import json
import secrets
from pathlib import Path

from codexsys_agent.runners.call import Call, Given
from codexsys_agent.runners.javascript_tests import parted, paths_of, plant
from codexsys_agent.runners.node_call import NodeListener, called_by_package
from codexsys_agent.runners.words import Plain, plain

# Options with which other tests run than all, other reporters are told, or what is compared with is written anew.
# Tests of types are none that could be made to fail.
_OTHER = frozenset(
    """
    --watch -w --ui --shard --changed --update -u --standalone --browser --typecheck --reporter --outputFile
    --mergeReports --help -h --version -v --inspect --inspectBrk --clearCache --listTags --
    """.split()  # noqa: SIM905 - a table is easier to read
)
_COMMANDS = ("watch", "dev", "related", "bench", "init", "list")
_VALUED = frozenset(
    """
    -c --config -r --root -t --testNamePattern --dir --pool --environment --exclude --project --testTimeout
    --hookTimeout --teardownTimeout --retry --maxWorkers --minWorkers --maxConcurrency --mode --attachmentsDir
    --diff --slowTestThreshold --configLoader --tagsFilter
    """.split()  # noqa: SIM905
)
# Runs in vitest's own process; tests run in others, or in threads. What was there when it was loaded is used.
_REPORTER = """\
const MARK = %s;
const write = process.stdout.write.bind(process.stdout), { stringify } = JSON;
const say = (...told) => write(`\\n${MARK}${stringify(told)}\\n`);
const KINDS = { passed: 'pass', failed: 'fail' };
const names = (of) => (of.type === 'module' ? [] : [...names(of.parent), of.name]);
const OLD = { pass: 'pass', fail: 'fail' };
const walk = (task, file, path) => {
  if (task.tasks) for (const each of task.tasks) walk(each, file, [...path, each.name]);
  else say(OLD[task.result?.state] ?? 'skip', file, path);
  if (task.tasks && task.result?.errors?.length) say('fail', file, ['(file)']);
};
let told = false;
export default class {
  onFinished(files = []) {
    if (!told) for (const file of files) walk(file, file.filepath, []); // before version 3
  }
  onTestModuleEnd(module) {
    told = true;
    for (const test of module.children.allTests()) {
      say(KINDS[test.result().state] ?? 'skip', module.moduleId, names(test));
    }
    const hooks = [...module.children.allSuites()].flatMap((suite) => suite.errors());
    if (module.errors().length || hooks.length) say('fail', module.moduleId, ['(file)']);
  }
}
"""
_PLANTED = (
    "import {{ test }} from 'vitest';\n\ntest('{}', () => {{ throw new Error('planted'); }});\n"
)


def vitest_call(given: Given) -> Call | None:
    """Return the call when this is one plain call of vitest."""
    written = plain(given.command)
    called = called_by_package(written, given.code) if written else None
    told = vitest_words(called, given.code) if called else None
    if called is None or told is None:
        return None
    program, options = told
    mark = secrets.token_hex(16)
    reporter = given.scratch / "reporter.mjs"
    reporter.write_text(_REPORTER % json.dumps(mark), encoding="ascii")
    named = vitest_paths(options)
    planted = None
    if given.planted:
        text = _PLANTED.format(given.planted)
        planted = plant(given.code, given.planted, named, text, by_folder=False)
    words = [
        *(*program, "run", *options),
        *([planted] if planted and named else []),
        *("--reporter=default", f"--reporter={reporter}"),
    ]
    # So that snapshots are compared with, and never written.
    env = {"CI": "1", "NO_COLOR": "1"}
    return Call(called.with_words(words), env, NodeListener(mark, given.code))


def vitest_words(called: Plain, code: Path) -> tuple[list[str], list[str]] | None:
    """Return the words that start vitest, and its options; None for another program, or what we do not run with."""
    told = parted(called, code, "vitest", ".mjs")
    if told is None:
        return None
    program, words = told
    if words[:1] == ["run"]:
        words = words[1:]
    options = _to_the_end([word for word in words if word not in ("--run", "--watch=false")])
    asked = {word.partition("=")[0].partition(".")[0] for word in options}
    other = bool(words) and words[0] in _COMMANDS
    return None if other or _OTHER & asked else (program, options)


def vitest_paths(options: list[str]) -> list[str]:
    """Return the parts of paths that a call names."""
    return paths_of(options, _VALUED)


def _to_the_end(options: list[str]) -> list[str]:
    """Leave out what ends a run at its first failures."""
    kept: list[str] = []
    rest = iter(options)
    for word in rest:
        if word == "--bail":
            next(rest, None)
        elif not word.startswith("--bail="):
            kept.append(word)
    return kept
