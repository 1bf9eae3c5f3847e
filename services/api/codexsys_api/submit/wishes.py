"""What a request asks for, held against what the platform has and allows; no connection is opened."""

from typing import Any

from codexsys_api.bodies import CreateTask, RetryTask
from codexsys_api.environments import Environments
from codexsys_api.models import chosen, limited
from codexsys_api.received import Received
from codexsys_api.submit.pointing import pointing, wrong
from codexsys_core.environment import Environment
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.principal import Principal
from codexsys_core.source import GitSource, Source, TaskSource
from codexsys_core.task import TaskSpec
from codexsys_core.verdict import Checks
from codexsys_wiring.platform import Platform


class Wishes:
    """Makes a task's spec of what was asked for."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._environments = Environments(platform)

    async def spec(
        self, principal: Principal, body: CreateTask, source: Source, task_id: str
    ) -> TaskSpec:
        """Return the spec of a task that stands on this source; raises `Invalid`."""
        # Each field is a validated noun already.
        fields = {name: getattr(body, name) for name in CreateTask.model_fields}
        fields |= self.model(body)
        environment = await self.environment(principal, body, row=task_id)
        fields |= {"source": source, "environment": environment}
        fields["checks"] = checks_of(body, environment)
        return TaskSpec(**fields)

    async def source(self, principal: Principal, body: CreateTask) -> GitSource | TaskSource:
        """Return the source that is no zip; raises `Invalid`."""
        given = body.source
        if given is not None and given.git is not None:
            git = given.git
            with pointing("/source/git/url"):
                url = self._platform.git.vet(git.url)
            return GitSource(url=url, ref=git.ref, submodules=git.submodules)
        task_id = given.task if given is not None else None
        try:
            earlier = await self._platform.tasks.get(task_id or "", tenant_id=principal.tenant_id)
        except NotFound as error:
            raise wrong(
                "/source/task", "There is no such task.", code="source_task_not_found"
            ) from error
        if not earlier.status.terminal:
            raise wrong("/source/task", "This task is not over yet.", code="source_task_not_over")
        if earlier.deleted_at is not None:
            raise wrong("/source/task", "This task was deleted.", code="source_task_deleted")
        return TaskSource(task_id=earlier.id)

    async def environment(self, principal: Principal, body: CreateTask, *, row: str) -> Environment:
        """Return the environment, its secrets sealed for this row; raises `Invalid`."""
        return await self._environments.copied(principal, body.environment, row=row)

    def model(self, body: CreateTask) -> dict[str, Any]:
        """Return the task's model and the limits that can be kept with it; raises `Invalid`."""
        catalogue = self._platform.catalogue
        model = chosen(
            catalogue,
            named=body.model,
            mode="explain" if body.mode == "explain" else "modify",
            labels=body.labels,
            prompt=body.prompt,
            requirements=body.requirements,
        )
        named = "cost_usd" in body.limits.model_fields_set
        return {
            "model": model,
            "limits": limited(catalogue, model, body.limits, money_named=named),
        }

    def model_again(self, old: TaskSpec, body: RetryTask) -> dict[str, Any]:
        """Return model and limits of a retry; both must still be what the platform can give."""
        catalogue = self._platform.catalogue
        if (model := old.model or catalogue.default) not in catalogue.models:
            raise Conflict(
                f"The model {model!r} of this task is no longer there; make a new task.",
                code="model_gone",
            )
        limits = body.limits or old.limits
        named = body.limits is None or "cost_usd" in body.limits.model_fields_set
        return {"model": model, "limits": limited(catalogue, model, limits, money_named=named)}


def checks_of(body: CreateTask, environment: Environment) -> Checks:
    """Return how a change is checked: as the task says, else as its environment does."""
    if environment.checks is not None and "checks" not in body.model_fields_set:
        return environment.checks
    return body.checks


def check_form(body: CreateTask, upload: Received | None) -> None:
    """Raise `Invalid` unless there is one source, and a script where one is run."""
    given = body.source
    if upload is not None and given is not None:
        raise wrong("/source", "The part `file` is the source; leave this out.")
    named = [given.git, given.zip, given.task] if given is not None else []
    if upload is None and sum(each is not None for each in named) != 1:
        raise wrong(
            "/source", "Say where the code is: exactly one of git, zip and task, or send a zip."
        )
    if body.engine == "command" and not (body.command or "").strip():
        raise wrong("/command", "The engine `command` needs its script here.")
    if body.engine != "command" and body.command is not None:
        raise wrong("/command", "Only the engine `command` takes a script.")


def sent_upload(body: CreateTask) -> str | None:
    """Return the id of the upload that the task is to be made of."""
    zip_ = body.source.zip if body.source is not None else None
    return zip_.upload_id if zip_ is not None else None
