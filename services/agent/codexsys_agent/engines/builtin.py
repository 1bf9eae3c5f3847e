"""The built-in engine: our loop, our tools, any model that speaks chat completions."""

from codexsys_agent.brief import Brief
from codexsys_agent.ending import Ending, Exit
from codexsys_agent.errors import (
    DoorAnswered,
    DoorRefused,
    DoorUnreachable,
    Stopped,
    StreamBroken,
)
from codexsys_agent.instructions import Nested
from codexsys_agent.limits import Budget
from codexsys_agent.loop import Loop
from codexsys_agent.model import Model, Overflow
from codexsys_agent.offers import Offer
from codexsys_agent.prompt import SYSTEM, user_message
from codexsys_agent.repository import repository_facts
from codexsys_agent.review import review
from codexsys_agent.run import Run
from codexsys_agent.session import Session, resumed
from codexsys_agent.stuck import StuckWatch
from codexsys_agent.tools import Tools
from codexsys_agent.trajectory import recorded_steps
from codexsys_agent.tree import tree_mark

_CANCELLED = ("task_cancelled", "token_revoked")
_NO_MORE_CALLS = (
    Exit.LIMIT,
    Exit.MODEL_REFUSED,
    Exit.MODEL_UNAVAILABLE,
    Exit.CONTEXT_OVERFLOW,
    Exit.NO_DOOR,
)


def drive(run: Run) -> Ending:
    """Work on the brief until an end, whatever the end is."""
    nested = Nested(run.places.code)
    session = _session(run, nested)
    budget = Budget(run.brief.limits, tree=lambda: _tree(run))
    loop = _loop(run, session, budget, nested)
    run.begin(session)
    ending = _ended(loop, run)
    if loop.offered and ending.exit in _NO_MORE_CALLS:
        return loop.offered
    if ending.exit not in (Exit.FINISHED, Exit.WAITS) and budget.remaining_seconds <= 0:
        return Ending(Exit.LIMIT, "limit", detail="reached the wall clock limit", code="deadline")
    return ending


def _loop(run: Run, session: Session, budget: Budget, nested: Nested) -> Loop:
    brief = run.brief
    offer = Offer(
        mode=brief.mode,
        command_seconds=brief.limits.command_seconds,
        may_ask=brief.may_ask,
        allowed=brief.allowed_commands,
        criteria=len(brief.requirements.acceptance) if brief.mode == "modify" else 0,
    )
    tools = Tools(code=run.places.code, env=run.env, offer=offer, stop=run.stop, nested=nested)
    model = Model(
        door=run.door,
        name=brief.model,
        tools=tools.definitions,
        events=run.events,
        stop=run.stop,
        pace=run.pace,
        seconds_left=lambda: budget.remaining_seconds,
    )
    return Loop(
        model=model,
        tools=tools,
        session=session,
        budget=budget,
        events=run.events,
        stop=run.stop,
        watch=StuckWatch(lambda: tree_mark(run.places.code)),
        review=lambda: _review(run),
        after_step=run.after_step,
        inbox=run.inbox,
    )


def _tree(run: Run) -> str:
    """Tell the workspace by what is in it: it may be another sandbox that this is compared in."""
    taken = run.change() if run.brief.mode == "modify" else None
    return taken.tree if taken else ""


def _review(run: Run) -> str:
    taken = run.change() if run.brief.mode == "modify" else None
    return review(taken, run.brief.requirements.acceptance) if taken else ""


def _ended(loop: Loop, run: Run) -> Ending:
    try:
        return loop.run()
    except Overflow as finding:
        return Ending(Exit.CONTEXT_OVERFLOW, "context_overflow", detail=str(finding))
    except DoorRefused as error:
        if error.code in _CANCELLED:
            return Ending(Exit.CANCELLED, "cancelled", detail=str(error))
        return Ending(Exit.MODEL_REFUSED, "model_refused", detail=str(error), code=error.code)
    except DoorUnreachable as error:
        return Ending(Exit.NO_DOOR, "door_unreachable", detail=str(error))
    except (DoorAnswered, StreamBroken, Stopped) as error:
        if run.stop.requested:
            return Ending(Exit.CANCELLED, "cancelled", detail=run.stop.reason)
        if isinstance(error, DoorAnswered) and error.code == "model_refused":
            return Ending(Exit.MODEL_REFUSED, "model_refused", detail=str(error), code=error.code)
        return Ending(Exit.MODEL_UNAVAILABLE, "model_unavailable", detail=str(error))


def _session(run: Run, nested: Nested) -> Session:
    brief = run.brief
    if brief.resume and brief.resume.get("messages"):
        session = resumed(brief.resume, brief.answers)
        session.say("user", "[platform] " + _resume_text(brief))
        return session
    session = Session(past=recorded_steps(run.places.input / "earlier.json"))
    session.say("system", SYSTEM)
    message = user_message(
        brief,
        facts=repository_facts(run.places.code, run.env),
        instructions=nested.at_the_start(),
        code=run.places.code,
    )
    session.say("user", message)
    return session


def _resume_text(brief: Brief) -> str:
    text = "The work goes on in a new sandbox; the tree holds what you had changed so far."
    return "\n\n".join([text, *brief.notes])
