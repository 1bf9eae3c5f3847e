"""Disks and layers as sandboxes have them: bounded, over what was kept, and gone without a trace."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codexsys_adapters.disks.image import IMAGE, Disk, problem
from codexsys_adapters.disks.layers import Layer, Layers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts images")
MakeDisk = Callable[..., Disk]


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path / "layers", most_bytes=1 << 30)


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    made: list[Disk] = []

    def make(
        owner: int = 120_001, layer: Layer | None = None, megabytes: int = 32, inodes: int = 500
    ) -> Disk:
        folder = tmp_path / f"a,b:{len(made)}"
        folder.mkdir()
        made.append(Disk(folder))
        made[-1].make(megabytes=megabytes, inodes=inodes)
        made[-1].mount(owner=owner, layers=layer.images if layer else ())
        return made[-1]

    yield make
    for disk in made:
        disk.remove()
        disk.remove()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    loops = Path("/sys/block").glob("loop*/loop/backing_file")
    assert not [path for path in loops if str(tmp_path) in path.read_text()]


def sh(disk: Disk, script: str, owner: int = 120_001) -> str:
    """Run a script in the code folder as the disk's owner, as nobody else could."""
    drop = ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups", "sh", "-c"]
    done = subprocess.run(
        [*drop, script], cwd=disk.files / "code", capture_output=True, check=False
    )
    return (done.stdout + done.stderr).decode()


def keep(layers: Layers, disk: Disk, name: str, below: Layer | None = None) -> Layer:
    layers.keep("ten_a", name, lambda draft: disk.keep(draft / IMAGE), below=below)
    found = layers.find("ten_a", [name])
    assert found
    return found


def test_this_host_can(tmp_path: Path) -> None:
    assert problem(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_bytes_are_bounded(make_disk: MakeDisk) -> None:
    disk = make_disk()
    assert 30 << 20 < disk.room().bytes < 40 << 20
    assert "No space left" in sh(disk, "head -c 60M /dev/zero > ../home/x")
    assert disk.room().bytes < 1 << 20


def test_inodes_are_bounded(make_disk: MakeDisk) -> None:
    disk = make_disk()
    said = sh(disk, "for i in $(seq 2000); do : > $i || exit 1; done")
    assert "No space left" in said
    assert disk.room().inodes == 0


def test_what_stands_on_a_layer_does_not_change_it(make_disk: MakeDisk, layers: Layers) -> None:
    first = make_disk()
    sh(first, "mkdir d; echo one > d/f; echo gone > g; echo kept > ../home/h")
    layer = keep(layers, first, "one")
    sh(first, "echo later > d/f")
    second = make_disk(owner=130_001, layer=layer)
    said = sh(second, "stat -c %u d/f; cat d/f ../home/h; echo two > d/f; rm g; mv d e", 130_001)
    assert said == "130001\none\nkept\n"
    assert sh(make_disk(layer=layer), "cat d/f g") == "one\ngone\n"
    above = keep(layers, second, "two", below=layer)
    sh(second, "rm -r e", 130_001)
    assert sh(make_disk(layer=above), "ls; cat e/f") == "e\ntwo\n"


def test_layers_are_found_best_first_and_by_their_tenant(
    make_disk: MakeDisk, layers: Layers
) -> None:
    keep(layers, make_disk(), "second")
    found = layers.find("ten_a", ["first", "second"])
    assert found
    assert found.name == "second"
    assert layers.find("ten_b", ["first", "second"]) is None
    assert layers.find("ten_a", ["../ten_a/second", ""]) is None


def test_a_layer_half_made_is_never_seen(make_disk: MakeDisk, layers: Layers) -> None:
    disk = make_disk()

    def half(draft: Path) -> None:
        disk.keep(draft / IMAGE)
        raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        layers.keep("ten_a", "one", half)
    assert layers.find("ten_a", ["one"]) is None


def test_the_least_recently_used_is_forgotten(make_disk: MakeDisk, tmp_path: Path) -> None:
    small = Layers(tmp_path / "small", most_bytes=30 << 20)
    names = ["used", "lower", "old"]
    for name in names:
        disk = make_disk()
        sh(disk, "head -c 8M /dev/urandom > x")
        keep(small, disk, name)
    user = make_disk(layer=small.find("ten_a", ["used"]))
    assert small.find("ten_a", ["lower"])
    sh(user, "head -c 8M /dev/urandom > y")
    keep(small, user, "new", below=small.find("ten_a", ["used"]))
    kept = [name for name in [*names, "new"] if small.find("ten_a", [name])]
    assert kept == ["used", "lower", "new"]


def test_many_of_many_sizes_are_made_at_once(tmp_path: Path) -> None:
    def make(number: int) -> int:
        folder = tmp_path / str(number)
        folder.mkdir()
        disk = Disk(folder)
        disk.make(megabytes=8 + number % 40, inodes=64, blanks=tmp_path / "blanks")
        return disk.image.stat().st_size

    with ThreadPoolExecutor(12) as pool:
        sizes = list(pool.map(make, range(160)))
    assert len(set(sizes)) == 40
    assert len(list((tmp_path / "blanks").iterdir())) == 32
    assert not list((tmp_path / "blanks").glob("*.new"))


def test_what_a_killed_maker_left_is_removed(tmp_path: Path) -> None:
    blanks = tmp_path / "blanks"
    blanks.mkdir()
    (blanks / "0123.new").write_bytes(b"half")
    (tmp_path / "one").mkdir()
    Disk(tmp_path / "one").make(megabytes=8, inodes=64, blanks=blanks)
    assert [path.name for path in blanks.iterdir()] == ["8-64"]
