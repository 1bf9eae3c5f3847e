"""What a run leaves in /app/output for the platform to collect."""

import json
from pathlib import Path

from codexsys_agent.brief import Brief
from codexsys_agent.ending import Ending
from codexsys_agent.report import say
from codexsys_agent.session import Session
from codexsys_agent.trajectory import trajectory


def leave_outputs(folder: Path, brief: Brief, session: Session, ending: Ending) -> None:
    """Write result.json, trajectory.json, the prompt, the replies and an explanation's answer."""
    folder.mkdir(parents=True, exist_ok=True)
    _leave_trajectory(folder, brief, session)
    result = {
        "status": ending.status,
        "summary": ending.summary,
        "criteria": list(ending.criteria),
        "exit": int(ending.exit),
        "detail": ending.detail,
        "code": ending.code,
        "steps": session.steps,
        "prompt_tokens": session.prompt_tokens,
        "completion_tokens": session.completion_tokens,
    }
    _write(folder / "result.json", json.dumps(result, indent=1))
    if ending.asked is not None:
        _write(folder / "question.json", json.dumps(ending.asked))
    if brief.mode == "explain" and ending.summary:
        _write(folder / "answer.md", ending.summary.rstrip("\n") + "\n")
    if session.messages:
        _write(folder / "prompt.txt", _prompt(session))
        _write(folder / "llm_response.txt", _replies(session))


def leave_state(folder: Path, brief: Brief, session: Session) -> None:
    """Write down how far work is, after each step: who ends the sandbox need not tell the agent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "state.json", json.dumps(session.state()))
        _leave_trajectory(folder, brief, session)
    except OSError as error:
        say(f"state: not written: {error}")


def _leave_trajectory(folder: Path, brief: Brief, session: Session) -> None:
    _replace(folder / "trajectory.json", json.dumps(trajectory(brief, session), indent=1))


def _prompt(session: Session) -> str:
    return "\n\n".join(f"===== {m['role']} =====\n{m['content']}" for m in session.messages[:2])


def _replies(session: Session) -> str:
    parts: list[str] = []
    for message in session.messages:
        if message["role"] == "assistant":
            calls = [
                f"{call['function']['name']} {call['function']['arguments']}"
                for call in message.get("tool_calls") or []
            ]
            body = "\n".join([message["content"], *calls]).strip()
            parts.append(f"===== {len(parts) + 1} =====\n{body}\n")
    return "\n".join(parts)


def _replace(file: Path, text: str) -> None:
    """Write a file anew: it is whole, or what it was, whenever the sandbox ends."""
    draft = file.with_name(f".{file.name}")
    _write(draft, text)
    draft.replace(file)


def _write(file: Path, text: str) -> None:
    # The workspace's own programs can write here: a planted link must not lead the text elsewhere.
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8", errors="replace")
