"""Recognises one plain `node --test`, also as the script of a package, and reads what our reporter tells."""

import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from codexsys_agent.runners.call import Call, Case, Given, Result
from codexsys_agent.runners.words import Plain, plain

_SCRIPTS = (("test",), ("t",), ("run", "test"), ("run-script", "test"))
_PACKAGERS = ("npm", "pnpm", "yarn")
_LARGEST = 256 * 1024
_OTHER = (
    "--test-reporter",
    "--watch",
    "--test-only",
    "--test-shard",
    "--test-isolation",
    "--experimental-test-isolation",
)
_VALUED = frozenset(
    """
    -r --require --import --loader --experimental-loader -C --conditions --test-name-pattern
    --test-skip-pattern --test-concurrency --test-timeout --env-file --input-type
    """.split()  # noqa: SIM905 - a table is easier to read
)
_RESULTS: dict[str, Result] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
# Runs in node's own process, which starts another one for each file of tests: what these write comes as
# text of a file, and never stands behind the mark.
_REPORTER = """\
const MARK = %s;
export default async function* report(source) {
  const names = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      names.length = data.nesting;
      names[data.nesting] = data.name;
    } else if (type === 'test:pass' || type === 'test:fail') {
      names.length = data.nesting + 1;
      names[data.nesting] = data.name;
      const kind = data.skip !== undefined || data.todo !== undefined ? 'skip' : type.slice(5);
      const suite = data.details?.type === 'suite';
      if (!suite) yield MARK + JSON.stringify([kind, data.file ?? '', names]) + '\\n';
      if (kind === 'skip' || suite) continue;
      yield `${kind === 'pass' ? 'ok' : 'not ok'} ${names.join(' > ').replaceAll('\\n', ' ')}\\n`;
      const error = data.details?.error;
      if (kind === 'fail') yield `${error?.cause?.stack ?? error?.cause ?? error?.message ?? ''}\\n`;
    } else if (type === 'test:stdout' || type === 'test:stderr') {
      yield data.message.replaceAll(MARK, '');
    } else if (type === 'test:diagnostic') {
      yield `# ${data.message}\\n`;
    }
  }
}
"""


def node_call(given: Given) -> Call | None:
    """Return the call when this is one plain `node --test`."""
    written = plain(given.command)
    told = node_words(written, given.code) if written else None
    if told is None:
        return None
    found, options, named = told
    mark = secrets.token_hex(16)
    reporter = given.scratch / "reporter.mjs"
    reporter.write_text(_REPORTER % json.dumps(mark), encoding="ascii")
    ours = [f"--test-reporter={reporter.as_uri()}", "--test-reporter-destination=stdout"]
    added = [_plant(given.code, given.planted)] if given.planted else []
    words = [found.words[0], *ours, *options, *named, *(added if named else [])]
    return Call(found.with_words(words), listener=NodeListener(mark, given.code))


def node_words(found: Plain, code: Path) -> tuple[Plain, list[str], list[str]] | None:
    """Return the call of node that a command comes to, with its options and the paths that it names."""
    called = called_by_package(found, code)
    if called is None or called.program != "node":
        return None
    options, named = _split(called.words[1:])
    if "--test" not in options or any(word.startswith(_OTHER) for word in options):
        return None
    return called, options, named


def called_by_package(found: Plain, code: Path) -> Plain | None:
    """Return what a packager's call for tests comes to, None where that is not to be said; else the call itself."""
    is_packager = found.program in _PACKAGERS and found.words[1:] in _SCRIPTS
    return _script(code) if is_packager else found


def _script(code: Path) -> Plain | None:
    """Return what a package's `test` runs, where that is all that its packager would run."""
    file = code / "package.json"
    try:
        if file.stat().st_size > _LARGEST:
            return None
        scripts = json.loads(file.read_bytes())["scripts"]
        script = scripts["test"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(script, str) or {"pretest", "posttest"} & scripts.keys():
        return None
    return plain(script)


def _split(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Part node's own options from the paths that follow them."""
    n = 0
    while n < len(words) and words[n].startswith("-"):
        n += 2 if words[n] in _VALUED else 1
    return list(words[:n]), list(words[n:])


def _plant(code: Path, name: str) -> str:
    test = f"import test from 'node:test';\n\ntest('{name}', () => {{\n  throw new Error('planted');\n}});\n"
    place = code / f"{name}.test.mjs"
    place.write_text(test, encoding="ascii")
    return place.name


class NodeListener:
    """Lines with the mark are the reporter's; the others are for a person."""

    def __init__(self, mark: str, code: Path) -> None:
        self._mark = mark.encode()
        self._below = f"{code}/"
        self._cases: list[Case] = []

    def heard(self, line: bytes) -> bytes:
        """Take a line."""
        if not line.startswith(self._mark):
            return line
        try:
            kind, file, names = json.loads(line[len(self._mark) :])
            suite = self._relative(str(file))
            name = " > ".join(self._relative(str(each)) for each in names)
            self._cases.append(Case(suite, name, _RESULTS[kind]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return line
        return b""

    def cases(self) -> Iterable[Case]:
        """Return what was told."""
        return self._cases

    def _relative(self, path: str) -> str:
        return path.removeprefix("file://").removeprefix(self._below)
