"""Names of layers: the same for the same inputs, another for any other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from codexsys_adapters.aes_gcm import AesGcmSecrets
from codexsys_core.attempt import Hold
from codexsys_core.environment import EnvironmentGiven
from codexsys_core.provision import Provision
from codexsys_core.source import Base, GitSource
from codexsys_core.task import Task, TaskSpec
from codexsys_worker.layers import LayerNames, Layers
from codexsys_worker.work import Prepared, Work

SECRETS = AesGcmSecrets(b"a key of the platform")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETUP = {"setup": "make install"}


class Clock:
    """Stands still."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


def named(
    environment: dict[str, Any] | None = None,
    *,
    tenant: str = "ten_a",
    task_id: str = "task_1",
    base: Base | None = None,
    has_setup: bool = False,
    operator: Provision | None = None,
    place: str = "local here",
    now: datetime = MOMENT,
    hours: float = 24,
    key: AesGcmSecrets = SECRETS,
    folder: Path = Path("/nonexistent"),
) -> Layers:
    given = EnvironmentGiven.model_validate(SETUP if environment is None else environment)
    sealed = given.sealed(key, row=task_id)
    spec = TaskSpec(
        prompt="x",
        source=GitSource(url="https://example.org/a.git"),
        environment=sealed,
    )
    task = Task(id=task_id, tenant_id=tenant, created_by="key_1", spec=spec, created_at=MOMENT)
    hold = Hold(attempt_id="att_1", task_id=task_id, tenant_id=tenant, number=1, fence=1)
    names = LayerNames(secrets=key, clock=Clock(now), place=place, hours=hours)
    return names.of(
        Work(task=task, hold=hold, folder=folder),
        Prepared(base=base or Base(commit="c" * 40, tree="t" * 40), has_setup=has_setup),
        (operator or Provision()).narrowed(sealed),
        sealed.opened(key, row=task_id),
    )


def test_the_same_inputs_have_the_same_names() -> None:
    first = named(SETUP | {"setup_variables": {"TOKEN": "x"}})
    assert first == named(SETUP | {"setup_variables": {"TOKEN": "x"}}, task_id="task_2")
    assert first.wanted == (first.setup, first.base)


@pytest.mark.parametrize(
    "change",
    [
        {"setup": "make  install"},
        {"image": "python:3.12"},
        {"variables": {"A": "1"}},
        {"setup_variables": {"A": "1"}},
        {"network": {"setup": "none"}},
        {"services": [{"name": "db", "image": "postgres", "port": 5432}]},
        {"proxy": "http://proxy:3128"},
        {"mirrors": {"npm": "https://mirror.example"}},
        {"secrets_in_setup_sh": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_environment_is_another_setup(change: dict[str, Any]) -> None:
    assert named(SETUP | change).setup != named().setup


def test_another_secret_is_another_setup() -> None:
    one, two = ({"setup_variables": {"A": value}} for value in ("1", "2"))
    assert named(SETUP | one).setup != named(SETUP | two).setup
    assert named(SETUP | one).base == named(SETUP | two).base


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "ten_b"},
        {"base": Base(commit="d" * 40, tree="t" * 40)},
        {"base": Base(commit="c" * 40, tree="u" * 40)},
        {"place": "docker here"},
        {"key": AesGcmSecrets(b"another key")},
        {"operator": Provision(mirrors={"cargo": "https://mirror.example"})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_ground_is_another_of_both(change: dict[str, Any]) -> None:
    first, second = named(), named(**change)
    assert not set(first.wanted) & set(second.wanted)


def test_another_history_is_another_of_both(tmp_path: Path) -> None:
    (tmp_path / "base.git").mkdir()
    (tmp_path / "base.git" / "shallow").write_text("c" * 40)
    assert not set(named().wanted) & set(named(folder=tmp_path).wanted)


@pytest.mark.parametrize("change", [{"checks": {"command": "make"}}, {"cache": True}])
def test_what_setup_does_not_see_changes_nothing(change: dict[str, Any]) -> None:
    assert named(SETUP | change) == named()


def test_a_result_grows_old() -> None:
    later = named(now=MOMENT + timedelta(hours=24))
    assert (later.base, later.setup != named().setup) == (named().base, True)
    assert named(now=MOMENT + timedelta(minutes=5)) == named()


def test_only_what_is_run_has_a_name() -> None:
    assert named({}).wanted == (named({}).base,)
    assert named({}, has_setup=True).setup is not None


def test_nothing_is_kept_where_it_is_turned_off() -> None:
    assert named(SETUP | {"cache": False}) == named(hours=0) == Layers()
