"""The pages of the platform, rendered on the server from the JSON bodies of the REST API.

Pure rendering: `Pages(clock=…)` takes plain data and gives HTML; routes, cookies, CSRF checks and
headers are the caller's. Send every page with `HEADERS`. Pages are for a session cookie; each form
has a hidden field `csrf`, whose value is `PageContext.csrf`.

Routes and what the pages link to and post (every POST carries `csrf`):

- `GET /` → 303 `/tasks` (signed in) or `/sign-in`
- `GET /sign-in` → `sign_in`; `POST /sign-in` fields `key` → 303 `/tasks`, or `sign_in(error)` 401
- `GET /sign-in/{token}` one-time link → cookie, 303 `/tasks`; used or old → `sign_in(error)` 401
- `POST /sign-out` → 303 `/sign-in`
- `GET /tasks?status=&label=key=value&source_url=&cursor=` → `tasks`; `filters` are these names
- `GET /submit?task=task_…` → `submit(form={"task": …}, errors={}, …)`
- `POST /submit` multipart, fields `source` (`git`, `zip`, `task`), `url`, `ref`, `file`, `task`,
  `prompt`, `mode`, `engine`, `model`, `command`, `strategy`, `may_change` (one path a line),
  `labels` (`k=v, k=v`), and the limits by their names (`forms.LIMITS`), empty = default.
  `forms.to_create_body(form)` gives the JSON of `POST /tasks` and errors by field;
  `forms.errors_by_field(problem)` sorts a refusal's errors. Made → 303 `/tasks/{id}`;
  else `submit(form, errors)` with 422. `options`: `engines`, `models` (lists, first = default),
  `limits` (defaults by name), `max_zip` (words), `direct_bytes` (from which size a script sends a zip
  to the store: it asks `POST /submit/upload`, fields `filename`, for a form, and gives the field
  `upload` instead of `file`), all optional.
- `GET /tasks/{id}?tab=&stream=&live=` → `task`. `tab_of(task, tab)` and `stream_of(task, stream)`
  say what will be shown, so that only this is loaded: `diff` needs `change`, `answer` needs `answer`
  (answer.md), `log` needs `log_text` of that stream, `checks` needs `verify_log`, `details` needs
  `events`, `conversation` that with `trajectory` and `messages`, `share` needs `shares`; `artifacts`
  for every tab. `live=0` → `live=False`.
- `POST /tasks/{id}/messages` field `text` → 303 `/tasks/{id}?tab=conversation`
- `POST /tasks/{id}/cancel` → 303 `/tasks/{id}`; `POST /tasks/{id}/retry` → 303 to the new task
- `POST /tasks/{id}/shares` fields `expires_in` (seconds), `parts` (repeated) → not a redirect:
  `task(tab="share", new_share_url=…)`, because the link is shown once
- `POST /shares/{id}/revoke` field `task` → 303 `/tasks/{task}?tab=share`
- `GET /usage?days=&label=` → `usage(wrong)`; 422 where the label is none
- `GET /s/{token}` → `share`; its artifacts' `url`s are addresses below `/s/{token}`
- `GET /tasks/{id}/diff?file=&chunk=&view=` → `diff_part`: lines that the page has only a link to
- `GET /static/{name}` → what is in `STATIC`

Rendering a large diff takes some hundred milliseconds: call it off the event loop.
"""

from pathlib import Path

from codexsys_api.pages.render import PageContext, Pages, shareable, stream_of, tab_of


def csp(store: str = "") -> str:
    """Return what a page may do; `store` is the one other origin that it may send to."""
    connect = f"'self' {store}".rstrip()
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


CSP = csp()
HEADERS = {
    "Content-Security-Policy": CSP,
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STATIC = Path(__file__).with_name("static")

__all__ = [
    "CSP",
    "HEADERS",
    "STATIC",
    "PageContext",
    "Pages",
    "csp",
    "shareable",
    "stream_of",
    "tab_of",
]
