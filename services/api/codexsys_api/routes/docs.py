"""A plain page of all addresses, made from the description; nothing is loaded from elsewhere."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from codexsys_api.routes.browser import html

router = APIRouter(include_in_schema=False)


@router.get("/docs")
@router.get("/api/v1/docs")
async def docs(request: Request) -> Response:
    """List the addresses."""
    described: dict[str, Any] = request.app.openapi()
    rows = "".join(
        f"<tr><td><code>{escape(method.upper())}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation.get('description', ''))}</td></tr>"
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    )
    return html(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API · codexsys</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/app.css"></head>'
        '<body><main id="main"><h1>API</h1><p>Send <code>Authorization: Bearer cdx_…</code>. '
        'The whole description: <a href="/api/v1/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        "<table><thead><tr><th>Method</th><th>Address</th><th>Does</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></main></body></html>"
    )
