"""Every expected error as one line and an exit code."""

from codexsys_cli.output import Exit
from codexsys_client import ApiError, Unreachable
from codexsys_core.errors import Invalid, NotFound, PlatformError
from codexsys_wiring.settings import ConfigurationError

_NOT_ALLOWED = frozenset({401, 403, 404})
_CODES: dict[type[PlatformError], Exit] = {NotFound: Exit.NOT_FOUND, Invalid: Exit.USAGE}
_WRONG = frozenset({400, 413, 415, 422})


def explained(error: Exception) -> tuple[str | None, Exit]:
    """Return the line for a person, None when the error is our mistake, and the exit code."""
    if isinstance(error, ApiError):
        return _of_api(error)
    if isinstance(error, Unreachable):
        return f"{error} [unreachable]", Exit.FAILURE
    if isinstance(error, ConfigurationError):
        return "; ".join(error.problems), Exit.USAGE
    if isinstance(error, PlatformError):
        return f"{error.message} [{error.code}]", _CODES.get(type(error), Exit.FAILURE)
    if isinstance(error, OSError):
        return str(error), Exit.FAILURE
    return None, Exit.FAILURE


def _of_api(error: ApiError) -> tuple[str, Exit]:
    told = error.detail or error.title
    fields = [f"{each.get('pointer')}: {each.get('detail')}" for each in error.errors]
    more = [field for field in fields if field != told and not field.endswith(f": {told}")]
    if more:
        told += f" ({'; '.join(more)})"
    if error.status in _NOT_ALLOWED:
        return f"{told} [{error.code}]", Exit.NOT_FOUND
    return f"{told} [{error.code}]", Exit.USAGE if error.status in _WRONG else Exit.FAILURE
