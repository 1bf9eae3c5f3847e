"""The client's commands: tasks of a platform."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codexsys_cli.commands_list import Json, find
from codexsys_cli.downloads import inside
from codexsys_cli.output import Exit, emit, err, fail, out, say
from codexsys_cli.panels import TASKS

if TYPE_CHECKING:
    from codexsys_client import Client, Task

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="Id of a task.")]
Verified = Annotated[bool, typer.Option("--require-verified", help="Exit 3 unless it is verified.")]
Timeout = Annotated[float | None, typer.Option(help="Give up waiting after so many seconds.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=TASKS)(submit)
    app.command("list", rich_help_panel=TASKS)(find)
    for command in (
        *(status, watch, logs, diff, artifacts, workspace),
        *(answer, retry, share, cancel, delete),
    ):
        app.command(rich_help_panel=TASKS)(command)


def submit(
    source: Annotated[str, typer.Argument(help="Git URL, folder or zip.")],
    prompt: Annotated[str, typer.Argument(help="What is wanted; - reads it from standard input.")],
    ref: Annotated[str | None, typer.Option(help="Branch, tag or commit (Git URL only).")] = None,
    mode: Annotated[str, typer.Option(help="modify or explain.")] = "modify",
    checks: Annotated[str | None, typer.Option(help="Command that checks the result.")] = None,
    setup: Annotated[Path | None, typer.Option(help="Script that prepares the sandbox.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="Name or id of a kept environment.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model, if not the platform's.")] = None,
    engine: Annotated[str, typer.Option(help="builtin or command.")] = "builtin",
    command: Annotated[Path | None, typer.Option(help="Script for the engine `command`.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="name=value; may be repeated.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Same key: same task.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until it is over.")] = False,
    require_verified: Verified = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Hand in a Git repository, a folder or a zip."""
    from codexsys_cli.connection import connect
    from codexsys_cli.sending import shown
    from codexsys_cli.submission import Wishes, hand_in

    wishes = Wishes(
        source=source,
        prompt=sys.stdin.read() if prompt == "-" else prompt,
        ref=ref,
        mode=mode,
        checks=checks,
        setup=setup.read_text() if setup else None,
        environment=environment,
        model=model,
        engine="command" if command else engine,
        command=command.read_text() if command else None,
        labels=_labels(label or []),
    )
    with connect() as client:
        with shown(err()) as progress:
            task = hand_in(client, wishes, idempotency_key=idempotency_key, progress=progress)
        if wait:
            _watch(
                client, task["id"], timeout=timeout, json=json, require_verified=require_verified
            )
        elif json:
            emit(task)
        else:
            print(task["id"])
            say(f"See it at {task['links']['html']}, or: codexsys watch {task['id']}")


def status(task: TaskId, json: Json = False) -> None:
    """Show a task."""
    from codexsys_cli.connection import connect
    from codexsys_cli.verdict import show
    from codexsys_client.types import TERMINAL

    with connect() as client:
        found = client.task(task)
    if json:
        emit(found)
    elif found["status"] in TERMINAL:
        show(out(), found)
        print(f"  {found['links']['html']}")
    else:
        print(f"{found['id']}: {found['status']} {found['phase'] or ''}".rstrip())
        print(f"  {found['links']['html']}")


def watch(
    task: TaskId, require_verified: Verified = False, timeout: Timeout = None, json: Json = False
) -> None:
    """Follow a task until it is over."""
    from codexsys_cli.connection import connect

    with connect() as client:
        _watch(client, task, timeout=timeout, json=json, require_verified=require_verified)


def logs(
    task: TaskId,
    stream: Annotated[str, typer.Option(help="setup, agent or verify.")] = "agent",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Byte offset to start from.")] = 0,
    json: Json = False,
) -> None:
    """Show a log."""
    from codexsys_cli.connection import connect

    with connect() as client:
        if json or follow:
            chunks = client.follow_log(task, stream, after=after) if follow else None
            if chunks is None:
                emit(
                    {
                        "stream": stream,
                        "after": after,
                        "text": client.log(task, stream, after=after),
                    }
                )
                return
            for chunk in chunks:
                if json:
                    emit(
                        {
                            "stream": stream,
                            "offset": chunk.offset,
                            "next": chunk.next,
                            "text": chunk.text,
                        }
                    )
                else:
                    sys.stdout.write(chunk.text)
                    sys.stdout.flush()
        else:
            sys.stdout.write(client.log(task, stream, after=after))


def diff(task: TaskId) -> None:
    """Show the change so far; what is written elsewhere than to a terminal applies with `git apply`."""
    from codexsys_cli.connection import connect
    from codexsys_cli.verdict import show_diff

    with connect() as client:
        patch = client.artifact(task, "diff.patch")
    console = out()
    if console.is_terminal:
        show_diff(console, patch.decode(errors="replace"))
    else:
        sys.stdout.buffer.write(patch)


def artifacts(
    task: TaskId,
    download: Annotated[Path | None, typer.Option(help="Write all files to this folder.")] = None,
    json: Json = False,
) -> None:
    """List a task's files."""
    from codexsys_cli.connection import connect

    with connect() as client:
        found = client.artifacts(task)
        for artifact in found:
            if json:
                emit(artifact)
            else:
                print(f"{artifact['size']:>12,}  {artifact['sha256'][:12]}  {artifact['name']}")
            if download is not None:
                client.download(task, artifact["name"], inside(download, artifact["name"]))


def workspace(
    task: TaskId,
    into: Annotated[Path | None, typer.Argument(metavar="FILE", help="Default: TASK.zip.")] = None,
) -> None:
    """Download the tree with the change so far, as a zip; also while the task runs."""
    from codexsys_cli.connection import connect

    target = into or Path(f"{task}.zip")
    with connect() as client:
        client.workspace(task, target)
    say(f"{task}: written to {target}")


def cancel(task: TaskId, json: Json = False) -> None:
    """Cancel a task, in whatever state it is."""
    from codexsys_cli.connection import connect

    with connect() as client:
        found = client.cancel(task)
    if json:
        emit(found)
    else:
        over = found["status"] in {"succeeded", "failed", "cancelled", "timed_out"}
        print(f"{task}: {found['status'] if over else 'cancelling'}")


def answer(
    task: TaskId,
    text: Annotated[str, typer.Argument(metavar="ANSWER", help="- reads it from standard input.")],
    question: Annotated[str | None, typer.Option(help="Id, where several are open.")] = None,
    json: Json = False,
) -> None:
    """Answer what a task's agent asked; it goes on from where it was."""
    from codexsys_cli.connection import connect

    with connect() as client:
        if question is None:
            waiting = [each for each in client.task(task)["questions"] if each["answer"] is None]
            if len(waiting) != 1:
                ids = ", ".join(each["id"] for each in waiting)
                fail(f"{task}: name one with --question: {ids}" if ids else f"{task} asks nothing")
            question = waiting[0]["id"]
        found = client.answer(task, question, sys.stdin.read() if text == "-" else text)
    if json:
        emit(found)
    else:
        print(f"{task}: {found['status']}")


def delete(task: TaskId) -> None:
    """Remove a finished task's code, prompts, artifacts, logs and checkpoints; its row stays."""
    from codexsys_cli.connection import connect

    with connect() as client:
        client.delete(task)
    say(f"{task}: deleted, all but its status")


def retry(
    task: TaskId,
    start_from: Annotated[
        str, typer.Option(help="checkpoint (the work so far) or source (as it is now).")
    ] = "checkpoint",
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until it is over.")] = False,
    require_verified: Verified = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Make a new task of a finished one, which carries on where that ended unless told otherwise."""
    from codexsys_cli.connection import connect

    with connect() as client:
        made = client.retry(task, start_from=start_from)
        if wait:
            _watch(
                client, made["id"], timeout=timeout, json=json, require_verified=require_verified
            )
        elif json:
            emit(made)
        else:
            print(made["id"])


def share(
    task: TaskId,
    expires_in: Annotated[int | None, typer.Option(min=60, help="Seconds until it ends.")] = None,
    part: Annotated[list[str] | None, typer.Option(help="What it shows; may be repeated.")] = None,
    revoke: Annotated[str | None, typer.Option(metavar="SHARE", help="End this link.")] = None,
    links: Annotated[bool, typer.Option("--list", help="List the links there are.")] = False,
    json: Json = False,
) -> None:
    """Make a link that shows one task to whoever has it, list the links there are, or revoke one."""
    from codexsys_cli.connection import connect

    with connect() as client:
        if links:
            _shares(client, task, json=json)
            return
        if revoke is not None:
            client.revoke_share(revoke)
            say(f"{revoke} no longer works.")
            return
        made = client.share(task, expires_in=expires_in, parts=part or ())
    if json:
        emit(made)
    else:
        print(made["url"])
        say(f"Until {made['expires_at']}. End it with: codexsys share {task} --revoke {made['id']}")


def _shares(client: "Client", task: str, *, json: bool) -> None:
    cursor: str | None = ""
    while cursor is not None:
        page = client.shares(task, limit=100, cursor=cursor or None)
        for each in page["items"]:
            if json:
                emit(each)
            else:
                end = "revoked" if each["revoked_at"] else f"until {each['expires_at']}"
                print(f"{each['id']}  {end}  {','.join(each['parts'])}")
        cursor = page["next_cursor"]


def _watch(
    client: "Client", task_id: str, *, timeout: float | None, json: bool, require_verified: bool
) -> None:
    from codexsys_cli.progress import follow, quiet_interrupt
    from codexsys_cli.verdict import show

    console = err()
    try:
        with quiet_interrupt(console, task_id):
            task = follow(client, task_id, console, timeout_seconds=timeout)
    except TimeoutError:
        fail(
            f"{task_id} is not over after {timeout:g} seconds",
            "it goes on",
            exit_code=Exit.TIMED_OUT,
        )
    if json:
        emit(task)
    else:
        show(out(), task)
        print(f"  {task['links']['html']}")
    if not _good(task, require_verified=require_verified):
        raise typer.Exit(Exit.NOT_SUCCEEDED)


def _good(task: "Task", *, require_verified: bool) -> bool:
    return task["verdict"] == "verified" if require_verified else task["status"] == "succeeded"


def _labels(given: list[str]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            fail(f"--label {each}", "write it as name=value", exit_code=Exit.USAGE)
        found[name] = value
    return found
