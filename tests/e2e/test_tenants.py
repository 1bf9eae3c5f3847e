"""Tenants' quotas through the command line and the API."""

import json
from pathlib import Path
from typing import Any

from tests.support.api_service import serving
from tests.support.operator import operate

GIT = {"prompt": "Mend it.", "source": {"git": {"url": "https://example.org/a/b.git"}}}


async def test_a_tenants_queue_is_capped_from_the_command_line(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        code, said, _ = await operate(
            tmp_path, "tenants", "update", "ours", "--max-queued", "2", "--json"
        )
        assert (code, json.loads(said)["max_queued"]) == (0, 2)
        for _ in range(2):
            assert (await served.client.post("/api/v1/tasks", json=GIT)).status_code == 202
        refused = await served.client.post("/api/v1/tasks", json=GIT)
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["RateLimit-Policy"] == '"queued";q=2'
        assert refused.headers["RateLimit"] == '"queued";r=0'
        found = (await served.client.get("/api/v1/tasks")).json()["items"]
        assert len(found) == 2
        await served.client.post(f"/api/v1/tasks/{found[0]['id']}/cancel")
        assert (await served.client.post("/api/v1/tasks", json=GIT)).status_code == 202
        code, said, _ = await operate(tmp_path, "tenants", "list", "--json")
        shown: dict[str, Any] = json.loads(said)
        assert (shown["name"], shown["queued"], shown["running"]) == ("ours", 2, 0)


async def test_what_a_tenant_may_spend_in_a_day_is_set_and_shown(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        limits = ["--max-usd-per-day", "12.5", "--max-tokens-per-day", "2000000"]
        code, said, _ = await operate(tmp_path, "tenants", "update", "ours", *limits, "--json")
        assert (code, json.loads(said)["max_usd_per_day"]) == (0, 12.5)
        today = (await served.client.get("/api/v1/usage")).json()["today"]
        assert (today["limit_usd"], today["limit_tokens"]) == (12.5, 2_000_000)
        assert (today["calls"], today["tokens"], today["cost_usd"]) == (0, 0, 0)
        for wrong in ("-1", "0", "1e3", "many"):
            code, _, said = await operate(
                tmp_path, "tenants", "update", "ours", f"--max-usd-per-day={wrong}"
            )
            assert (code, "--max-usd-per-day is a number" in " ".join(said.split())) == (2, True)


async def test_quotas_are_set_when_a_tenant_is_made_and_later(tmp_path: Path) -> None:
    made = await operate(
        tmp_path, "tenants", "create", "new", "--weight", "2", "--max-running", "3", "--json"
    )
    assert made[0] == 0
    code, said, _ = await operate(
        tmp_path,
        "tenants",
        "update",
        "new",
        "--max-running",
        "none",
        "--max-queued",
        "default",
        "--json",
    )
    shown = json.loads(said)
    assert (code, shown["weight"], shown["max_running"], shown["max_queued"]) == (0, 2, 0, None)
    assert (await operate(tmp_path, "tenants", "update", "new"))[0] == 2
    assert (await operate(tmp_path, "tenants", "update", "new", "--max-queued", "many"))[0] == 2
    code, _, complained = await operate(tmp_path, "tenants", "update", "other", "--weight", "1")
    assert code == 4
    assert "codexsys tenants create other" in complained
