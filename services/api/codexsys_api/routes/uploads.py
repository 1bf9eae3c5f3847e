"""Places for large zips, which are sent to the store directly."""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from codexsys_api.auth import Writer
from codexsys_api.bodies import CreateUpload, read_json
from codexsys_api.described.refusals import refuses
from codexsys_api.routes.params import ONCE, IdempotencyKey, known_form, takes
from codexsys_api.uploads import Uploads
from codexsys_core.artifact import UploadForm
from codexsys_core.upload import Upload

router = APIRouter(prefix="/api/v1/uploads", tags=["uploads"])


class UploadBody(BaseModel):
    """A place for one zip: POST it to `url` as a multipart form, these `fields` first, then the part `file`."""

    upload_id: str
    url: str
    fields: dict[str, str]
    expires_at: datetime
    """Until when the form takes the zip. A task can be made of it for a day."""
    max_bytes: int


@router.post(
    "",
    operation_id="createUpload",
    status_code=201,
    response_model=UploadBody,
    openapi_extra=takes(CreateUpload) | refuses("uploads_full", "store_unavailable", *ONCE),
)
async def create(
    request: Request, caller: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a place for a large zip, then send it there, then make a task of it; it is used once."""
    body = await read_json(request, CreateUpload)
    uploads: Uploads = request.app.state.uploads
    made, form = await uploads.create(caller, body, idempotency_key)
    return answered(made, form, uploads.most_bytes)


@router.delete(
    "/{upload_id}",
    operation_id="deleteUpload",
    status_code=204,
    openapi_extra=refuses("store_unavailable", upload_not_found=404, upload_used=409),
)
async def delete(request: Request, upload_id: str, caller: Writer) -> Response:
    """Give an upload up: what was sent is removed, no task is made of it, and it counts no more."""
    uploads: Uploads = request.app.state.uploads
    await uploads.give_up(caller, known_form(upload_id, "upload"))
    return Response(status_code=204)


def answered(made: Upload, form: UploadForm, most_bytes: int) -> Response:
    """Say where the zip goes."""
    body = UploadBody(upload_id=made.id, max_bytes=most_bytes, **form.model_dump())
    headers = {"Cache-Control": "no-store"}
    return Response(body.model_dump_json(), 201, headers=headers, media_type="application/json")
