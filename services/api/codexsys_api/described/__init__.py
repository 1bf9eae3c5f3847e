"""The API's own description: OpenAPI with examples and every refusal, and the page that shows it."""

import json
from collections.abc import Mapping
from typing import Any


def as_text(description: Mapping[str, Any]) -> str:
    """Return a description as the text that is kept and compared."""
    return json.dumps(description, indent=1, ensure_ascii=False) + "\n"
