"""Whatever others wrote stays text, and a share shows what it may."""

from tests.unit.api.shown import ALL_TABS, HOSTILE, a_task, a_trajectory, parsed

from codexsys_api.pages import PageContext, Pages, diff, shareable


def test_hostile_text_stays_text(pages: Pages, ctx: PageContext) -> None:
    task = a_task(
        prompt=HOSTILE, model=HOSTILE, labels={HOSTILE: HOSTILE},
        source={"git": {"url": HOSTILE, "ref": HOSTILE}},
        plan=[{"step": HOSTILE, "done": False}],
        checks={"command": HOSTILE, "after": {HOSTILE: 1}, "sentences": [HOSTILE], "broken": [HOSTILE]},
        end_reason={"code": HOSTILE, "category": HOSTILE, "cause": HOSTILE, "next": HOSTILE},
    )  # fmt: skip
    artifact = {
        "name": HOSTILE,
        "size": 1,
        "sha256": HOSTILE,
        "url": "/x",
        "content_type": "",
        "expires_at": "",
    }
    event = {
        "id": 1,
        "type": HOSTILE,
        "at": "2026-11-20T09:24:00Z",
        "attempt": 1,
        "data": {HOSTILE: HOSTILE},
    }
    patch = f"diff --git a/{HOSTILE} b/{HOSTILE}\n@@ -1 +1 @@ {HOSTILE}\n-{HOSTILE}\n+{HOSTILE}2\n".encode()
    change = diff.read(patch)
    evil = a_trajectory(HOSTILE)
    for tab in ALL_TABS:
        html = pages.task(
            task, tab, ctx, artifacts=[artifact], events=[event], change=change, trajectory=evil,
            log_tail=(HOSTILE, False), verify_tail=(HOSTILE, False), answer=HOSTILE, new_share_url=HOSTILE, error=HOSTILE,
        )  # fmt: skip
        parsed(html)
        assert "\x1b" not in html
    everything = ["status", "diff", "logs", "report", "prompt", "conversation"]
    parsed(
        pages.share(
            task,
            everything,
            log_tail=(HOSTILE, False),
            change=change,
            report_md=HOSTILE,
            trajectory=evil,
        )
    )
    parsed(pages.tasks([task], HOSTILE, {"label": HOSTILE}, ctx))
    parsed(
        pages.error({"title": HOSTILE, "detail": HOSTILE, "instance": HOSTILE, "status": 404}, ctx)
    )
    parsed(pages.sign_in(HOSTILE, ctx))


def test_a_shared_page_has_no_cost_and_no_prompt(pages: Pages) -> None:
    parts = ["status", "logs", "diff", "report"]
    files = [
        {"name": name, "size": 1, "sha256": "0", "url": f"/s/t/{name}"}
        for name in ("prompt.txt", "diff.patch")
    ]
    html = pages.share(
        a_task(), parts, log_tail=("x", False), report_md="# Report", artifacts=files
    )
    said = parsed(html).text
    for hidden in ("Retry-After", "0.41", "$", "142,310", "prompt.txt", "<form"):
        assert hidden not in html
    assert "Verified" in said
    assert "diff.patch" in said
    assert "Honour Retry-After" in pages.share(a_task(), ["prompt"])
    assert "Verified" not in pages.share(a_task(), ["diff"])


def test_what_a_share_may_show_is_closed() -> None:
    assert shareable("diff.patch", ["diff"])
    assert not shareable("trajectory.json", ["diff", "logs", "report", "status", "prompt"])
    assert not shareable(
        "unknown.bin", ["diff", "logs", "report", "status", "prompt", "conversation"]
    )


def test_share_links_can_be_made_and_revoked(pages: Pages, ctx: PageContext) -> None:
    share = {
        "id": "share_1", "parts": ["status", "diff"], "url": None,
        "created_at": "2026-11-20T09:34:00Z", "expires_at": "2026-11-27T09:34:00Z",
    }  # fmt: skip
    html = pages.task(
        a_task(), "share", ctx, shares=[share], new_share_url="https://c.example.org/s/kQ3v"
    )
    page = parsed(html)
    assert "https://c.example.org/s/kQ3v" in page.text
    assert "/shares/share_1/revoke" in [form.get("action") for form in page.all("form")]
    assert [box.get("value") for box in page.all("input") if box.get("name") == "parts" and "checked" in box] == [
        "status", "diff", "logs", "report",
    ]  # fmt: skip
