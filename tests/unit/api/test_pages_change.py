"""A change on its page: folded, whole, and side by side."""

from tests.unit.api.shown import Page, a_task, parsed

from codexsys_api.pages import PageContext, Pages, diff


def a_large_change(lines: int) -> diff.Diff:
    added = b"".join(b"+<b>line %d</b>\n" % number for number in range(1, lines + 1))
    head = b"diff --git a/big.txt b/big.txt\nnew file mode 100644\n@@ -0,0 +1,%d @@\n" % lines
    return diff.read(head + added)


def rows_of(page: Page) -> list[str]:
    return [str(row.get("id")) for row in page.all("tr") if str(row.get("id")).startswith("f1R")]


def test_a_large_file_is_folded_and_every_line_has_a_way_to_it(
    pages: Pages, ctx: PageContext
) -> None:
    change = a_large_change(5000)
    page = parsed(pages.task(a_task(), "diff", ctx, change=change))
    assert not rows_of(page)
    seen: list[str] = []
    for part in page.all("div"):
        if address := str(part.get("data-more") or ""):
            assert address.startswith(f"/tasks/{a_task()['id']}/diff?file=1&chunk=")
            chunk = int(address.partition("chunk=")[2].partition("&")[0])
            seen += rows_of(parsed(pages.diff_part(change, 1, chunk, "unified")))
    assert seen == [f"f1R{number}" for number in range(1, 5001)]
    assert "<b>line 4999</b>" in parsed(pages.diff_part(change, 1, 12, "split")).words
    assert not pages.diff_part(change, 1, 13, "unified")
    assert not pages.diff_part(change, 2, 0, "unified")
    without_script = parsed(pages.task(a_task(), "diff", ctx, change=change, at=(1, 10)))
    assert "f1R4999" in rows_of(without_script)


def test_side_by_side_has_what_was_removed_beside_what_came_instead(
    pages: Pages, ctx: PageContext
) -> None:
    patch = b"diff --git a/a.py b/a.py\n@@ -1,2 +1,3 @@\n same\n-old = 1\n+new = 1\n+more = 2\n"
    html = pages.task(a_task(), "diff", ctx, change=diff.read(patch), view="split")
    assert '<td class="del"><del>old</del> = ' in html
    assert '<td class="add"><ins>new</ins> = ' in html
    assert html.count('class="n void"') == 1
    assert 'id="f1R3"' in html
    assert "view=unified" in html
