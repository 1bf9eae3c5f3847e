"""Which calls of vitest are given a report, where a test is planted for them, and how all tests of a file are made to fail."""

import json
import shlex

import pytest
from tests.unit.agent.conftest import Sandbox
from tests.unit.agent.test_runners import PLANTED, command_of, given

from codexsys_agent.breaking import break_tests
from codexsys_agent.runners.known import call_of
from codexsys_agent.runners.narrowed import narrowed
from codexsys_agent.runners.vitest_call import vitest_call


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        ("vitest", ["vitest", "run"]),
        ("npx vitest run --coverage", ["vitest", "run", "--coverage"]),
        ("npx --no-install vitest --run", ["vitest", "run"]),
        ("pnpm vitest run", ["vitest", "run"]),
        ("yarn vitest --watch=false", ["vitest", "run"]),
        ("TZ=UTC vitest -t 'a b'", ["TZ=UTC", "vitest", "run", "-t", "a b"]),
        ("./node_modules/.bin/vitest run --pool threads", ["./node_modules/.bin/vitest", "run", "--pool", "threads"]),
        ("node node_modules/vitest/vitest.mjs run", ["node", "node_modules/vitest/vitest.mjs", "run"]),
        ("vitest run --bail 1 --silent", ["vitest", "run", "--silent"]),
        ("vitest run --bail=1 -c x.ts", ["vitest", "run", "-c", "x.ts"]),
    ],
)  # fmt: skip
def test_plain_calls_are_given_our_reporter(sandbox: Sandbox, command: str, begins: list[str]) -> None:  # fmt: skip
    words = shlex.split(command_of(call_of(given(sandbox, command))))
    assert words[: len(begins)] == begins
    reporter = f"--reporter={sandbox.root}/scratch/reporter.mjs"
    assert words[len(begins) :] == ["--reporter=default", reporter]


@pytest.mark.parametrize(
    "command",
    [
        "vitest && true", "vitest | cat", "vitest $X", "vitest run -- a", "vitest run -u", "vitest --update", "vitest watch",
        "vitest dev", "vitest bench", "vitest related a.ts", "vitest list", "vitest --watch", "vitest -w", "vitest run --ui",
        "vitest run --reporter=json", "vitest run --reporter json", "vitest run --outputFile.json=x", "vitest run --changed",
        "vitest run --shard=1/2", "vitest run --typecheck", "vitest run --typecheck.only", "vitest run --browser=chrome",
        "vitest run --mergeReports", "npx vitests", "npx jest", "node vitest.config.js", "npm test",
    ],
)  # fmt: skip
def test_others_are_run_as_they_are(sandbox: Sandbox, command: str) -> None:
    assert vitest_call(given(sandbox, command)) is None


def test_a_packages_script_is_one_of_them(sandbox: Sandbox) -> None:
    package = sandbox.code / "package.json"
    package.write_text(json.dumps({"scripts": {"test": "TZ=UTC vitest --run"}}))
    call = vitest_call(given(sandbox, "npm test"))
    assert command_of(call).startswith("TZ=UTC vitest run --reporter")
    package.write_text(json.dumps({"scripts": {"test": "vitest", "pretest": "tsc"}}))
    assert vitest_call(given(sandbox, "npm test")) is None


@pytest.mark.parametrize(
    ("command", "files", "planted", "named"),
    [
        ("vitest", [], f"{PLANTED}.test.js", False),
        ("vitest run", ["src/a.spec.tsx", "src/a.tsx"], f"src/{PLANTED}.spec.tsx", False),
        ("vitest run", ["__tests__/helper.ts", "src/b.test.mts"], f"src/{PLANTED}.test.mts", False),
        ("vitest run web", ["api/a.test.js", "web/b.test.mjs"], f"web/{PLANTED}.test.mjs", True),
        ("vitest -t web", ["api/a.test.js"], f"api/{PLANTED}.test.js", False),
    ],
)
def test_the_planted_test_is_where_and_as_the_others_are(
    sandbox: Sandbox, command: str, files: list[str], planted: str, *, named: bool
) -> None:
    for file in files:
        (sandbox.code / file).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.code / file).write_text("")
    words = shlex.split(command_of(vitest_call(given(sandbox, command))))
    assert PLANTED in (sandbox.code / planted).read_text()
    assert (planted in words) is named


def test_all_tests_of_a_file_are_made_to_fail_where_vitest_is(sandbox: Sandbox) -> None:
    files = {
        "a.test.ts": "import { test } from 'vitest';\ntest('one', () => {});\ntest.each([1])('two %d', () => {});\n",
        "globals.test.js": "it('three', () => {})\n",
        "odd.test.ts": "import { it, test } from 'vitest';\ntest.fails('four', () => {});\nit.concurrent('five', { fails: true }, () => {});\n",
        "types.test-d.ts": "import { test } from 'vitest';\ntest('six', () => {});\n",
    }
    for name, text in files.items():
        (sandbox.code / name).write_text(text)
    wanted = {"a.test.ts::one", "a.test.ts::two 1", "globals.test.js::three", "odd.test.ts::four", "odd.test.ts::five"}  # fmt: skip
    (sandbox.code / "node_modules/vitest").mkdir(parents=True)
    assert break_tests(sandbox.code, frozenset(wanted | {"types.test-d.ts::six"})) == wanted
    for name in ("a.test.ts", "globals.test.js"):
        made = (sandbox.code / name).read_text()
        assert made.startswith(files[name])
        assert "import * as madeToFailBy from 'vitest'" in made
    odd = (sandbox.code / "odd.test.ts").read_text()
    assert "test('four', () => {});\nit('five', {  }, () => {});\n" in odd


def test_files_of_vitest_and_of_jest_are_told_apart(sandbox: Sandbox) -> None:
    files = {
        "a.test.ts": "import { test } from 'vitest';\ntest('one', () => {});\n",
        "b.test.js": "test('two', () => {});\n",
    }
    for name, text in files.items():
        (sandbox.code / name).write_text(text)
    for name in ("jest", "vitest"):
        (sandbox.code / "node_modules" / name).mkdir(parents=True)
    wanted = {"a.test.ts::one", "b.test.js::two"}
    assert break_tests(sandbox.code, frozenset(wanted)) == wanted
    assert (
        "from 'vitest';\n" in (sandbox.code / "a.test.ts").read_text().partition("madeToFailBy")[2]
    )
    assert "globalThis.afterEach" in (sandbox.code / "b.test.js").read_text()


def test_a_part_are_the_files_that_import_what_is_changed(sandbox: Sandbox) -> None:
    files = {
        "src/shop.ts": "",
        "src/shop.test.ts": "import { total } from './shop';\n",
        "src/till.test.ts": "import { ring } from './till';\n",
    }
    for name, text in files.items():
        (sandbox.code / name).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.code / name).write_text(text)
    changed = ["src/shop.ts"]
    made = "vitest run --coverage src/shop.test.ts"
    assert narrowed("npx vitest --coverage", sandbox.code, changed) == made
    assert narrowed("vitest run src", sandbox.code, changed) == "vitest run src/shop.test.ts"
    assert narrowed("vitest", sandbox.code, ["README.md"]) is None
