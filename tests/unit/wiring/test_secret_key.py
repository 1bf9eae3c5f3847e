"""The signing key that is made on the first start."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from codexsys_wiring.secret_key import secret_key
from codexsys_wiring.settings import Settings

STARTED = 12


def key_in(folder: Path) -> bytes:
    return secret_key(Settings(data_dir=folder))


def test_processes_that_start_together_have_the_same_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(STARTED, mp_context=get_context("fork")) as pool:
        for name in range(20):
            folder = tmp_path / str(name)
            assert len(set(pool.map(key_in, [folder] * STARTED))) == 1
            assert (folder / "secret_key").stat().st_mode & 0o777 == 0o600
            assert [path.name for path in folder.iterdir()] == ["secret_key"]
