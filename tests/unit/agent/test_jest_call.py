"""Which calls of jest are given a report, where a test is planted for them, and how all tests of a file are made to fail."""

import json
import shlex

import pytest
from tests.unit.agent.conftest import Sandbox
from tests.unit.agent.test_runners import PLANTED, command_of, given

from codexsys_agent.breaking import break_tests
from codexsys_agent.runners.jest_call import jest_call
from codexsys_agent.runners.known import call_of
from codexsys_agent.runners.narrowed import narrowed


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        ("jest", ["jest"]),
        ("npx jest --coverage", ["jest", "--coverage"]),
        ("npx --no-install jest -i", ["jest", "-i"]),
        ("yarn jest", ["jest"]),
        ("pnpm exec jest", ["jest"]),
        ("CI=1 jest -t 'a b'", ["CI=1", "jest", "-t", "a b"]),
        ("./node_modules/.bin/jest -w 2", ["./node_modules/.bin/jest", "-w", "2"]),
        ("node --experimental-vm-modules node_modules/jest/bin/jest.js", ["node", "--experimental-vm-modules", "node_modules/jest/bin/jest.js"]),
        ("jest --bail --passWithNoTests", ["jest", "--passWithNoTests"]),
        ("jest --bail=1 -c x.json", ["jest", "-c", "x.json"]),
    ],
)  # fmt: skip
def test_plain_calls_are_given_our_reporter(sandbox: Sandbox, command: str, begins: list[str]) -> None:  # fmt: skip
    words = shlex.split(command_of(call_of(given(sandbox, command))))
    assert words[: len(begins)] == begins
    reporter = f"--reporters={sandbox.root}/scratch/reporter.cjs"
    assert words[len(begins) :] == ["--reporters=default", reporter, "--ci", "--watchman=false"]


@pytest.mark.parametrize(
    "command",
    [
        "jest && true", "jest | cat", "jest $X", "jest -- a", "jest -u", "jest --updateSnapshot", "jest --watchAll",
        "jest --reporters=none", "jest --reporters none", "jest -o", "jest --onlyChanged", "jest --shard=1/2",
        "jest --json", "jest --testRunner=./mine", "jest --globalSetup=x", "npx jestify", "npx vitest run", "node jest.config.js",
        "npm test",
    ],
)  # fmt: skip
def test_others_are_run_as_they_are(sandbox: Sandbox, command: str) -> None:
    assert jest_call(given(sandbox, command)) is None


def test_a_packages_script_is_one_of_them(sandbox: Sandbox) -> None:
    package = sandbox.code / "package.json"
    package.write_text(json.dumps({"scripts": {"test": "TZ=UTC jest --ci"}}))
    assert command_of(jest_call(given(sandbox, "npm test"))).startswith("TZ=UTC jest --ci ")
    package.write_text(json.dumps({"scripts": {"test": "jest", "pretest": "tsc"}}))
    assert jest_call(given(sandbox, "npm test")) is None


@pytest.mark.parametrize(
    ("command", "files", "planted", "named"),
    [
        ("jest", [], f"{PLANTED}.test.js", False),
        ("jest", ["src/a.spec.tsx", "src/a.tsx"], f"src/{PLANTED}.spec.tsx", False),
        ("jest", ["__tests__/a.ts", "src/b.js"], f"__tests__/{PLANTED}.ts", False),
        ("jest", ["node_modules/x/a.test.js"], f"{PLANTED}.test.js", False),
        ("jest web", ["api/a.test.js", "web/b.test.mjs"], f"web/{PLANTED}.test.mjs", True),
        ("jest -t web", ["api/a.test.js"], f"api/{PLANTED}.test.js", False),
        ("jest --testPathPatterns=web", ["web/a.test.js"], f"web/{PLANTED}.test.js", True),
    ],
)
def test_the_planted_test_is_where_and_as_the_others_are(
    sandbox: Sandbox, command: str, files: list[str], planted: str, *, named: bool
) -> None:
    for file in files:
        (sandbox.code / file).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.code / file).write_text("")
    words = shlex.split(command_of(jest_call(given(sandbox, command))))
    assert PLANTED in (sandbox.code / planted).read_text()
    assert (planted in words) is named


def test_all_tests_of_a_file_are_made_to_fail_where_jest_is(sandbox: Sandbox) -> None:
    files = {
        "a.test.js": "test('one', () => {});\ntest.each([1])('two %d', () => {});\n",
        "b.test.ts": "/** @jest-environment jsdom */\nit('three', () => {})\n",
        "odd.test.js": "test.failing('four', () => {});\nit.concurrent.each([1])('five', () => {});\n",
        "own.test.mjs": "import {\n  test,\n} from '@jest/globals';\ntest('seven', () => {});\n",
        "c.test.js": "const { test } = require('node:test');\ntest('six', () => {});\n",
    }
    for name, text in files.items():
        (sandbox.code / name).write_text(text)
    wanted = {
        "odd.test.js::four",
        "odd.test.js::five",
        "own.test.mjs::seven",
        "a.test.js::one",
        "a.test.js::two 1",
        "b.test.ts::three",
        "c.test.js::six",
    }
    asked = frozenset(wanted | {"gone.test.js::x"})
    (sandbox.code / "node_modules/jest").mkdir(parents=True)
    assert break_tests(sandbox.code, asked) == wanted
    assert (sandbox.code / "b.test.ts").read_text().startswith(files["b.test.ts"])
    odd = (sandbox.code / "odd.test.js").read_text()
    assert odd.startswith("test('four', () => {});\nit.each([1])('five', () => {});\n")
    own = (sandbox.code / "own.test.mjs").read_text()
    assert "import * as madeToFailBy from '@jest/globals'" in own
    assert "require" not in own


def test_a_part_are_the_files_that_import_what_is_changed(sandbox: Sandbox) -> None:
    files = {
        "src/shop.ts": "",
        "src/shop.test.ts": "import { total } from './shop';\n",
        "src/till.test.ts": "import { ring } from './till';\n",
        "__tests__/all.js": "const shop = require('../src/shop');\n",
        "__tests__/helper.json": "{}",
    }
    for name, text in files.items():
        (sandbox.code / name).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.code / name).write_text(text)
    changed = ["src/shop.ts"]
    made = "jest --coverage __tests__/all.js src/shop.test.ts"
    assert narrowed("npx jest --coverage", sandbox.code, changed) == made
    assert narrowed("jest src", sandbox.code, changed) == "jest src/shop.test.ts"
    assert narrowed("jest", sandbox.code, ["README.md"]) is None
