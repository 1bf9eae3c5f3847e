"""`codexsys k8s-run`: one command in one image as a Job of a cluster, like `docker run`."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from codexsys_cli.panels import START

_CLOSED = 141


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("k8s-run", rich_help_panel=START)(k8s_run)


def k8s_run(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The image.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND…", help="What runs in it. None: what the image says."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the Job. None: a new one.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="None: that of the context.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="None: the kubeconfig's current one.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", metavar="K=V", help="A variable; K alone: as it is here."),
    ] = None,
    env_file: Annotated[list[Path] | None, typer.Option(help="Lines of K=V.")] = None,
    request_cpu: Annotated[str | None, typer.Option(help="Such as 500m.")] = None,
    request_memory: Annotated[str | None, typer.Option(help="Such as 1Gi.")] = None,
    limit_cpu: Annotated[str | None, typer.Option(help="Such as 2.")] = None,
    limit_memory: Annotated[str | None, typer.Option(help="Such as 4Gi.")] = None,
    workspace_mount: Annotated[
        str | None,
        typer.Option(
            metavar="[CLAIM:]PATH",
            help="Where the scratch volume is, or a claim of yours; the command starts there. None: /workspace.",
        ),
    ] = None,
    no_workspace: Annotated[bool, typer.Option("--no-workspace", help="Without one.")] = False,
    sync: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="This folder goes in, and its changes come back."),
    ] = None,
    entrypoint: Annotated[
        str | None, typer.Option(help="In place of the image's own; COMMAND is its arguments.")
    ] = None,
    user: Annotated[
        int | None, typer.Option(min=0, help="Its uid; with one but 0 it has no capability.")
    ] = None,
    image_pull_secret: Annotated[list[str] | None, typer.Option(help="Pulls the image.")] = None,
    service_account: Annotated[
        str | None, typer.Option(help="Whose token it has. None: it has none.")
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep/--auto-clean", help="Leave the Job there, and say how to delete it."),
    ] = False,
    timeout: Annotated[str | None, typer.Option(help="Such as 90s, 30m or 2h.")] = None,
    start_timeout: Annotated[
        str, typer.Option(help="How long it may wait for room and for its image.")
    ] = "10m",
    lost_after: Annotated[
        str, typer.Option(help="How long until the cluster ends it when nobody is here any more.")
    ] = "3m",
) -> None:
    """Run a command in a cluster as `docker run` does here: its log, its exit code, nothing left."""
    from codexsys_cli.terminal import OutputClosed, Terminal
    from codexsys_wiring import cluster_run

    claim, workspace = _workspace(workspace_mount)
    asked = cluster_run.Asked(
        name=name or f"run-{secrets.token_hex(4)}",
        image=image,
        command=tuple(command or ()),
        entrypoint=entrypoint,
        variables=cluster_run.env(env or (), env_file or ()),
        requests=_sizes(request_cpu, request_memory),
        limits=_sizes(limit_cpu, limit_memory),
        workspace=None if no_workspace else workspace,
        claim=claim,
        sync=sync,
        work_there=workspace_mount is not None,
        user=user,
        pull_secrets=tuple(image_pull_secret or ()),
        service_account=service_account,
        keep=keep,
        seconds=None if timeout is None else cluster_run.seconds_of(timeout),
        start_seconds=cluster_run.seconds_of(start_timeout),
        lost_seconds=cluster_run.seconds_of(lost_after),
    )
    terminal = Terminal()
    try:
        ended = cluster_run.run_in_cluster(asked, terminal, namespace=namespace, context=context)
    except OutputClosed:
        raise typer.Exit(_CLOSED) from None
    if ended.words:
        terminal.say(ended.words)
    raise typer.Exit(ended.code)


def _workspace(mount: str | None) -> tuple[str | None, str]:
    from codexsys_wiring.cluster_run import WORKSPACE

    if mount is None:
        return None, WORKSPACE
    claim, _, path = mount.rpartition(":")
    return claim or None, path


def _sizes(cpu: str | None, memory: str | None) -> dict[str, str]:
    return {what: size for what, size in (("cpu", cpu), ("memory", memory)) if size}
