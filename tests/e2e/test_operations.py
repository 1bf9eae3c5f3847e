"""What an operator sees: what is stuck, and the metrics of a platform at work."""

import json
from pathlib import Path

from tests.support.api_service import serving
from tests.support.operator import operate
from tests.support.place import open_place

from codexsys_wiring.health import health_routes

GIT = {"prompt": "Mend it.", "source": {"git": {"url": "https://example.org/a/b.git"}}}


async def test_a_task_that_nobody_claims_is_shown_as_stuck(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        task = (await served.client.post("/api/v1/tasks", json=GIT)).json()
        code, said, _ = await operate(tmp_path, "tasks", "stuck", "--queued-seconds", "0", "--json")
        found = [json.loads(line) for line in said.splitlines()]
        assert code == 0
        assert [(each["kind"], each["task_id"]) for each in found] == [("queued", task["id"])]
        code, said, told = await operate(tmp_path, "tasks", "stuck")
        assert (code, said) == (0, "")
        assert "Nothing is stuck." in told


async def test_work_shows_in_the_metrics(tmp_path: Path) -> None:
    async with open_place(tmp_path / "data", sandbox="dummy", relay_seconds=0.1) as place:
        source = await place.zip_source({"README.md": "one\n"})
        environment = {"variables": {"DUMMY_AGENT_END": "sandbox_lost"}}
        task = await place.submit(source, environment=environment, limits={"attempts": 2})
        await place.until(task)
        (metrics,) = [each for each in health_routes(place.platform) if each.path == "/metrics"]
        text = (await metrics.endpoint(None)).body.decode()
        assert 'codexsys_retries_total{end_reason="sandbox_lost"}' in text
        assert 'codexsys_endings_total{end_reason="sandbox_lost",status="failed"}' in text
        assert 'codexsys_tasks{status="queued"}' in text
