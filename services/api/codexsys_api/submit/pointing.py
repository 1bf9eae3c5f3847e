"""What is wrong with a request, and where in it that stands."""

from collections.abc import Iterator
from contextlib import contextmanager

from codexsys_core.errors import FieldError, Invalid


def wrong(pointer: str, detail: str, *, code: str = "invalid") -> Invalid:
    """Return what is wrong at this place of a request."""
    return Invalid(detail, code=code, fields=[FieldError(pointer, detail)])


@contextmanager
def pointing(pointer: str) -> Iterator[None]:
    """Say of what is invalid in this block where it stands in the request."""
    try:
        yield
    except Invalid as error:
        raise wrong(pointer, error.message, code=error.code) from error
