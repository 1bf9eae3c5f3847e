"""Pages of lists: a cursor is the last id of the page before."""

import base64

from fastapi import Request

from codexsys_api.routes.params import known_form
from codexsys_core.errors import FieldError, Invalid


def cursor_after(last_id: str) -> str:
    """Return the cursor of the page after this id."""
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def before(cursor: str | None, what: str) -> str | None:
    """Return the id in a cursor of a list of such things."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        return known_form(text, what)
    except Exception as error:
        raise wrong_query("cursor", "This cursor is not one of ours; start without it.") from error


def next_link(request: Request, more: str | None) -> dict[str, str]:
    """Return the header that leads to the next page, if there is one."""
    if more is None:
        return {}
    url = request.url.include_query_params(cursor=more).replace(scheme="", netloc="")
    return {"Link": f'<{url}>; rel="next"'}


def wrong_query(name: str, detail: str) -> Invalid:
    """Return the error of a query parameter."""
    return Invalid(detail, fields=[FieldError(f"/{name}", detail)])
