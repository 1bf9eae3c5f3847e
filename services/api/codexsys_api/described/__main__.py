"""Prints the description, as it is kept in the repository: python -m codexsys_api.described."""

from codexsys_api.app import description
from codexsys_api.described import as_text

print(as_text(description()), end="")  # noqa: T201
