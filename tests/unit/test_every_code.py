"""Every end reason and every problem code has a test that produces it through a public door."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from codexsys_api.described.refusals import REFUSALS
from codexsys_core.end_reasons import EndReason

ROOT = Path(__file__).parents[2]
E2E = ROOT / "tests" / "e2e"

R = EndReason
LATER_REASONS: dict[R, str] = {
    R.TENANT_NOT_SERVED: "no worker holds to one tenant yet: it comes with hosts of ordinary users",
}
REASONS: dict[str, set[EndReason]] = {
    "test_end_reasons.py::test_verdict": {R.FINISHED, R.CHECKS_FAILED, R.CHECKS_TAMPERED},
    "test_end_reasons.py::test_cancel_while_running": {R.CANCELLED},
    "test_end_reasons.py::test_agent_that_goes_wrong": {
        R.NO_CHANGE,
        R.COMMAND_FAILED,
        R.CHECKS_NOT_STARTED,
        R.DEADLINE,
        R.STEPS_EXHAUSTED,
    },
    "test_end_reasons.py::test_source_of_git_that_cannot_be_used": {
        R.HOST_UNKNOWN,
        R.CONNECTION_REFUSED,
        R.REF_NOT_FOUND,
        R.REPOSITORY_EMPTY,
        R.ADDRESS_DENIED,
    },
    "test_end_reasons.py::test_private_repository_without_credential": {R.SOURCE_AUTH},
    "test_end_reasons.py::test_zip_that_is_gone": {R.SOURCE_GONE},
    "test_end_reasons.py::test_setup_that_goes_wrong": {
        R.SETUP_FAILED,
        R.SETUP_TIMEOUT,
        R.SECRET_LEFT_BEHIND,
    },
    "test_end_reasons.py::test_checks_that_take_too_long": {R.CHECKS_TIMEOUT},
    "test_end_reasons.py::test_a_submodule_is_no_change_that_is_taken": {R.PATCH_REFUSED},
    "test_end_reasons.py::test_an_agent_that_was_killed_is_tried_again": {R.AGENT_CRASHED},
    "test_end_reasons.py::test_a_command_whose_process_was_killed_for_memory": {R.OUT_OF_MEMORY},
    "test_end_reasons_steered.py::test_a_source_that_is_too_large_or_no_repository": {
        R.SOURCE_TOO_LARGE,
        R.SOURCE_UNREACHABLE,
        R.SOURCE_REFUSED,
    },
    "test_end_reasons_steered.py::test_a_secret_that_another_key_sealed": {R.SECRET_UNREADABLE},
    "test_end_reasons_steered.py::test_a_zip_that_went_bad_in_the_store": {R.ZIP_REFUSED},
    "test_end_reasons_steered.py::test_each_ends_as_it_should_and_is_tried_as_often": {
        R.TOO_MANY_PROCESSES,
        R.DISK_FULL,
        R.OUTPUT_LIMIT,
        R.SANDBOX_FAILED,
        R.SANDBOX_LOST,
        R.SANDBOX_NETWORK_OPEN,
        R.GATEWAY_UNAVAILABLE,
        R.SERVICES_NOT_SUPPORTED,
        R.IMAGE_NOT_FOUND,
        R.IMAGE_NOT_ALLOWED,
        R.IMAGE_UNUSABLE,
        R.INTERNAL,
    },
    "test_end_reasons_steered.py::test_no_worker_in_time": {R.QUEUE_TIMEOUT},
    "test_model_faults.py::test_each_ends_as_it_should": {
        R.AGENT_GAVE_UP,
        R.AGENT_STUCK,
        R.CONTEXT_OVERFLOW,
        R.MODEL_UNAVAILABLE,
        R.MODEL_AUTH,
        R.MODEL_REFUSED,
        R.BUDGET_EXHAUSTED,
        R.TOKENS_EXHAUSTED,
        R.CALLS_EXHAUSTED,
        R.DAY_BUDGET_EXHAUSTED,
        R.DAY_TOKENS_EXHAUSTED,
    },
    "test_store_away.py::test_a_store_that_stays_away_ends_the_task": {R.STORE_UNAVAILABLE},
    "test_policy.py::test_what_is_refused_ends_the_task_with_evidence": {R.POLICY_REFUSED},
    "test_questions.py::test_the_deadline_takes_the_default_or_ends_the_task": {R.ANSWER_TIMEOUT},
    "test_dead_letters.py::test_a_task_that_kills_its_workers_is_poisoned": {R.POISONED},
}

PROBLEMS: dict[str, set[str]] = {
    "test_answers.py::test_a_question_is_shown_and_answered_once": {"already_answered"},
    "test_answers.py::test_a_wrong_answer_changes_nothing": {"question_not_found"},
    "test_answers.py::test_an_answer_after_the_end_is_refused": {"task_over"},
    "test_messages.py::test_a_message_that_nobody_would_read_is_refused": {
        "messages_not_read",
        "messages_full",
    },
    "test_delete.py::test_delete_removes_all_but_the_row": {
        "task_not_over",
        "task_in_use",
        "task_deleted",
        "source_task_deleted",
    },
    "test_work_so_far.py::test_there_is_no_workspace_without_a_base": {
        "workspace_not_ready",
        "workspace_not_found",
    },
    "test_work_so_far.py::test_a_checkpoint_that_attacks_is_no_change": {"change_refused"},
    "test_work_so_far.py::test_only_so_many_workspaces_are_sent_at_once": {"workspaces_busy"},
    "test_tenants.py::test_a_tenants_queue_is_capped_from_the_command_line": {"queue_full"},
    "test_api_bad_input.py::test_a_wrong_body_names_the_field": {
        "invalid",
        "forge_not_configured",
        "not_available_yet",
        "source_task_not_found",
        "address_denied",
        "url_refused",
    },
    "test_api_models.py::test_a_model_that_is_not_there_is_refused_with_those_that_are": {
        "model_unknown"
    },
    "test_api_models.py::test_a_limit_of_money_that_cannot_be_kept_is_refused_or_not_there": {
        "price_unknown"
    },
    "test_api_models.py::test_a_retry_of_a_task_whose_model_is_gone_says_so": {"model_gone"},
    "test_api_bad_input.py::test_what_is_no_json_or_no_known_type_is_refused": {
        "bad_json",
        "media_type",
        "bad_multipart",
    },
    "test_api_bad_input.py::test_a_large_json_body_is_refused": {"too_large"},
    "test_api_bad_input.py::test_a_bad_zip_is_refused": {"zip_refused"},
    "test_api_rates.py::test_a_key_that_asks_too_often_is_told_when_to_come_again": {
        "rate_limited"
    },
    "test_api_keys.py::test_a_key_does_what_its_scope_allows_at_once": {"scope_too_low"},
    "test_api_keys.py::test_keys_are_shown_renamed_and_listed_in_pages": {"key_not_found"},
    "test_api_bad_input.py::test_keys_that_are_missing_wrong_or_revoked": {
        "key_missing",
        "key_unknown",
        "key_revoked",
    },
    "test_api_bad_input.py::test_unknown_things_and_those_of_others_are_not_found": {
        "task_not_found",
    },
    "test_api_bad_input.py::test_addresses_and_methods_that_are_not_there": {
        "not_found",
        "method_not_allowed",
    },
    "test_api_follow.py::test_the_same_key_is_the_same_task": {"idempotency_mismatch"},
    "test_api_follow.py::test_retry_is_a_new_task_of_a_terminal_one": {"task_not_over"},
    "test_api_follow.py::test_pages_from_sign_in_to_revoked_share": {"csrf"},
    "test_api_problems.py::test_a_task_that_is_not_over_is_no_source": {"source_task_not_over"},
    "test_api_problems.py::test_an_artifact_that_is_not_there": {"artifact_not_found"},
    "test_api_problems.py::test_a_key_of_idempotency_that_is_none": {"idempotency_key"},
    "test_api_problems.py::test_links_that_lead_nowhere": {
        "bad_link",
        "link_expired",
        "object_not_found",
        "share_not_found",
    },
    "test_api_problems.py::test_an_error_of_ours_says_nothing_of_its_cause": {"internal"},
    "test_parts_away.py::test_no_database_is_503_with_a_code_and_passes": {"database_unavailable"},
    "test_parts_away.py::test_a_zip_needs_the_store_and_leaves_nothing_without_it": {
        "store_unavailable",
    },
}
DEFAULTS = {
    "unauthorized": "each refusal of a key has a code of its own",
    "forbidden": "each has a code of its own",
    "conflict": "each has a code of its own",
    "unavailable": "each part has a code of its own",
    "environment_busy": "others would have to come between every read and its write",
    "sandbox_error": "an end reason for the API's users",
    "bad_request": "what FastAPI itself would call so is read by our own readers",
}
"""Codes that no answer of the API has today, and why."""


PAGES_ONLY = {
    "csrf",
    "bad_link",
    "link_expired",
    "object_not_found",
    "not_found",
    "method_not_allowed",
}
"""Codes of addresses that are no operation of the API."""


def _codes() -> Iterator[str]:
    """Yield the literal codes in the API and in the errors of the core."""
    files = [*(ROOT / "services/api/codexsys_api").rglob("*.py")]
    files.append(ROOT / "libs/core/codexsys_core/errors.py")
    for file in files:
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if (isinstance(node, ast.keyword) and node.arg == "code") or (
                isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "default_code"
            ):
                yield from _literal(node.value)
    table = (ROOT / "services/api/codexsys_api/problems.py").read_text()
    yield from re.findall(r'"(bad_[a-z]+|media_type|not_found|method_not_allowed)"', table)


def _literal(value: ast.expr | None) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value


def test_every_end_reason_is_produced() -> None:
    shown = set().union(*REASONS.values())
    assert set(EndReason) - shown == set(LATER_REASONS)


def test_every_problem_code_is_described() -> None:
    ours = {code for code in _codes() if code not in PAGES_ONLY}
    assert ours - set(REFUSALS) - set(DEFAULTS) == set()


def test_every_problem_code_is_produced() -> None:
    shown = set().union(*PROBLEMS.values())
    assert set(_codes()) - shown - set(DEFAULTS) == set()
    assert shown.isdisjoint(DEFAULTS)


@pytest.mark.parametrize("name", [*REASONS, *PROBLEMS])
def test_the_test_that_is_named_is_there_and_names_the_code(name: str) -> None:
    file, _, function = name.partition("::")
    source = (E2E / file).read_text()
    tree = ast.parse(source)
    assert function in {
        node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)
    }
    for reason in REASONS.get(name, ()):
        assert f"EndReason.{reason.name}" in source or f'"{reason.value}"' in source
    for code in PROBLEMS.get(name, ()):
        assert f'"{code}"' in source
