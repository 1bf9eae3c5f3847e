"""Read a runner's JUnit report. The file comes out of a sandbox: it may be hostile."""

from xml.etree import ElementTree as ET

from codexsys_core.verdict import TestReport

MOST_BYTES = 32 * 1024 * 1024


def read_junit(data: bytes) -> TestReport | None:
    """Return the names of tests by result, None when this is no report.

    A name is `classname::name`; a test that was reported twice counts as failed if it failed once.
    Document types are refused: entities are the only way a report could grow while it is read.
    """
    if len(data) > MOST_BYTES or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None
    try:
        root = ET.fromstring(data)  # noqa: S314 - no document type, bounded size
    except ET.ParseError:
        return None
    passed, failed, skipped = set[str](), set[str](), set[str]()
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.add(name)
        elif "skipped" in kinds:
            skipped.add(name)
        else:
            passed.add(name)
    passed -= failed
    return TestReport(
        passed=frozenset(passed),
        failed=frozenset(failed),
        skipped=frozenset(skipped - failed - passed),
    )
