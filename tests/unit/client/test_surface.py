"""The client that is called and the one that is awaited are the same but for the waiting."""

import inspect
from typing import Any

import pytest

from codexsys_client import AsyncClient, Client

NAMES = sorted(name for name in vars(Client) if not name.startswith("_"))


def test_both_have_the_same_calls() -> None:
    assert sorted(name for name in vars(AsyncClient) if not name.startswith("_")) == NAMES
    assert {"submit", "task", "events", "follow_log", "artifact", "share"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_has_the_same_arguments_answer_and_words(name: str) -> None:
    called, awaited = getattr(Client, name), getattr(AsyncClient, name)
    assert inspect.iscoroutinefunction(awaited) or inspect.isasyncgenfunction(awaited)
    assert _signature(called) == _signature(awaited)
    assert called.__doc__ == awaited.__doc__


def test_both_are_made_in_the_same_way() -> None:
    assert _signature(Client.__init__) == _signature(AsyncClient.__init__)


def _signature(call: Any) -> str:
    return str(inspect.signature(call)).replace("AsyncIterator", "Iterator")
