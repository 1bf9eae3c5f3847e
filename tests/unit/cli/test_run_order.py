"""What `codexsys run` is asked for, wherever it stands; and the exit code by how it ended."""

import json
from typing import Any, cast

import pytest

from codexsys_cli.foreground.order import VARIABLES, order_of, secrets_in
from codexsys_cli.foreground.outcome import exit_of
from codexsys_client import Task
from codexsys_core.end_reasons import EndReason
from codexsys_wiring.settings import ConfigurationError

ALL = {
    "REPO_URL": "https://example.org/a.git",
    "TASK_INTENT": "Mend it",
    "LLM_API_KEY": "sk-1",
    "LLM_BASE_URL": "https://models.example.org/v1",
    "OPENAI_MODEL": "small",
    "GITLAB_API_TOKEN": "glpat-1",
    "MAX_ITERATIONS": "3",
}


def order(text: str | None = None, *, known: bool = False, **flags: Any) -> Any:
    return order_of(flags, text, ALL, model_known=known)


def test_a_flag_goes_before_json_and_json_before_a_variable() -> None:
    text = json.dumps({"intent": "By JSON", "repo_url": "https://example.org/j.git", "ref": None})
    given = order(text, prompt="By flag")
    assert (given.prompt, given.source, given.model) == (
        "By flag",
        "https://example.org/j.git",
        "small",
    )
    assert (given.iterations, given.model_key, given.model_url) == (3, "sk-1", ALL["LLM_BASE_URL"])
    assert given.task_id.startswith("run_")
    assert given.login.user == "oauth2"
    assert "glpat-1" not in repr(given.login)


def test_variables_of_other_programs_do_not_stand_against_our_settings() -> None:
    given = order(known=True)
    assert (given.model, given.model_url, given.model_key) == ("", "", "")
    assert order(known=True, model="large").model == "large"


def test_a_key_alone_is_openais() -> None:
    variables = {name: text for name, text in ALL.items() if name != "LLM_BASE_URL"}
    given = order_of({}, None, variables, model_known=False)
    assert given.model_url == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ('{"repo": "x"}', "repo is not known"),
        ('{"intent": ["x"]}', "must be a text"),
        ('{"max_iterations": 12}', "1 to 11"),
        ('{"mode": "push"}', "modify, explain"),
        ('{"webhook_url": "https://example.org", "webhook_secret": "whsec_?"}', "not base64"),
        ('{"gitlab_api_token": "glpat\\nprotocol=http"}', "line break"),
        ('{"openai_base_url": "ftp://example.org/v1"}', "begins with https://"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_shown(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        order(text)
    assert said in str(refused.value)
    assert "glpat" not in str(refused.value)


def test_secrets_in_json_are_found() -> None:
    assert secrets_in('{"gitlab_api_token": "x"}')
    assert secrets_in('{"openai_api_key": "x"}')
    assert secrets_in('{"webhook_secret": "x", ')
    assert not secrets_in('{"intent": "x", "gitlab_api_token": null}')
    assert {"REPO_URL", "LLM_API_KEY", "WORKSPACE_DIR"} <= VARIABLES


def ended(reason: EndReason, *, verdict: str | None = None, mode: str = "modify") -> Task:
    status = {EndReason.FINISHED: "succeeded", EndReason.CANCELLED: "cancelled"}
    found = {
        "status": status.get(reason, "failed"),
        "verdict": verdict,
        "mode": mode,
        "end_reason": {"code": reason.value, "category": reason.category.value},
    }
    return cast("Task", found)


@pytest.mark.parametrize(
    ("task", "plain", "strict"),
    [
        (ended(EndReason.FINISHED, verdict="verified"), 0, 0),
        (ended(EndReason.FINISHED, verdict="unverified"), 0, 3),
        (ended(EndReason.FINISHED, mode="explain"), 0, 0),
        (ended(EndReason.CHECKS_FAILED, verdict="tests_failed"), 3, 3),
        (ended(EndReason.AGENT_GAVE_UP), 3, 3),
        (ended(EndReason.REF_NOT_FOUND), 2, 2),
        (ended(EndReason.SOURCE_AUTH), 4, 4),
        (ended(EndReason.MODEL_AUTH), 4, 4),
        (ended(EndReason.TOKENS_EXHAUSTED), 5, 5),
        (ended(EndReason.DEADLINE), 5, 5),
        (ended(EndReason.MODEL_UNAVAILABLE), 1, 1),
        (ended(EndReason.SANDBOX_FAILED), 1, 1),
    ],
)
def test_the_exit_code_is_by_how_it_ended(task: Task, plain: int, strict: int) -> None:
    assert exit_of(task, require_verified=False) == plain
    assert exit_of(task, require_verified=True) == strict
