"""What linters and formatters are told, by the settings of a repository."""

import pytest

from codexsys_agent.inspectors.configured import uses


def told(settings: dict[str, str], changed: list[str]) -> dict[str, list[str]]:
    """Return the arguments of each tool."""
    found = uses(settings, changed, lambda path: settings[path].encode())
    return {each.tool.name: each.arguments for each in found}


@pytest.mark.parametrize(
    ("manifest", "edition"),
    [
        ("[package]\nedition = '2024'\n", "2024"),
        ("[package]\nname = 'old'\n", "2015"),
        ("[package]\nedition.workspace = true\n", "2021"),
        ("[workspace]\n", "2021"),
        ("[package]\nedition = '--help'\n", "2021"),
        ("package = 1\n", "2021"),
        ("[package", "2021"),
    ],
)
def test_rust_is_formatted_by_the_edition_of_its_package(manifest: str, edition: str) -> None:
    arguments = told({"a/Cargo.toml": manifest}, ["a/src/lib.rs"])["rustfmt"]
    assert arguments == ["--edition", edition, "--", "./src/lib.rs"]


def test_what_settings_leave_out_is_left_to_the_tool() -> None:
    settings = {"setup.cfg": "[flake8]\n", "pyproject.toml": "[tool.black]\n"}
    arguments = told(settings, ["a.py", "b[1].py", "with,comma.py"])
    assert arguments["flake8"] == ["--format=default", "--filename=./a.py,./b[[]1].py", "."]
    pattern = r"--include=^/(a\.py|b\[1\]\.py|with,comma\.py)$"
    assert arguments["black"] == ["--quiet", pattern, "."]
