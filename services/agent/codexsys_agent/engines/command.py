"""The command engine: a given script, no model."""

from codexsys_agent.ending import Ending, Exit
from codexsys_agent.report import show
from codexsys_agent.run import Run
from codexsys_agent.session import Session
from codexsys_agent.shell import run_command

_TIMEOUT_CODE = 124


def drive(run: Run) -> Ending:
    """Run the script once in the workspace; its output is the log."""
    run.begin(Session())
    script = run.scratch / "command.sh"
    script.write_text(run.brief.command or "", encoding="utf-8")
    wall = run.brief.limits.wall_seconds
    finished = run_command(
        ["bash", str(script)],
        cwd=run.places.code,
        env=run.env,
        timeout=wall,
        stop=run.stop,
        echo=show,
    )
    run.events.add("agent.tool", step=1, tool="command", ok=finished.code == 0)
    if run.stop.requested:
        return Ending(Exit.CANCELLED, "cancelled", detail=run.stop.reason)
    if finished.code == _TIMEOUT_CODE and finished.seconds >= wall:
        return Ending(Exit.LIMIT, "limit", detail=f"reached {wall:.0f} seconds", code="deadline")
    if finished.code != 0:
        detail = f"the script ended with exit code {finished.code}"
        return Ending(Exit.COMMAND_FAILED, "command_failed", detail=detail)
    return Ending(Exit.FINISHED, "done", summary="The given script ran to its end.")
