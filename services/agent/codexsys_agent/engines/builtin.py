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
from codexsys_agent.instructions import project_instructions
from codexsys_agent.limits import Budget
from codexsys_agent.loop import Loop, Overflow
from codexsys_agent.prompt import SYSTEM, user_message
from codexsys_agent.repository import repository_facts
from codexsys_agent.run import Run
from codexsys_agent.session import Session, resumed
from codexsys_agent.tools import Tools

_CANCELLED = ("task_cancelled", "token_revoked")


def drive(run: Run) -> Ending:
    """Work on the brief until an end, whatever the end is."""
    session = _session(run)
    budget = Budget(run.brief.limits)
    loop = Loop(
        door=run.door,
        model=run.brief.model,
        tools=Tools(
            code=run.places.code,
            env=run.env,
            mode=run.brief.mode,
            command_seconds=run.brief.limits.command_seconds,
            stop=run.stop,
        ),
        session=session,
        budget=budget,
        events=run.events,
        stop=run.stop,
        pace=run.pace,
        after_step=run.after_step,
        inbox=run.inbox,
    )
    run.begin(session)
    ending = _ended(loop, run)
    if ending.exit is not Exit.FINISHED and budget.remaining_seconds <= 0:
        return Ending(Exit.LIMIT, "limit", detail="reached the wall clock limit", code="deadline")
    return ending


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


def _session(run: Run) -> Session:
    brief = run.brief
    if brief.resume and brief.resume.get("messages"):
        session = resumed(brief.resume)
        session.say("user", "[platform] " + _resume_text(brief))
        return session
    session = Session()
    session.say("system", SYSTEM)
    message = user_message(
        brief,
        facts=repository_facts(run.places.code, run.env),
        instructions=project_instructions(run.places.code),
        code=run.places.code,
    )
    session.say("user", message)
    return session


def _resume_text(brief: Brief) -> str:
    text = "The work goes on in a new sandbox; the tree holds what you had changed so far."
    return "\n\n".join([text, *brief.notes])
