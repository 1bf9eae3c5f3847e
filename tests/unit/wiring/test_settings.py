"""Settings: every problem at once, the nearest name, secrets from files."""

from pathlib import Path

import pytest

from codexsys_wiring.instructions import agent_instructions
from codexsys_wiring.settings import ConfigurationError, Settings, load_settings


def test_an_unknown_variable_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEXSYS_DATABSE_URL", "x")
    with pytest.raises(ConfigurationError, match="did you mean CODEXSYS_DATABASE_URL"):
        load_settings()


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEXSYS_WORKER_SLOTS", "none")
    monkeypatch.setenv("CODEXSYS_SANDBOX", "chroot")
    monkeypatch.setenv("CODEXSYS_NONSENSE", "1")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("suffix", ["a b", "/b", "\u00fc", "x" * 65])
def test_a_suffix_that_no_topic_can_have_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("CODEXSYS_QUEUE_SUFFIX", suffix)
    with pytest.raises(ConfigurationError, match="CODEXSYS_QUEUE_SUFFIX"):
        load_settings()


def test_no_variable_says_that_there_is_to_be_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEXSYS_SANDBOX", "none")
    with pytest.raises(ConfigurationError, match="codexsys run --sandbox none"):
        load_settings()


def test_a_secret_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    monkeypatch.setenv("CODEXSYS_MODEL_KEY_FILE", str(tmp_path / "key"))
    settings = load_settings()
    assert settings.model_key.get_secret_value() == "sk-1"
    assert "sk-1" not in repr(settings)


def test_a_setting_that_is_a_file_is_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CODEXSYS_SETUP_CA_FILE", str(tmp_path / "ca.pem"))
    assert load_settings().setup_ca_file == tmp_path / "ca.pem"


def test_a_missing_secret_file_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CODEXSYS_STORE_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="CODEXSYS_STORE_SECRET_FILE"):
        load_settings()


@pytest.mark.parametrize(
    "name",
    [
        "CODEXSYS_API_SERVICE_HOST",
        "CODEXSYS_API_PORT_8080_TCP_ADDR",
        "CODEXSYS_TEST_X",
        "CODEXSYS_REQUIRE",
    ],
)
def test_what_others_inject_is_passed_over(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    load_settings()


def test_a_service_alone_refuses_memory_parts() -> None:
    with pytest.raises(ConfigurationError, match="CODEXSYS_QUEUE_URL"):
        load_settings().refuse_memory("worker")


def test_sockets_are_where_containers_need_them(tmp_path: Path) -> None:
    assert load_settings(data_dir=Path("/d")).sockets is None
    assert load_settings(data_dir=Path("/d"), sandbox="docker").sockets == Path("/d/gateways")
    named = load_settings(sandbox="docker", gateway_sockets=Path("/run/codexsys"))
    assert named.sockets == Path("/run/codexsys")


def test_a_socket_has_a_short_path() -> None:
    long = Path("/" + "x" * 100)
    with pytest.raises(ConfigurationError, match="CODEXSYS_GATEWAY_SOCKETS"):
        load_settings(gateway_sockets=long)
    with pytest.raises(ConfigurationError, match="CODEXSYS_GATEWAY_SOCKETS"):
        _ = load_settings(data_dir=long, sandbox="docker").sockets


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(None, "No such file"), (b"x" * 32_769, "longer than 32,768 bytes"), (b"\xff", "utf-8")],
)
def test_instructions_that_cannot_be_told_are_a_problem(
    tmp_path: Path, content: bytes | None, wrong: str
) -> None:
    file = tmp_path / "rules.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"CODEXSYS_AGENT_INSTRUCTIONS_FILE: .*{wrong}"):
        agent_instructions(Settings(agent_instructions_file=file))
