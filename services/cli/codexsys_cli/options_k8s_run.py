"""What `codexsys k8s-run` is told on its command line."""

from pathlib import Path
from typing import Annotated

import typer

Image = Annotated[str, typer.Argument(metavar="IMAGE", help="The image.")]
Command = Annotated[
    list[str] | None,
    typer.Argument(metavar="-- COMMAND…", help="What runs in it. None: what the image says."),
]
Name = Annotated[str | None, typer.Option(help="Name of the Job. None: a new one.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="None: that of the context.")
]
Context = Annotated[str | None, typer.Option(help="None: the kubeconfig's current one.")]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="K=V", help="A variable; K alone: as it is here."),
]
EnvFile = Annotated[list[Path] | None, typer.Option(help="Lines of K=V.")]
RequestCpu = Annotated[str | None, typer.Option(help="Such as 500m.")]
RequestMemory = Annotated[str | None, typer.Option(help="Such as 1Gi.")]
LimitCpu = Annotated[str | None, typer.Option(help="Such as 2.")]
LimitMemory = Annotated[str | None, typer.Option(help="Such as 4Gi.")]
WorkspaceMount = Annotated[
    str | None,
    typer.Option(
        metavar="[CLAIM:]PATH",
        help="Where the scratch volume is, or a claim of yours; the command starts there. None: /workspace.",
    ),
]
NoWorkspace = Annotated[bool, typer.Option("--no-workspace", help="Without one.")]
Sync = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="This folder goes in, and its changes come back."),
]
Entrypoint = Annotated[
    str | None, typer.Option(help="In place of the image's own; COMMAND is its arguments.")
]
User = Annotated[
    int | None, typer.Option(min=0, help="Its uid; with one but 0 it has no capability.")
]
ImagePullSecret = Annotated[list[str] | None, typer.Option(help="Pulls the image.")]
ServiceAccount = Annotated[str | None, typer.Option(help="Whose token it has. None: it has none.")]
Keep = Annotated[
    bool,
    typer.Option("--keep/--auto-clean", help="Leave the Job there, and say how to delete it."),
]
Timeout = Annotated[str | None, typer.Option(help="Such as 90s, 30m or 2h.")]
StartTimeout = Annotated[str, typer.Option(help="How long it may wait for room and for its image.")]
LostAfter = Annotated[
    str, typer.Option(help="How long until the cluster ends it when nobody is here any more.")
]
