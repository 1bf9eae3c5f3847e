"""Who asks too often is told when to come again; others are answered as before."""

from pathlib import Path

from tests.support.api_service import client_of, make_key, serving


async def test_a_key_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with serving(tmp_path, rate_per_minute=60, rate_burst=3) as served:
        answers = [await served.client.get("/api/v1/me") for _ in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit"] == '"key";r=2'
        refused = answers[-1]
        assert refused.json()["code"] == "rate_limited"
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit-policy"] == '"key";q=3;w=3'
        assert refused.headers["ratelimit"] == '"key";r=0'
        _, other = await make_key(served.platform, "others")
        async with client_of(served.url, other) as stranger:
            assert (await stranger.get("/api/v1/me")).status_code == 200
        assert (await served.client.get("/healthz")).status_code == 200


async def test_without_a_rate_nothing_is_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, rate_per_minute=0, rate_burst=1) as served:
        answers = [await served.client.get("/api/v1/me") for _ in range(5)]
        assert {each.status_code for each in answers} == {200}
        assert "ratelimit" not in answers[0].headers


async def test_a_link_that_is_used_too_often_says_so_until_it_may_be_used_again(
    tmp_path: Path,
) -> None:
    limits = {"share_rate_per_minute": 1, "share_rate_burst": 2}
    body = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}
    async with serving(tmp_path, **limits) as served:
        task = (await served.client.post("/api/v1/tasks", json=body)).json()
        made = [
            (await served.client.post(f"/api/v1/tasks/{task['id']}/shares", json={})).json()
            for _ in range(2)
        ]
        async with client_of(served.url, None) as anyone:
            answers = [await anyone.get(made[0]["url"]) for _ in range(3)]
            assert [each.status_code for each in answers] == [200, 200, 429]
            assert answers[1].headers["ratelimit"] == '"link";r=0'
            assert 0 < int(answers[2].headers["retry-after"]) <= 60
            assert (await anyone.get(f"{made[0]['url']}/log")).status_code == 429
            assert (await anyone.get(made[1]["url"])).status_code == 200
