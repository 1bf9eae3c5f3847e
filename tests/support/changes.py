"""A small shop with one bug, and scripts that change it: how each is checked and what must be found."""

from dataclasses import dataclass, field
from typing import Any

from codexsys_core.verdict import Verdict

SHOP = {
    "shop.py": "import money\n\n\ndef total(prices):\n    return money.add(prices) + 1\n\n\ndef name():\n    return 'shop'\n",
    "money.py": "def add(prices):\n    return sum(prices)\n",
    "old.py": "def fax():\n    return 'fax'\n",
    "src/till.py": "def ring():\n    return 'ring'\n",
    "test_shop.py": (
        "import shop\n\n\ndef test_total():\n    assert shop.total([1, 2]) == 3\n\n\n"
        "def test_name():\n    assert shop.name() == 'shop'\n"
    ),
    "tests/test_old.py": "import old\n\n\ndef test_fax():\n    assert old.fax() == 'fax'\n",
    "tests/test_till.py": "import till\n\n\ndef test_ring():\n    assert till.ring() == 'ring'\n",
    "inspections/inspect_money.py": "import money\n\n\ndef test_add():\n    assert money.add([2, 2]) == 4\n",
    "pytest.ini": "[pytest]\npython_files = test_*.py inspect_*.py\n",
    "check.sh": "python3 -c 'import shop; assert shop.total([1, 2]) == 3'\n",
    "own.sh": (
        "sh check.sh && case= || case='<failure/>'\n"
        "echo \"<testsuite><testcase name='a'/><testcase name='b'>$case</testcase></testsuite>\" > $1\n"
    ),
    "Makefile": "check:\n\tsh check.sh\n",
    "package.json": '{"scripts": {"test": "sh check.sh"}}\n',
    "npm.py": "import json, subprocess, sys\nsys.exit(subprocess.call(json.load(open('package.json'))['scripts']['test'], shell=True))\n",
    "setup.sh": "set -eu\necho 1 > made.txt\nsite=$(python3 -m site --user-site)\ncp src/till.py $site/\n",
    "requirements.txt": "left-pad==1.0\n",
    "run.bat": "@echo off\r\necho shop\r\n",
    "run.cmd": "@echo off\necho shop\n",
    "notes.md": "$Id$\n",
    ".gitattributes": "*.bat text eol=crlf\n*.cmd text eol=crlf\n*.md ident\n",
    ".gitignore": "*.log\nsite/\n",
}
"""`test_total` fails; every other test passes. Setup leaves a copy of `till` that is imported first."""
PYTEST = "python3 -m pytest -q"
MEND = "sed -i 's/ + 1$//' shop.py\n"
GREEN = "echo 'all tests passed, everything is green'\n"


@dataclass(frozen=True)
class Change:
    """What a script does to the shop, how that is checked, and what must be found."""

    script: str
    verdict: Verdict
    says: str = ""
    """What the evidence must name."""
    checks: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    """What a person is told to look at, at least."""


def put(path: str, text: str) -> str:
    """Return the lines of a script that write a file."""
    return f"mkdir -p \"$(dirname {path})\"\ncat > {path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE\n"


def product(text: str) -> str:
    """Return the lines that put code on top of the product's own."""
    return put("head.py", text) + "cat head.py shop.py > both; mv both shop.py; rm head.py\n"
