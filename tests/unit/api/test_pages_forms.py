"""The form of a new task."""

from tests.unit.api.shown import HOSTILE, parsed

from codexsys_api.pages import PageContext, Pages


def test_what_was_typed_stays_after_an_error(pages: Pages, ctx: PageContext) -> None:
    typed = {"source": "zip", "prompt": f"\nfirst\r\n{HOSTILE}", "cost_usd": "0", "labels": HOSTILE}
    errors = {
        "cost_usd": "Must be more than 0.",
        "file": "It is no zip.",
        "unknown": "No.",
        "": "Refused.",
    }
    html = pages.submit(typed, errors, ctx, {"models": ["large-coder"], "limits": {"calls": 300}})
    page = parsed(html)
    assert "\u202e" in html  # what was typed is given back as it was
    assert [each.get("id") for each in page.all("input") if "checked" in each] == [
        "src-zip",
        "mode",
    ]
    wrong = {
        each.get("id"): each.get("aria-describedby")
        for each in page.all("input")
        if each.get("aria-invalid")
    }
    assert wrong == {"cost_usd": "cost_usd-e", "zip": "zip-e zip-h"}
    for message in errors.values():
        assert message in page.text


def test_an_empty_form_is_whole(pages: Pages, ctx: PageContext) -> None:
    page = parsed(pages.submit({"task": "task_1"}, {}, ctx, {}))
    names = {each.get("name") for tag in ("input", "textarea", "select") for each in page.all(tag)}
    assert {
        "csrf",
        "source",
        "url",
        "ref",
        "file",
        "task",
        "prompt",
        "mode",
        "engine",
        "model",
        "command",
    } <= names
    assert {
        "strategy",
        "may_change",
        "labels",
        "cost_usd",
        "wall_seconds",
        "calls",
        "attempts",
    } <= names
    assert page.all("form")[-1] == {
        "class": "form", "data-submit": None, "method": "post", "action": "/submit", "enctype": "multipart/form-data",
    }  # fmt: skip
