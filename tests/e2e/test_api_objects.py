"""The folder store's own links and forms, over real HTTP."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from tests.support.api_service import client_of, serving

NAME = "codexsys-code/uploads/ten_1/upl_1"


async def test_a_form_puts_one_object_in_place_and_a_link_gives_it_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, client_of(served.url) as anybody:

        async def sent(url: str, content: bytes, part: str = "file") -> httpx2.Response:
            return await anybody.post(url, files={part: ("code.zip", content)})

        until = datetime.now(UTC) + timedelta(minutes=1)
        form = await served.platform.forms.form(NAME, most_bytes=1000, until=until)
        assert (await sent(form.url, b"x" * 1001)).status_code == 413
        assert (await sent(form.url, b"x", part="other")).status_code == 400
        assert (await sent(form.url[:-2], b"x")).status_code == 404
        assert await served.platform.objects.names("codexsys-code/uploads") == []
        assert (await sent(form.url, b"hello")).status_code == 204
        link = await served.platform.objects.link(
            NAME, filename="code.zip", content_type="application/zip"
        )
        got = await anybody.get(link.url)
        assert (got.status_code, got.content) == (200, b"hello")
        assert got.headers["content-disposition"].startswith("attachment;")
        assert (await sent(link.url, b"other")).status_code == 404
        assert not list((tmp_path / "tmp").glob("*/upload-*"))
