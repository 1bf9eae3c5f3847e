"""Every way in which the API says no: code, status, and what it means, in one table."""

from typing import Any

from codexsys_core.end_reasons import EndReason

SOURCE_REASONS: tuple[str, ...] = (
    EndReason.HOST_UNKNOWN,
    EndReason.CONNECTION_REFUSED,
    EndReason.SOURCE_UNREACHABLE,
    EndReason.SOURCE_AUTH,
    EndReason.REF_NOT_FOUND,
    EndReason.REPOSITORY_EMPTY,
    EndReason.SOURCE_TOO_LARGE,
    EndReason.SOURCE_REFUSED,
)
"""What `?check=true` finds out by connecting: end reasons of a task that would have begun with it."""

REFUSALS: dict[str, tuple[int, str]] = {
    "bad_json": (400, "The body is not JSON."),
    "bad_multipart": (400, "The multipart body cannot be read."),
    "key_missing": (401, "Send your key as: Authorization: Bearer cdx_…"),
    "key_unknown": (401, "This key is not known."),
    "key_revoked": (401, "This key was revoked."),
    "scope_too_low": (403, "The key's scope is not enough for this."),
    "artifact_not_found": (404, "This task has no such artifact."),
    "environment_not_found": (404, "There is no such environment."),
    "key_not_found": (404, "There is no such key."),
    "question_not_found": (404, "This task has no such question."),
    "share_not_found": (404, "There is no such link."),
    "task_not_found": (404, "There is no such task."),
    "workspace_not_found": (404, "The task's source is no longer stored, or never was."),
    "already_answered": (409, "This question has its answer."),
    "change_refused": (409, "The task's change cannot be handed out."),
    "environment_busy": (409, "Others change this environment all the time."),
    "environment_exists": (409, "There is an environment of this name."),
    "secret_unreadable": (409, "A secret was sealed with another key of the platform."),
    "task_deleted": (409, "This task was deleted."),
    "task_in_use": (409, "A task that is not over stands on this one."),
    "task_not_over": (409, "This task is not over yet; cancel it first."),
    "messages_full": (409, "A task takes 100 messages."),
    "messages_not_read": (409, "The task's engine reads no messages."),
    "task_over": (409, "This task is over; nobody waits for this."),
    "workspace_not_ready": (409, "The task's source is not fetched yet."),
    "too_large": (413, "The body, or what is asked for, is larger than the platform takes."),
    "media_type": (415, "Send application/json."),
    "invalid": (422, "A field is missing, unknown or wrong; `errors` names it."),
    "address_denied": (422, "The platform does not connect to this address."),
    "model_unknown": (422, "There is no such model here; the detail lists those that there are."),
    "price_unknown": (
        422,
        "The price of the model is not known, so limits.cost_usd cannot be kept; leave it out.",
    ),
    "model_gone": (409, "The model of the task to be retried is no longer there."),
    "forge_not_configured": (422, "No forge is configured for pull requests."),
    "idempotency_key": (422, "An Idempotency-Key has 1 to 255 printable ASCII characters."),
    "idempotency_mismatch": (422, "This Idempotency-Key was used with another body."),
    "not_available_yet": (422, "This has its name already and comes later."),
    "source_task_deleted": (422, "The task that was named as the source was deleted."),
    "source_task_not_found": (422, "The task that was named as the source is not there."),
    "source_task_not_over": (422, "The task that was named as the source is not over yet."),
    "upload_expired": (422, "The upload is older than a day, or nothing came while it could."),
    "upload_missing": (422, "The zip of the upload was not sent yet."),
    "upload_not_found": (422, "There is no such upload."),
    "upload_used": (422, "A task was made of the upload already."),
    "url_refused": (422, "This is no URL that Git is fetched from."),
    "zip_refused": (422, "The zip cannot be taken; `detail` says why."),
    "rate_limited": (429, "This key, or this link, asks too often."),
    "uploads_full": (429, "Too many of the tenant's uploads wait for a task to be made of them."),
    "queue_full": (429, "The tenant has as many tasks queued as it may have."),
    "internal": (500, "The platform made an error."),
    "database_unavailable": (503, "The database does not answer."),
    "store_unavailable": (503, "The object store does not answer."),
    "workspaces_busy": (503, "Many workspaces are being made or sent now."),
    **{str(reason): (422, EndReason(reason).cause) for reason in SOURCE_REASONS},
}
FIELD = "x-refusals"


def refuses(*codes: str, **others: int) -> dict[str, Any]:
    """Say which codes an operation has beside those that follow from its key, parameters and body.

    A code by keyword has another status here than in the table.
    """
    return {FIELD: {**{code: REFUSALS[code][0] for code in codes}, **others}}


def headers(*names: str) -> dict[str, Any]:
    """Return references to headers that an answer always has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
