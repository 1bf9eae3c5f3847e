"""Which platform the client commands talk to, and with which key."""

import json
from pathlib import Path

from codexsys_cli.output import Exit, fail
from codexsys_client import Client
from codexsys_wiring.settings import client_settings, load_settings

CLIENT_FILE = "client.json"


def connect() -> Client:
    """Return a client: by CODEXSYS_URL and CODEXSYS_API_KEY, else of the `codexsys up` of this user."""
    given = client_settings()
    url, key = given["URL"], given["API_KEY"]
    if not (url and key):
        kept = _kept(load_settings().data_dir / CLIENT_FILE)
        url, key = url or kept.get("url", ""), key or kept.get("key", "")
    if not url or not key:
        fail(
            "No platform is known",
            "start one with `codexsys up`, or set CODEXSYS_URL and CODEXSYS_API_KEY",
            code="not_configured",
            exit_code=Exit.USAGE,
        )
    return Client(url, key)


def _kept(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return kept if isinstance(kept, dict) else {}
