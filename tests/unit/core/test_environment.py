"""What an environment may be, and what programs are told of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from codexsys_core.environment import EnvironmentGiven
from codexsys_core.provision import Provision


@pytest.mark.parametrize(
    "given",
    [
        {"variables": {"CODEXSYS_TOKEN": "x"}},
        {"variables": {"codexsys_token": "x"}},
        {"variables": {"A-B": "x"}},
        {"variables": {"É": "x"}},
        {"variables": {"A\nB": "x"}},
        {"variables": {"A": "x\0y"}},
        {"variables": {"A": "x" * 130_001}},
        {"setup_variables": {"CODEXSYS_X": "x"}},
        {"setup_variables": {"A": "x\0y"}},
        {"network": {"setup": "private"}},
        {"network": {"setup": ["10.0.0.1"]}},
        {"network": {"setup": ["10.0.0.0/33:443"]}},
        {"network": {"setup": ["10.0.0.1:0"]}},
        {"network": {"agent": "public"}},
        {"proxy": "http://user:password@proxy:3128"},
        {"proxy": "socks5://proxy:1080"},
        {"proxy": "proxy:3128"},
        {"proxy": "http://proxy:99999"},
        {"mirrors": {"pip": "https://token@mirror/simple"}},
        {"mirrors": {"apt": "https://mirror"}},
        {"mirrors": {"npm": 'https://mirror/"; evil'}},
        {"mirrors": {"npm": "https://mirror/\nX: y"}},
        {"certificates": "not one"},
        {"certificates": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
        {"certificates": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"},
        {"services": [{"name": "db", "image": "postgres", "port": 5432}] * 2},
        {"services": [{"name": "DB", "image": "postgres", "port": 5432}]},
        {"services": [{"name": "db", "image": "postgres", "port": 0}]},
        {"image": ""},
        {"unknown": 1},
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EnvironmentGiven.model_validate(given, strict=True)


def test_json_is_taken_as_it_is() -> None:
    service = {"name": "db", "image": "postgres:17", "port": 5432, "command": ["postgres", "-N9"]}
    given = {"setup_variables": {"TOKEN": "secret-value"}, "services": [service]}
    environment = EnvironmentGiven.model_validate(given, strict=True)
    assert environment.services[0].command == ("postgres", "-N9")
    assert environment.setup_variables["TOKEN"].get_secret_value() == "secret-value"
    assert "secret-value" not in repr(environment) + environment.model_dump_json()


def test_programs_are_told_of_mirrors_and_proxy() -> None:
    operator = Provision(
        proxy="http://proxy:3128",
        mirrors={"pip": "http://pip.example/simple", "npm": "https://npm.example"},
    )
    environment = EnvironmentGiven.model_validate(
        {"mirrors": {"npm": "https://own.example", "go": "https://go.example"}}
    )
    told = operator.narrowed(environment).variables
    assert told["HTTPS_PROXY"] == told["https_proxy"] == "http://proxy:3128"
    assert told["PIP_INDEX_URL"] == told["UV_DEFAULT_INDEX"] == "http://pip.example/simple"
    assert told["PIP_TRUSTED_HOST"] == "pip.example"
    assert told["NPM_CONFIG_REGISTRY"] == "https://own.example"
    assert told["GOPROXY"] == "https://go.example"


def test_tools_without_variables_get_files() -> None:
    files = Provision(
        mirrors={"cargo": "https://mirror/crates/", "maven": "https://mirror/maven?a&b"}
    ).home_files
    assert b'"sparse+https://mirror/crates/"' in files[".cargo/config.toml"]
    assert b"<url>https://mirror/maven?a&amp;b</url>" in files[".m2/settings.xml"]
    assert not Provision().home_files
    assert not Provision().variables
