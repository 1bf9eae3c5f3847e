"""Which calls of node, go and cargo are given a report, and what is read of theirs."""

import os
import shutil
from pathlib import Path

import pytest
from tests.unit.agent.conftest import Sandbox
from tests.unit.agent.test_checks import run

from codexsys_agent.breaking import break_tests
from codexsys_agent.runners.call import Call, Given
from codexsys_agent.runners.cargo_call import CargoListener, cargo_call
from codexsys_agent.runners.go_call import GoListener, go_call
from codexsys_agent.runners.known import call_of
from codexsys_agent.runners.narrowed import narrowed
from codexsys_agent.runners.node_call import node_call

PLANTED = "test_k3j9x"
CARGO = """\
   Compiling shop v0.1.0 (/app/code)
     Running unittests src/lib.rs (target/debug/deps/shop-5e8be632f708916c)

running 4 tests
test tests::skipped ... ignored, for a reason
raw
test tests::one ... ok
test tests::two - should panic ... ok
test tests::three ... FAILED

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

     Running tests/ends.rs (/elsewhere/debug/deps/ends-b136dae8d9d93497)
running 2 tests
test all ... ok
     Running tests/lies.rs (target/debug/deps/lies-b136dae8d9d93498)
running 1 test
test all ... ok
test more ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests shop
test src/lib.rs - total (line 18) ... ok
test src/lib.rs - total (line 31) ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.17s
"""


def given(sandbox: Sandbox, command: str, planted: str | None = PLANTED) -> Given:
    scratch = sandbox.root / "scratch"
    scratch.mkdir(exist_ok=True)
    report = sandbox.root / "output/junit.xml"
    return Given(command, sandbox.code, scratch, report, {"PATH": os.environ["PATH"]}, planted)


def command_of(call: Call | None) -> str:
    assert call is not None
    return call.command


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("go test", f"go test -json . ./{PLANTED}"),
        ("go test ./...", f"go test -json ./... ./{PLANTED}"),
        (
            "CGO_ENABLED=0 go test -race -timeout 30s ./a ./b -short",
            f"CGO_ENABLED=0 go test -json -race -timeout 30s ./a ./b ./{PLANTED} -short",
        ),
        ("go test -run Total ./...", f"go test -json -run Total ./... ./{PLANTED}"),
        ("go test -count=1", f"go test -json -count=1 . ./{PLANTED}"),
    ],
)
def test_a_plain_go_test_is_recognised(sandbox: Sandbox, command: str, made: str) -> None:
    assert command_of(go_call(given(sandbox, command))) == made
    assert (sandbox.code / PLANTED / f"{PLANTED}_test.go").exists()


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("cargo test --offline -q", "cargo test --no-fail-fast --offline"),
        ("cargo t -p shop -- --nocapture", "cargo test --no-fail-fast -p shop --"),
    ],
)
def test_a_plain_cargo_test_is_recognised(sandbox: Sandbox, command: str, made: str) -> None:
    (sandbox.code / "Cargo.toml").write_text('[package]\nname = "shop"\n')
    assert command_of(cargo_call(given(sandbox, command))) == made
    assert (sandbox.code / "tests" / f"{PLANTED}.rs").exists()


def test_in_a_workspace_a_member_is_given_the_test(sandbox: Sandbox) -> None:
    (sandbox.code / "Cargo.toml").write_text('[workspace]\nmembers = ["../x", "crates/*"]\n')
    (sandbox.code / "crates/a").mkdir(parents=True)
    (sandbox.code / "crates/a/Cargo.toml").write_text('[package]\nname = "a"\n')
    assert cargo_call(given(sandbox, "cargo test"))
    assert (sandbox.code / "crates/a/tests" / f"{PLANTED}.rs").exists()


@pytest.mark.parametrize("script", ["node --test", "node --test test/"])
def test_a_packages_script_is_looked_through(sandbox: Sandbox, script: str) -> None:
    (sandbox.code / "package.json").write_text(f'{{"scripts": {{"test": "{script}"}}}}')
    direct, through = (
        command_of(node_call(given(sandbox, command, None))) for command in (script, "npm test")
    )
    assert direct.endswith(script.removeprefix("node"))
    assert through.endswith(script.removeprefix("node"))


@pytest.mark.parametrize(
    "command",
    [
        "go test ./... && true",
        "go vet ./...",
        "go test -exec true ./...",
        "go test -json ./...",
        "go test ./... -args -x",
        "GOFLAGS=-toolexec=true go test",
        "cargo build",
        "cargo test --no-run",
        "cargo test -- --format json",
        "cargo +nightly test",
        "node test.js",
        "node --test --watch",
        "node script.js --test",
        "npm test",
        "npm run build",
        "yarn",
        "",
    ],
)
def test_anything_else_is_run_as_it_is(sandbox: Sandbox, command: str) -> None:
    scripts = '{"scripts": {"test": "node --test", "pretest": "true"}}'
    (sandbox.code / "package.json").write_text(scripts)
    assert call_of(given(sandbox, command)) is None
    assert not list(sandbox.code.glob(f"**/{PLANTED}*"))


def test_only_programs_that_told_how_many_tests_they_had_count() -> None:
    listener = CargoListener()
    for line in CARGO.splitlines(keepends=True):
        assert listener.heard(line.encode()) == line.encode()
    told = {f"{case.suite}::{case.name}": case.result for case in listener.cases()}
    assert told == {
        "shop (src/lib.rs)::tests::skipped": "skipped",
        "shop (src/lib.rs)::tests::one": "passed",
        "shop (src/lib.rs)::tests::two": "passed",
        "shop (src/lib.rs)::tests::three": "failed",
        "shop (doc)::src/lib.rs - total #1": "passed",
        "shop (doc)::src/lib.rs - total #2": "passed",
    }


def test_a_package_that_fails_without_a_test_is_one_failure() -> None:
    listener = GoListener()
    events = [
        b'{"Action":"run","Package":"a","Test":"TestX"}\n',
        b'{"Action":"output","Package":"a","Test":"TestX","Output":"--- PASS: TestX (0.00s)\\n"}\n',
        b'{"Action":"pass","Package":"a","Test":"TestX"}\n',
        b'{"Action":"fail","Package":"a"}\n',
        b'{"Action":"fail","Package":"b","Test":"TestY"}\n',
        b'{"Action":"fail","Package":"b"}\n',
        b"# a [build failed]\n",
        b'{"Action":"output","Package":"b","Output":"    y_test.go:3: no\\n"}\n',
        b'["Action"]\n',
    ]
    shown = b"".join(listener.heard(event) for event in events)
    assert shown == b'# a [build failed]\n    y_test.go:3: no\n["Action"]\n'
    assert [(case.suite, case.name, case.result) for case in listener.cases()] == [
        ("a", "TestX", "passed"),
        ("b", "TestY", "failed"),
        ("a", "(package)", "failed"),
    ]


SHOP = """\
import { describe, it, test } from 'node:test';
import assert from 'node:assert';

test('adds', () => {
  assert.equal(1 + 1, 2);
});
test("is one", { timeout: 1000 }, async (t) => assert.equal(1, 1));
describe('of things', () => {
  it(`works`, function () { assert.ok(true); });
  it.skip('not yet', () => {});
});
test('takes apart', ({ name }) => { assert.ok(name); });
test('by helper', helper);
function helper() {}
"""


def test_node_tells_of_each_and_each_can_be_made_to_fail(sandbox: Sandbox) -> None:
    (sandbox.code / "shop.test.mjs").write_text(SHOP)
    code, told = run(sandbox, "node --test")
    assert code == 1
    passing = {"adds", "is one", "of things > works", "takes apart", "by helper"}
    assert {name for name, passed in told.items() if passed} - {"of things > not yet"} == passing
    assert not told[PLANTED]
    names = frozenset(f"shop.test.mjs::{name}" for name in passing)
    broken = break_tests(sandbox.code, names)
    assert broken == names - {"shop.test.mjs::by helper"}
    (sandbox.code / f"{PLANTED}.test.mjs").unlink()
    told = run(sandbox, "node --test")[1]
    assert {name for name, passed in told.items() if passed} == {"by helper", "of things > not yet"}


def test_a_report_stands_where_a_command_has_put_something_else(sandbox: Sandbox) -> None:
    made = Path(sandbox.root / "output/junit.xml")
    text = f"import fs from 'node:fs';\nfs.mkdirSync('{made}/x', {{ recursive: true }});\n{SHOP}"
    (sandbox.code / "shop.test.mjs").write_text(text)
    assert run(sandbox, "node --test")[1]["adds"]
    shutil.rmtree(made, ignore_errors=True)


FILES = {
    "shop/total.py": "",
    "shop/names.py": "",
    "tests/unit/test_total.py": "from shop import total\n",
    "tests/unit/test_names.py": "import shop.names\n",
    "tests/e2e/test_all.py": "from shop import names, total\n",
    "lib/sum.js": "",
    "test/sum.js": "const sum = require('../lib/sum');\n",
    "test/other.js": "const sum = 1;\nrequire('../lib/other');\n",
    "go.mod": "module example.org/shop\n",
    "a/a.go": 'package a\n\nimport "example.org/shop/b"\n',
    "b/b.go": "package b\n",
    "c/c.go": "package c\n",
    "Cargo.toml": "[workspace]\n",
    "crates/x/Cargo.toml": '[package]\nname = "the-x"\n',
}


@pytest.mark.parametrize(
    ("command", "changed", "made"),
    [
        ("pytest -q", "shop/total.py", "pytest -q tests/e2e/test_all.py tests/unit/test_total.py"),
        ("pytest -q tests/unit", "shop/names.py", "pytest -q tests/unit/test_names.py"),
        ("python -m pytest", "tests/e2e/test_all.py", "python -m pytest tests/e2e/test_all.py"),
        ("pytest -q", "README.md", None),
        ("node --test", "lib/sum.js", "node --test test/sum.js"),
        ("go test ./...", "b/b.go", "go test ./a ./b"),
        ("go test -race ./...", "c/gone.go", "go test -race ./c"),
        ("cargo test -q", "crates/x/src/lib.rs", "cargo test -p the-x -q"),
        ("cargo test -q", "tests/shop.rs", "cargo test --test shop -q"),
        ("make test", "shop/total.py", None),
        ("pytest && true", "shop/total.py", None),
    ],
)
def test_what_touches_a_change_is_found_by_names(
    sandbox: Sandbox, command: str, changed: str, made: str | None
) -> None:
    for name, text in FILES.items():
        (sandbox.code / name).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.code / name).write_text(text)
    assert narrowed(command, sandbox.code, [changed]) == made
