"""Archives that are made to do harm, or to be read in two ways: each refused, with what is wrong with it."""

import asyncio
import re
from pathlib import Path

import pytest
from tests.unit.adapters.hostile_zips.every import hostile
from tests.unit.adapters.hostile_zips.headers import HEADERS

from codexsys_adapters.zips.adapter import Zips
from codexsys_adapters.zips.rules import ZipLimits
from codexsys_core.errors import Invalid
from codexsys_core.source import SourceFailure


async def refused(file: Path, data: bytes, limits: ZipLimits) -> str:
    """Return the sentence that refuses a zip."""
    await asyncio.to_thread(file.write_bytes, data)
    with pytest.raises(Invalid) as vetted:
        await Zips(limits=limits).vet(file)
    assert vetted.value.code == "zip_refused"
    return vetted.value.message


async def test_hostile_zips_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    cases = hostile()
    assert len({data for data, _, _ in cases.values()}) >= 200
    said = await asyncio.gather(
        *(
            refused(tmp_path / f"{at}.zip", data, limits)
            for at, (data, _, limits) in enumerate(cases.values())
        ),
        return_exceptions=True,
    )
    wanted = [words for _, words, _ in cases.values()]
    odd = [
        f"{name}: {found}"
        for name, words, found in zip(cases, wanted, said, strict=True)
        if not re.search(words, str(found)) or isinstance(found, BaseException)
    ]
    assert odd == []


@pytest.mark.parametrize(
    "name", ["another size behind", "both sizes wrong", "cut off", "no deflate"]
)
async def test_what_is_found_while_unpacking_leaves_nothing(tmp_path: Path, name: str) -> None:
    data, words = HEADERS[name]
    file = tmp_path / "code.zip"
    file.write_bytes(data)
    with pytest.raises(SourceFailure, match=words) as failure:
        await Zips().unpack(file, tmp_path / "base")
    assert failure.value.reason == "zip_refused"
    assert not (tmp_path / "base").exists()
