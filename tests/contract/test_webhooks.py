"""Webhooks: signed, in order, in five tries, and never in anybody's way."""

import pytest
from tests.support.receiver import Receiver

from codexsys_adapters.outbound import Outbound
from codexsys_adapters.webhooks import HttpWebhooks
from codexsys_cli.foreground.hook import Hook
from codexsys_cli.foreground.states import State
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Invalid
from codexsys_core.ids import TimeOrderedIds

LOOPBACK = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)
SECRET = "a-shared-secret"
PHASES = ["cloning", "setup", "analyzing", "coding"]


async def told(receiver: Receiver, phases: list[str]) -> Hook:
    async with HttpWebhooks(LOOPBACK, try_seconds=2) as webhooks:
        hook = Hook(
            url=receiver.url,
            secret=SECRET,
            task_id="mine-1",
            webhooks=webhooks,
            ids=TimeOrderedIds(),
            clock=SystemClock(),
            pauses=(0, 0, 0, 0),
        )
        async with hook:
            for phase in phases:
                hook.tell(State("running", phase, 5, "2026-01-01T00:00:00Z", {"is": phase}))
    return hook


async def test_all_states_arrive_signed_and_in_order_though_each_fails_at_first() -> None:
    with Receiver(500, 0, 429, 302, 200, 503) as receiver:
        hook = await told(receiver, PHASES)
    assert (hook.sent, hook.lost) == (4, 0)
    assert [message.json()["phase"] for message in receiver.taken] == PHASES
    assert all(message.signed_by(SECRET) for message in receiver.tried)
    assert not any(message.signed_by(SECRET + "x") for message in receiver.tried)
    ids = [message.headers["webhook-id"] for message in receiver.tried]
    assert len(set(ids[:5])) == 1  # a try is the same message
    assert len(set(ids)) == 4
    assert receiver.taken[0].json() == {
        "type": "task.running",
        "task_id": "mine-1",
        "status": "running",
        "phase": "cloning",
        "progress": 5,
        "timestamp": "2026-01-01T00:00:00Z",
        "data": {"is": "cloning"},
    }


async def test_who_takes_nothing_in_five_tries_is_told_of_the_newest_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Receiver(*[500] * 5) as receiver:
        hook = await told(receiver, PHASES)
    assert (hook.sent, hook.lost) == (1, 3)
    assert len(receiver.tried) == 6
    assert receiver.taken[0].json()["phase"] == "coding"
    assert "cloning: HTTP 500" in capsys.readouterr().err


async def test_who_is_gone_is_told_nothing_more() -> None:
    with Receiver(410) as receiver:
        hook = await told(receiver, PHASES)
    assert (len(receiver.tried), hook.sent, hook.lost) == (1, 0, 4)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://169.254.169.254/hook", "address_denied"),
        ("https://localhost/hook", "address_denied"),
        ("http://example.com/hook", "url_refused"),
        ("https://user:word@example.com/hook", "url_refused"),
    ],
)
async def test_an_address_that_nothing_is_sent_to_is_refused(url: str, code: str) -> None:
    async with HttpWebhooks(Outbound()) as webhooks:
        with pytest.raises(Invalid) as refused:
            await webhooks.check(url)
    assert refused.value.code == code
