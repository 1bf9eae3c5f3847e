"""`codexsys k8s-run`: one command in one image as a Job of a cluster, like `docker run`."""

import secrets
from typing import TYPE_CHECKING, NoReturn

import typer

import codexsys_cli.options_k8s_run as option
from codexsys_cli.panels import START

if TYPE_CHECKING:
    from codexsys_wiring.cluster_run import Asked

_CLOSED = 141


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("k8s-run", rich_help_panel=START)(k8s_run)


def k8s_run(
    image: option.Image,
    command: option.Command = None,
    name: option.Name = None,
    namespace: option.Namespace = None,
    context: option.Context = None,
    env: option.Env = None,
    env_file: option.EnvFile = None,
    request_cpu: option.RequestCpu = None,
    request_memory: option.RequestMemory = None,
    limit_cpu: option.LimitCpu = None,
    limit_memory: option.LimitMemory = None,
    workspace_mount: option.WorkspaceMount = None,
    no_workspace: option.NoWorkspace = False,
    sync: option.Sync = None,
    entrypoint: option.Entrypoint = None,
    user: option.User = None,
    image_pull_secret: option.ImagePullSecret = None,
    service_account: option.ServiceAccount = None,
    keep: option.Keep = False,
    timeout: option.Timeout = None,
    start_timeout: option.StartTimeout = "10m",
    lost_after: option.LostAfter = "3m",
) -> None:
    """Run a command in a cluster as `docker run` does here: its log, its exit code, nothing left."""
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
    _followed(asked, namespace, context)


def _followed(asked: "Asked", namespace: str | None, context: str | None) -> NoReturn:
    """Run it, and exit as it did."""
    from codexsys_cli.terminal import OutputClosed, Terminal
    from codexsys_wiring import cluster_run

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
