"""The generated pages are the committed ones."""

from pathlib import Path

from codexsys_wiring.reference import end_reasons_page, settings_page

DOCS = Path(__file__).parents[3] / "docs"


def test_settings_page_is_in_step() -> None:
    assert (DOCS / "settings.md").read_text() == settings_page(), "run make docs"


def test_end_reasons_page_is_in_step() -> None:
    assert (DOCS / "end-reasons.md").read_text() == end_reasons_page(), "run make docs"
