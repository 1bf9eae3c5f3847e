"""What sandboxes have as /etc follows the host's, file by file."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from codexsys_adapters.local import etc


@pytest.fixture
def host(tmp_path: Path) -> Path:
    host = tmp_path / "host"
    (host / "ssl/certs").mkdir(parents=True)
    (host / "ssl/certs/one.pem").write_text("one")
    (host / "ssl/certs/1234.0").symlink_to("one.pem")
    (host / "ssl/private").mkdir()
    (host / "ssl/private/key.pem").write_text("secret")
    (host / "ld.so.cache").write_bytes(b"\0cache")
    (host / "shadow").write_text("secret")
    return host


@pytest.fixture
def narrow(host: Path) -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.usefixtures("narrow")
def test_what_programs_need_is_there_and_readable_for_everybody(host: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    etc.lay(made, host=host)
    assert everything(made) == {
        *("ld.so.cache", "ssl", "ssl/certs", "ssl/certs/one.pem", "ssl/certs/1234.0"),
        *("passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", etc.ONLINE),
    }
    assert (made / "ssl/certs/1234.0").readlink() == Path("one.pem")
    modes = {path.stat().st_mode & 0o777 for path in made.rglob("*")}
    assert modes == {0o755, 0o644}


def test_what_not_everybody_may_read_is_left_out(host: Path, tmp_path: Path) -> None:
    etc.lay(tmp_path / "made", host=host)
    (host / "ssl/certs/one.pem").chmod(0o600)
    etc.lay(tmp_path / "made", host=host)
    assert not (tmp_path / "made/ssl/certs/one.pem").exists()


def test_it_follows_the_host(host: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    etc.lay(made, host=host)
    (host / "ssl/certs/one.pem").write_text("another")
    (host / "ssl/certs/two.pem").write_text("two")
    (host / "ssl/certs/1234.0").unlink()
    (host / "ssl/certs/1234.0").symlink_to("two.pem")
    (host / "ld.so.cache").unlink()
    etc.lay(made, host=host)
    assert (made / "ssl/certs/one.pem").read_text() == "another"
    assert (made / "ssl/certs/1234.0").read_text() == "two"
    assert not (made / "ld.so.cache").exists()


def test_a_file_that_did_not_change_is_not_written_again(host: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    etc.lay(made, host=host)
    before = (made / "ssl/certs/one.pem").stat().st_ino
    etc.lay(made, host=host)
    assert (made / "ssl/certs/one.pem").stat().st_ino == before


def test_a_folder_that_became_a_file_is_one(host: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (host / "python3").mkdir()
    (host / "python3/debian_config").write_text("x")
    etc.lay(made, host=host)
    (host / "python3/debian_config").unlink()
    (host / "python3").rmdir()
    (host / "python3").write_text("y")
    etc.lay(made, host=host)
    assert (made / "python3").read_text() == "y"
