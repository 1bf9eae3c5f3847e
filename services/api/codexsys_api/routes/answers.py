"""Answers to what a task's agent has asked."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from codexsys_api.auth import Writer
from codexsys_api.bodies import GiveAnswer, read_json
from codexsys_api.context import Address, Opened
from codexsys_api.described.refusals import refuses
from codexsys_api.idempotency import promised
from codexsys_api.routes.params import ONCE, IdempotencyKey, TaskId, known_form, takes
from codexsys_api.routes.tasks import respond
from codexsys_api.serialize import TaskBody

router = APIRouter(prefix="/api/v1/tasks/{task_id}/answers", tags=["tasks"])


@router.post(
    "",
    operation_id="answerQuestion",
    response_model=TaskBody,
    openapi_extra=takes(GiveAnswer)
    | refuses("question_not_found", "already_answered", "task_over", *ONCE),
)
async def answer(
    request: Request,
    task_id: TaskId,
    caller: Writer,
    platform: Opened,
    base: Address,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer an open question; a suspended task goes on once none is open."""
    body = await read_json(request, GiveAnswer)
    question_id = known_form(body.question, "question")
    await platform.questions.answer(
        task_id,
        question_id,
        body.answer,
        tenant_id=caller.tenant_id,
        key_id=caller.key_id,
        idempotency=promised(idempotency_key, body, platform.secrets, about=(task_id,)),
    )
    await platform.hints.tell(f"task:{task_id}")
    task = await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    return await respond(task, platform, base)
