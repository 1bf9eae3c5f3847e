"""What was used, over the API: bounded, by day and by label, the tenant's own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from tests.support.api_service import Served, client_of, make_key, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}
USAGE = "/api/v1/usage"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("usage")) as api:
        yield api


async def test_tasks_are_counted_by_day_and_by_label(served: Served) -> None:
    for labels in ({"team": "web"}, {"team": "web", "x": "1"}, {}):
        await served.client.post("/api/v1/tasks", json={**GIT, "labels": labels})
    report = (await served.client.get(USAGE)).json()
    today = datetime.now(UTC).date()
    assert (report["from"], report["to"]) == (str(today - timedelta(days=29)), str(today))
    assert [day["tasks"] for day in report["days"]] == [0] * 29 + [3]
    assert (report["total"]["tasks"], report["values"], report["more"]) == (3, [], False)

    divided = (await served.client.get(USAGE, params={"label": "team"})).json()
    assert [(each["value"], each["tasks"]) for each in divided["values"]] == [("web", 2), (None, 1)]
    one = (await served.client.get(USAGE, params={"label": "team=web"})).json()
    assert (one["label"], one["total"]["tasks"], one["values"]) == ("team=web", 2, [])

    _, key = await make_key(served.platform, "others")
    async with client_of(served.url, key) as other:
        assert (await other.get(USAGE, params={"label": "team"})).json()["total"]["tasks"] == 0


async def test_a_range_is_what_was_asked_for(served: Served) -> None:
    asked = {"from": "2026-02-27", "to": "2026-03-01"}
    report = (await served.client.get(USAGE, params=asked)).json()
    assert [day["day"] for day in report["days"]] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert report["total"]["tasks"] == 0
    for edge in ("0002-01-01", "9998-12-31"):
        whole = await served.client.get(USAGE, params={"from": edge, "to": edge})
        assert [day["day"] for day in whole.json()["days"]] == [edge]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"from": "2026-03-02", "to": "2026-03-01"}, "/from"),
        ({"from": "2026-01-01", "to": "2026-04-03"}, "/from"),
        ({"from": "2026-2-1"}, "/from"),
        ({"to": "2026-02-30"}, "/to"),
        ({"to": "2026-02-27T00:00:00Z"}, "/to"),
        ({"to": "0001-01-01"}, "/to"),
        ({"from": "9999-12-31", "to": "9999-12-31"}, "/to"),
        ({"label": ""}, "/label"),
        ({"label": "=web"}, "/label"),
        ({"label": "gr\u00f6\u00dfe"}, "/label"),
        ({"label": "x" * 64}, "/label"),
    ],
)
async def test_what_is_no_range_and_no_label_is_refused(
    served: Served, asked: dict[str, str], pointer: str
) -> None:
    answer = await served.client.get(USAGE, params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"][0]["pointer"] == pointer
