"""What a runner told as a JUnit report, which the platform reads."""

import io
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import islice

from codexsys_agent.runners.call import Case

_LONGEST_NAME = 1000
_MOST_CASES = 200_000


def junit(cases: Iterable[Case]) -> bytes:
    """Return the report."""
    root = ET.Element("testsuites")
    suite = ET.SubElement(root, "testsuite")
    for case in islice(cases, _MOST_CASES):
        names = {"classname": _printable(case.suite), "name": _printable(case.name)}
        told = ET.SubElement(suite, "testcase", names)
        if case.result != "passed":
            ET.SubElement(told, "failure" if case.result == "failed" else "skipped")
    written = io.BytesIO()
    ET.ElementTree(root).write(written, encoding="utf-8")
    return written.getvalue()


def _printable(name: str) -> str:
    """XML has no room for control characters and halves of surrogates."""
    shown = name[:_LONGEST_NAME].encode(errors="replace").decode()
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in shown)
