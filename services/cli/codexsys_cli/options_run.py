"""What `codexsys run` is told on its command line."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Sandbox(StrEnum):
    """What holds the agent."""

    LOCAL = "local"
    DOCKER = "docker"
    NONE = "none"


What = Annotated[
    str | None,
    typer.Argument(
        metavar="[PROMPT|JSON]",
        help="What is wanted, or one JSON object with all of it; - reads either from standard input.",
    ),
]
Source = Annotated[str | None, typer.Option(help="Git URL, folder or zip (REPO_URL).")]
Ref = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Git URL.")]
Mode = Annotated[str | None, typer.Option(help="modify or explain.")]
Checks = Annotated[str | None, typer.Option(help="Command that checks the result.")]
Setup = Annotated[Path | None, typer.Option(help="Script that prepares the sandbox.")]
Model = Annotated[str | None, typer.Option(help="Name of the model (OPENAI_MODEL).")]
ModelUrl = Annotated[
    str | None, typer.Option(help="Its endpoint, up to and with /v1 (OPENAI_BASE_URL).")
]
Command = Annotated[
    Path | None, typer.Option(help="A script that does the work, in place of a model.")
]
Iterations = Annotated[
    int | None, typer.Option(help="Runs of the agent until checks pass (MAX_ITERATIONS).")
]
TaskId = Annotated[str | None, typer.Option(help="Your own id of the task (TASK_ID).")]
Webhook = Annotated[str | None, typer.Option(help="URL that is told of each state (WEBHOOK_URL).")]
GitUsername = Annotated[
    str | None, typer.Option(help="Who asks for the source, author (GIT_USERNAME).")
]
GitEmail = Annotated[str | None, typer.Option(help="Author's address in commit.patch (GIT_EMAIL).")]
Holder = Annotated[
    Sandbox | None,
    typer.Option(help="none: the agent is but another user of this machine; must be said."),
]
AllowNetwork = Annotated[
    list[str] | None,
    typer.Option(metavar="CIDR", help="Private addresses that source and webhook may be at."),
]
AllowHttp = Annotated[
    bool, typer.Option("--allow-http", help="Let source and webhook be plain http://.")
]
Out = Annotated[
    Path | None, typer.Option(help="Folder for the change and all files (WORKSPACE_DIR).")
]
State = Annotated[
    Path | None, typer.Option(help="Folder that is kept, so that a next run has less to do.")
]
RequireVerified = Annotated[
    bool, typer.Option("--require-verified", help="Exit 3 unless it is verified.")
]
