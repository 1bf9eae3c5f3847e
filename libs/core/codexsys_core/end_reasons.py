"""The closed list of reasons for which a task ends, each with what happened and what to do next."""

from enum import StrEnum
from typing import NamedTuple


class Category(StrEnum):
    """Who can mend it. `network` and `system` are worth another attempt; the others are not."""

    NONE = "none"
    NETWORK = "network"
    AUTH = "auth"
    CODE = "code"
    LIMIT = "limit"
    SYSTEM = "system"
    USER = "user"


class _Text(NamedTuple):
    category: Category
    cause: str
    next: str


class EndReason(StrEnum):
    """Why a terminal task ended; the value is the public code."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    # the verdict
    CHECKS_FAILED = "checks_failed"
    CHECKS_TAMPERED = "checks_tampered"
    NO_CHANGE = "no_change"
    POLICY_REFUSED = "policy_refused"
    # the source
    HOST_UNKNOWN = "host_unknown"
    CONNECTION_REFUSED = "connection_refused"
    ADDRESS_DENIED = "address_denied"
    SOURCE_UNREACHABLE = "source_unreachable"
    SOURCE_AUTH = "source_auth"
    REF_NOT_FOUND = "ref_not_found"
    REPOSITORY_EMPTY = "repository_empty"
    SOURCE_TOO_LARGE = "source_too_large"
    SOURCE_REFUSED = "source_refused"
    SOURCE_GONE = "source_gone"
    ZIP_REFUSED = "zip_refused"
    # the image
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_NOT_ALLOWED = "image_not_allowed"
    IMAGE_UNUSABLE = "image_unusable"
    # setup and checks
    SETUP_FAILED = "setup_failed"
    SETUP_TIMEOUT = "setup_timeout"
    SECRET_LEFT_BEHIND = "secret_left_behind"  # noqa: S105 - a code, not a secret
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - a code, not a secret
    SERVICES_NOT_SUPPORTED = "services_not_supported"
    CHECKS_NOT_STARTED = "checks_not_started"
    CHECKS_TIMEOUT = "checks_timeout"
    # the agent
    AGENT_GAVE_UP = "agent_gave_up"
    AGENT_STUCK = "agent_stuck"
    AGENT_CRASHED = "agent_crashed"
    COMMAND_FAILED = "command_failed"
    PATCH_REFUSED = "patch_refused"
    CONTEXT_OVERFLOW = "context_overflow"
    # the model
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_AUTH = "model_auth"
    MODEL_REFUSED = "model_refused"
    # limits
    BUDGET_EXHAUSTED = "budget_exhausted"
    TOKENS_EXHAUSTED = "tokens_exhausted"
    CALLS_EXHAUSTED = "calls_exhausted"
    DAY_BUDGET_EXHAUSTED = "day_budget_exhausted"
    DAY_TOKENS_EXHAUSTED = "day_tokens_exhausted"
    STEPS_EXHAUSTED = "steps_exhausted"
    OUT_OF_MEMORY = "out_of_memory"
    TOO_MANY_PROCESSES = "too_many_processes"
    DISK_FULL = "disk_full"
    OUTPUT_LIMIT = "output_limit"
    DEADLINE = "deadline"
    QUEUE_TIMEOUT = "queue_timeout"
    ANSWER_TIMEOUT = "answer_timeout"
    # ours
    SANDBOX_FAILED = "sandbox_failed"
    SANDBOX_LOST = "sandbox_lost"
    SANDBOX_NETWORK_OPEN = "sandbox_network_open"
    GATEWAY_UNAVAILABLE = "gateway_unavailable"
    TENANT_NOT_SERVED = "tenant_not_served"
    STORE_UNAVAILABLE = "store_unavailable"
    POISONED = "poisoned"
    INTERNAL = "internal"

    @property
    def category(self) -> Category:
        """Say who can mend it."""
        return _TEXTS[self].category

    @property
    def cause(self) -> str:
        """Say in a sentence what happened."""
        return _TEXTS[self].cause

    @property
    def next(self) -> str:
        """Say in a sentence what to do now."""
        return _TEXTS[self].next

    @property
    def retryable(self) -> bool:
        """Say whether another attempt may end otherwise."""
        return (
            self.category in (Category.NETWORK, Category.SYSTEM) and self is not EndReason.POISONED
        )


_C = Category
_TEXTS: dict[EndReason, _Text] = {
    EndReason.FINISHED: _Text(_C.NONE, "The task is done.", "Read the diff and the report."),
    EndReason.CANCELLED: _Text(
        _C.USER, "Somebody cancelled the task.", "Retry it to carry on from its last checkpoint."
    ),
    EndReason.CHECKS_FAILED: _Text(
        _C.CODE,
        "The checks fail with this change.",
        "Read verify.log; retry with a hint, or take the diff as a start.",
    ),
    EndReason.CHECKS_TAMPERED: _Text(
        _C.CODE,
        "The change passes only because tests or their definitions were changed.",
        "Read the diff of the tests; allow the paths with checks.may_change if that was wanted.",
    ),
    EndReason.NO_CHANGE: _Text(
        _C.CODE,
        "The agent ended without changing a file.",
        "Say more precisely what should change, or use mode explain.",
    ),
    EndReason.POLICY_REFUSED: _Text(
        _C.CODE,
        "The change holds what the environment's policy does not let through.",
        "Read the flags of the evidence; retry with a hint, or change the policy.",
    ),
    EndReason.HOST_UNKNOWN: _Text(
        _C.NETWORK, "The host name of the Git URL is not known.", "Check the spelling of the URL."
    ),
    EndReason.CONNECTION_REFUSED: _Text(
        _C.NETWORK,
        "The Git server refused the connection.",
        "Check host and port, and that the server runs.",
    ),
    EndReason.ADDRESS_DENIED: _Text(
        _C.USER,
        "The Git URL leads to an address that this platform does not connect to.",
        "Use a public address, or have the operator allow the network (CODEXSYS_ALLOW_NETWORKS).",
    ),
    EndReason.SOURCE_UNREACHABLE: _Text(
        _C.NETWORK,
        "The Git server did not answer as one.",
        "Check that the URL is a Git repository and try again.",
    ),
    EndReason.SOURCE_AUTH: _Text(
        _C.AUTH,
        "The repository is private or not there.",
        "Check the URL; private repositories need a credential.",
    ),
    EndReason.REF_NOT_FOUND: _Text(
        _C.USER, "The branch, tag or commit is not in the repository.", "Check the ref."
    ),
    EndReason.REPOSITORY_EMPTY: _Text(
        _C.USER, "The repository has no commit.", "Push a first commit."
    ),
    EndReason.SOURCE_TOO_LARGE: _Text(
        _C.LIMIT,
        "The source is larger than this platform takes.",
        "Make it smaller, or have the operator raise the limit.",
    ),
    EndReason.SOURCE_REFUSED: _Text(
        _C.USER,
        "The source holds something that cannot be worked on safely.",
        "The detail names it; take it out and submit again.",
    ),
    EndReason.SOURCE_GONE: _Text(_C.USER, "The source is no longer stored.", "Submit it again."),
    EndReason.ZIP_REFUSED: _Text(
        _C.USER,
        "The zip is damaged or holds something unsafe.",
        "The detail names it; make the zip again.",
    ),
    EndReason.IMAGE_NOT_FOUND: _Text(
        _C.USER,
        "The environment's image does not exist, or this platform may not pull it.",
        "Check the image's name and tag.",
    ),
    EndReason.IMAGE_NOT_ALLOWED: _Text(
        _C.USER,
        "The environment names an image that this platform does not run.",
        "Use another image, or have the operator allow it (CODEXSYS_SANDBOX_IMAGES).",
    ),
    EndReason.IMAGE_UNUSABLE: _Text(
        _C.USER,
        "Sandboxes of this platform cannot be made from the environment's image.",
        "The detail says why: an image needs /bin/sh and this host's architecture; local sandboxes take none.",
    ),
    EndReason.SETUP_FAILED: _Text(
        _C.CODE,
        "The setup script ended with an error.",
        "Read setup.log and mend setup.sh or the environment.",
    ),
    EndReason.SETUP_TIMEOUT: _Text(
        _C.LIMIT,
        "The setup script took too long.",
        "Raise limits.setup_seconds or make setup shorter.",
    ),
    EndReason.SECRET_LEFT_BEHIND: _Text(
        _C.CODE,
        "Setup left a secret value in the files that the agent would see.",
        "Do not write secret variables to files in setup.",
    ),
    EndReason.SECRET_UNREADABLE: _Text(
        _C.USER,
        "A setup variable can no longer be decrypted.",
        "Set the variable again and submit anew, or have the operator put CODEXSYS_SECRET_KEY back.",
    ),
    EndReason.SERVICES_NOT_SUPPORTED: _Text(
        _C.USER,
        "Sandboxes of this platform have no services beside them.",
        "Leave services out of the environment, or have the operator set CODEXSYS_SANDBOX=docker or kubernetes.",
    ),
    EndReason.CHECKS_NOT_STARTED: _Text(
        _C.CODE,
        "The check command could not be started.",
        "Check checks.command and that setup installs what it needs.",
    ),
    EndReason.CHECKS_TIMEOUT: _Text(
        _C.LIMIT,
        "The checks took too long.",
        "Raise limits.checks_seconds or choose faster checks.",
    ),
    EndReason.AGENT_GAVE_UP: _Text(
        _C.CODE,
        "The agent said that it cannot do the task.",
        "Read the report for its reason and say more.",
    ),
    EndReason.AGENT_STUCK: _Text(
        _C.CODE,
        "The agent went round in circles.",
        "Read the conversation; retry with a hint or another model.",
    ),
    EndReason.AGENT_CRASHED: _Text(
        _C.SYSTEM,
        "The agent program ended unexpectedly.",
        "Retry; tell the operator if it happens again.",
    ),
    EndReason.COMMAND_FAILED: _Text(
        _C.CODE, "The given script ended with an error.", "Read agent.log and mend the script."
    ),
    EndReason.PATCH_REFUSED: _Text(
        _C.CODE,
        "The change is too large, or holds something that cannot be taken, such as a submodule.",
        "Read the report; retry without it.",
    ),
    EndReason.CONTEXT_OVERFLOW: _Text(
        _C.LIMIT,
        "The conversation no longer fits the model.",
        "Split the task, or use a model with a larger context.",
    ),
    EndReason.MODEL_UNAVAILABLE: _Text(
        _C.NETWORK,
        "The model's endpoint does not answer.",
        "Check CODEXSYS_MODEL_URL and the endpoint.",
    ),
    EndReason.MODEL_AUTH: _Text(
        _C.AUTH,
        "The model's endpoint refused the platform's key.",
        "Have the operator check CODEXSYS_MODEL_KEY.",
    ),
    EndReason.MODEL_REFUSED: _Text(
        _C.USER,
        "The model's endpoint refused the request.",
        "Check the model's name and that it can call tools.",
    ),
    EndReason.BUDGET_EXHAUSTED: _Text(
        _C.LIMIT, "The money for this task is spent.", "Retry with a higher limits.cost_usd."
    ),
    EndReason.TOKENS_EXHAUSTED: _Text(
        _C.LIMIT, "The tokens for this task are spent.", "Retry with a higher limits.tokens."
    ),
    EndReason.CALLS_EXHAUSTED: _Text(
        _C.LIMIT, "The model calls for this task are spent.", "Retry with a higher limits.calls."
    ),
    EndReason.DAY_BUDGET_EXHAUSTED: _Text(
        _C.LIMIT,
        "The money that the tenant may spend in a day is spent.",
        "Retry tomorrow (days begin at midnight UTC), or have the operator raise it (codexsys tenants update).",
    ),
    EndReason.DAY_TOKENS_EXHAUSTED: _Text(
        _C.LIMIT,
        "The tokens that the tenant may use in a day are used.",
        "Retry tomorrow (days begin at midnight UTC), or have the operator raise it (codexsys tenants update).",
    ),
    EndReason.STEPS_EXHAUSTED: _Text(
        _C.LIMIT, "The steps for this task are spent.", "Retry with a higher limits.steps."
    ),
    EndReason.OUT_OF_MEMORY: _Text(
        _C.LIMIT, "The sandbox ran out of memory.", "Raise limits.memory_mb."
    ),
    EndReason.TOO_MANY_PROCESSES: _Text(
        _C.LIMIT, "The sandbox started too many processes.", "Look for a runaway script."
    ),
    EndReason.DISK_FULL: _Text(_C.LIMIT, "The sandbox's disk is full.", "Raise limits.disk_mb."),
    EndReason.OUTPUT_LIMIT: _Text(
        _C.LIMIT, "The sandbox wrote more output than is kept.", "Make the commands quieter."
    ),
    EndReason.DEADLINE: _Text(
        _C.LIMIT,
        "The task took longer than its limit.",
        "Raise limits.wall_seconds, or task_seconds if the detail says so; retry carries on from the last checkpoint.",
    ),
    EndReason.QUEUE_TIMEOUT: _Text(
        _C.LIMIT,
        "No worker took the task in time.",
        "Raise limits.queue_seconds, or have the operator add workers.",
    ),
    EndReason.ANSWER_TIMEOUT: _Text(
        _C.LIMIT,
        "A question was not answered in time.",
        "Retry and answer, or set clarify to assume.",
    ),
    EndReason.SANDBOX_FAILED: _Text(
        _C.SYSTEM, "The sandbox could not be started.", "Run codexsys doctor on the worker's host."
    ),
    EndReason.SANDBOX_LOST: _Text(
        _C.SYSTEM, "The sandbox disappeared.", "Retry; look at the worker's host."
    ),
    EndReason.SANDBOX_NETWORK_OPEN: _Text(
        _C.SYSTEM,
        "The sandbox was not closed off, so the agent was not started.",
        "Run codexsys doctor on the worker's host.",
    ),
    EndReason.GATEWAY_UNAVAILABLE: _Text(
        _C.SYSTEM,
        "The agent reached no gateway.",
        "Check that a gateway runs and that CODEXSYS_GATEWAY_URL leads to it from the worker's host.",
    ),
    EndReason.TENANT_NOT_SERVED: _Text(
        _C.SYSTEM,
        "The worker's host cannot hold every limit of a sandbox, so it works for one tenant, and that is another.",
        "Have the operator run codexsys doctor on the worker's host, or work for this tenant on a host of its own.",
    ),
    EndReason.STORE_UNAVAILABLE: _Text(
        _C.SYSTEM,
        "The object store did not take the results.",
        "Check the store; the task can be retried.",
    ),
    EndReason.POISONED: _Text(
        _C.SYSTEM,
        "Several workers died while they worked on this task.",
        "Look at the workers' logs before a retry.",
    ),
    EndReason.INTERNAL: _Text(
        _C.SYSTEM, "The platform made an error.", "Retry; tell the operator the task's id."
    ),
}
