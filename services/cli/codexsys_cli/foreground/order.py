"""What `codexsys run` is asked for: by flags, by one JSON object, or by the plain variables of jobs."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from codexsys_core.ids import TimeOrderedIds
from codexsys_core.source import GitLogin
from codexsys_core.webhook import key_of
from codexsys_wiring.settings import ConfigurationError


class Entry(NamedTuple):
    """One thing that may be given, and where: a flag goes before JSON, JSON before a variable."""

    name: str
    flag: str
    """As a person finds it in `--help`; empty for a secret, which no command line may hold."""
    keys: tuple[str, ...]
    """In JSON, where the variables' names in lower case do as well."""
    variables: tuple[str, ...] = ()


ENTRIES = (
    Entry("source", "--source", ("repo_url", "source"), ("REPO_URL",)),
    Entry("prompt", "the prompt", ("intent", "prompt"), ("TASK_INTENT",)),
    Entry("task_id", "--task-id", (), ("TASK_ID",)),
    Entry("ref", "--ref", ("ref",)),
    Entry("mode", "--mode", ("mode",)),
    Entry("checks", "--checks", ("checks",)),
    Entry("setup", "--setup", ("setup",)),
    Entry("command", "--command", ("command",)),
    Entry("model", "--model", ("model",), ("OPENAI_MODEL", "LLM_MODEL")),
    Entry("model_url", "--model-url", ("base_url",), ("OPENAI_BASE_URL", "LLM_BASE_URL")),
    Entry("model_key", "", ("api_key",), ("OPENAI_API_KEY", "LLM_API_KEY")),
    Entry("git_username", "--git-username", (), ("GIT_USERNAME",)),
    Entry("git_email", "--git-email", (), ("GIT_EMAIL",)),
    Entry("git_token", "", (), ("GITLAB_API_TOKEN", "GIT_TOKEN")),
    Entry("webhook_url", "--webhook", (), ("WEBHOOK_URL",)),
    Entry("webhook_secret", "", (), ("WEBHOOK_SECRET",)),
    Entry("iterations", "--iterations", (), ("MAX_ITERATIONS",)),
    Entry("out", "--out", (), ("WORKSPACE_DIR",)),
)
VARIABLES = frozenset(name for entry in ENTRIES for name in entry.variables)
SECRET_VARIABLES = frozenset(
    name for entry in ENTRIES if not entry.flag for name in entry.variables
)
OPENAI_URL = "https://api.openai.com/v1"
SCRIPTED = "scripted-demo"
"""The shipped model that plays fixed steps back: it needs no endpoint."""
OUT = "codexsys-run"
LOGIN_USER = "oauth2"
"""GitLab, GitHub and Gitea look at the token alone, but want some name."""
DEFAULT_ITERATIONS = 4
_MODES = ("modify", "explain")
_MOST_ITERATIONS = 11
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")


@dataclass(frozen=True)
class Order:
    """All of it, sound in itself. Texts that were not given are empty."""

    source: str
    prompt: str
    task_id: str
    ref: str
    mode: str
    checks: str
    setup: str
    command: str
    model: str
    model_url: str
    model_key: str
    git_username: str
    """Who asks for the source, and the author of `commit.patch`."""
    git_email: str
    git_token: str
    webhook_url: str
    webhook_secret: str
    iterations: int
    """How often the agent may try: a rejected change gives it another run."""
    out: Path

    @property
    def login(self) -> GitLogin | None:
        """Return who asks for the source; None where nobody needs to."""
        if not self.git_token:
            return None
        user = self.git_username or LOGIN_USER
        return GitLogin(url=self.source, user=user, password=SecretStr(self.git_token))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return all texts that nobody but their receiver may see."""
        return tuple(filter(None, (self.model_key, self.git_token, self.webhook_secret)))


def secrets_in(text: str) -> bool:
    """Say whether a JSON object holds what nobody else may read."""
    try:
        given = json.loads(text)
    except ValueError:
        return True  # better once too often
    if not isinstance(given, dict):
        return False
    return any(given.get(key) for entry in ENTRIES if not entry.flag for key in _keys(entry))


def order_of(
    flags: Mapping[str, Any],
    text: str | None,
    variables: Mapping[str, str],
    *,
    model_known: bool,
) -> Order:
    """Put the order together; raises `ConfigurationError` with all that is missing or wrong.

    `model_known` says that the settings name a model endpoint, which goes before variables that
    may be there for other programs.
    """
    problems: list[str] = []
    given = _read(text, problems)
    if model_known:
        ours = {
            name for entry in ENTRIES if entry.name.startswith("model") for name in entry.variables
        }
        variables = {name: value for name, value in variables.items() if name not in ours}
    found = {entry.name: _first(entry, flags, given, variables) for entry in ENTRIES}
    problems += _missing(found, model_known=model_known)
    problems += [*_wrong(found), *_wrong_secrets(found)]
    if problems:
        raise ConfigurationError(problems)
    if found["model_key"] and not found["model_url"]:
        found["model_url"] = OPENAI_URL
    found["mode"] = found["mode"] or "modify"
    found["task_id"] = found["task_id"] or TimeOrderedIds().new("run")
    return Order(
        **{name: found[name] for name in found if name not in ("iterations", "out")},
        iterations=int(found["iterations"] or DEFAULT_ITERATIONS),
        out=Path(found["out"] or OUT).absolute(),
    )


def _read(text: str | None, problems: list[str]) -> dict[str, str]:
    """Return the JSON object's values as texts."""
    if text is None:
        return {}
    try:
        given = json.loads(text)
    except ValueError as error:
        problems.append(f"the JSON cannot be read: {error}")
        return {}
    known = {key for entry in ENTRIES for key in _keys(entry)}
    for name, value in given.items():
        if name not in known:
            problems.append(
                f"{name} is not known in the JSON; there are {', '.join(sorted(known))}"
            )
        elif isinstance(value, bool) or not isinstance(value, str | int | None):
            problems.append(f"{name} in the JSON must be a text")
    return {name: "" if value is None else str(value) for name, value in given.items()}


def _keys(entry: Entry) -> tuple[str, ...]:
    return (*entry.keys, *(name.lower() for name in entry.variables))


def _first(
    entry: Entry, flags: Mapping[str, Any], given: Mapping[str, str], variables: Mapping[str, str]
) -> str:
    flag = flags.get(entry.name)
    texts = ("" if flag is None else str(flag), *(given.get(key, "") for key in _keys(entry)))
    texts += tuple(variables.get(name, "") for name in entry.variables)
    return next((text for text in texts if text.strip()), "")


def _missing(found: Mapping[str, str], *, model_known: bool) -> list[str]:
    problems = [
        f"{what} is missing: give {_ways(name)}"
        for name, what in (("source", "the source"), ("prompt", "what is wanted"))
        if not found[name]
    ]
    if model_known or found["command"] or found["model"] == SCRIPTED:
        return problems
    if not found["model_url"] and not found["model_key"]:
        problems.append(
            f"the model's endpoint is missing: give {_ways('model_url')}, or OPENAI_API_KEY"
        )
    if not found["model"]:
        problems.append(f"the model is missing: give {_ways('model')}")
    return problems


def _ways(name: str) -> str:
    entry = next(each for each in ENTRIES if each.name == name)
    ways = [entry.flag, *entry.variables[:1], f"{entry.variables[0].lower()} in the JSON"]
    return ", ".join(ways[:-1]) + " or " + ways[-1]


def _wrong(found: Mapping[str, str]) -> list[str]:
    problems = []
    source = found["source"]
    if source and "://" not in source and not Path(source).exists():
        problems.append(f"{source} is neither a URL nor a folder nor a zip")
    if found["ref"] and source and "://" not in source:
        problems.append("--ref goes with a Git URL: a folder is sent as it is")
    if found["mode"] not in ("", *_MODES):
        problems.append(f"the mode is one of {', '.join(_MODES)}, not {found['mode']}")
    if found["task_id"] and not _PRINTABLE.fullmatch(found["task_id"]):
        problems.append("the task's id is at most 4096 printable characters")
    rounds = found["iterations"]
    if rounds and not (rounds.isdecimal() and 1 <= int(rounds) <= _MOST_ITERATIONS):
        problems.append(f"MAX_ITERATIONS is a number from 1 to {_MOST_ITERATIONS}, not {rounds}")
    url = found["model_url"]
    if url and not re.fullmatch(r"https?://[^\s@?#]+", url):
        problems.append("the model's URL begins with https:// or http:// and ends with /v1")
    return problems


def _wrong_secrets(found: Mapping[str, str]) -> list[str]:
    """Name what is wrong with them, and never show one."""
    problems = []
    if found["git_token"] and found["source"] and "://" not in found["source"]:
        problems.append("a Git token goes with a Git URL: a folder needs none")
    for name in ("git_token", "git_username", "git_email", "model_key"):
        if found[name] and not _PRINTABLE.fullmatch(found[name]):
            entry = next(each for each in ENTRIES if each.name == name)
            problems.append(f"{entry.variables[0]} holds a line break, or is longer than any is")
    try:
        key_of(found["webhook_secret"])
    except ValueError as error:
        problems.append(f"WEBHOOK_SECRET: {error}")
    if found["webhook_secret"] and not found["webhook_url"]:
        problems.append(f"there is a webhook's secret and no webhook: give {_ways('webhook_url')}")
    return problems
