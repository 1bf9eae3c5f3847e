"""Forms as they come in: text in memory, the one file straight to where it stays while it is looked at."""

import codecs
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import ImmutableMultiDict
from starlette.formparsers import FormParser, MultiPartException

from codexsys_api.bodies import JSON_BYTES, capped, media_type
from codexsys_api.received import Arriving, Begin, Received
from codexsys_core.errors import Invalid
from codexsys_wiring.folders import Folders

MOST_FIELDS = 64
BEGUN_BYTES = 4 << 20
"""A smaller file is here before storing it has begun."""
_AROUND = b"\r\n----\r\n"
"""What stands around the last boundary."""

Form = ImmutableMultiDict[str, str | Received]


@asynccontextmanager
async def read_form(request: Request, most: int, begin: Begin | None = None) -> AsyncIterator[Form]:
    """Read a form; a file in it is on disk until the block ends. A large one may be stored meanwhile."""
    if media_type(request) == "multipart/form-data":
        folders: Folders = request.app.state.folders
        with folders.work("upload") as place:
            async with AsyncExitStack() as held:
                yield await _multipart(request, most, place / "code.zip", held, begin)
    elif media_type(request) == "application/x-www-form-urlencoded":
        yield await _urlencoded(request)
    else:
        raise Invalid("Send multipart/form-data.", code="media_type")


async def _urlencoded(request: Request) -> Form:
    try:
        fields = await FormParser(request.headers, capped(request, JSON_BYTES)).parse()
    except MultiPartException as error:
        raise _unreadable(error.message) from error
    return Form([(name, value) for name, value in fields.multi_items() if isinstance(value, str)])


async def _multipart(
    request: Request, most: int, path: Path, held: AsyncExitStack, begin: Begin | None
) -> Form:
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise _unreadable("Missing boundary in multipart.")
    parts = _Parts(path, options.get(b"charset", b"utf-8").decode("latin-1"), held)
    parser = MultipartParser(boundary, parts.callbacks())
    end = _declared(request) - len(boundary) - len(_AROUND)
    seen = 0
    try:
        async for piece in capped(request, most + JSON_BYTES):
            parser.write(piece)
            if begin is not None and (at := parts.begins_in(piece)) is not None:
                parts.begin(begin, min(most, end - seen - at))
            seen += len(piece)
            await parts.settle()
        parser.finalize()
    except FormParserError as error:
        raise _unreadable("Invalid multipart data.") from error
    return await parts.form()


def _declared(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else 0


def _unreadable(said: str) -> Invalid:
    return Invalid(f"The form cannot be read: {said}", code="bad_multipart")


@dataclass
class _Part:
    name: str = ""
    filename: str | None = None
    disposition: bytes = b""
    text: bytearray = field(default_factory=bytearray)
    file: Arriving | None = None
    begins: tuple[bytes, int] | None = None
    """The first piece of the file's content, and where in it."""


class _Parts:
    """What the parser finds, call by call."""

    def __init__(self, path: Path, charset: str, held: AsyncExitStack) -> None:
        self._path = path
        self._charset = _known(charset)
        self._held = held
        self._file: Arriving | None = None
        self._texts = 0
        self._found: list[_Part] = []
        self._part = _Part()
        self._header, self._value = b"", b""

    def callbacks(self) -> Any:
        """Return what the parser calls."""
        called: dict[str, Callable[..., None]] = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }
        return called

    def begins_in(self, piece: bytes) -> int | None:
        """Return where in the piece that was just read the file begins, if that is seen."""
        begins = self._part.begins
        return begins[1] if begins is not None and begins[0] is piece else None

    def begin(self, begin: Begin, size: int) -> None:
        """Store the file while it comes in; its size is a guess that holds where it is the form's last part."""
        if self._file is not None and size >= BEGUN_BYTES:
            self._file.begin(begin, size)

    async def settle(self) -> None:
        """Have what came of the file written."""
        if self._file is not None:
            await self._file.settle()

    async def form(self) -> Form:
        """Return all parts that are whole."""
        return Form([(part.name, await self._content(part)) for part in self._found])

    async def _content(self, part: _Part) -> str | Received:
        if part.file is None:
            return self._decoded(bytes(part.text))
        return await part.file.whole(part.filename or "")

    def _begin(self) -> None:
        self._part = _Part()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._part.disposition = self._value
        self._header, self._value = b"", b""

    def _headers_end(self) -> None:
        part, (_, options) = self._part, parse_options_header(self._part.disposition)
        if b"name" not in options:
            raise _unreadable("a part's Content-Disposition has no name.")
        part.name = self._decoded(options[b"name"])
        if b"filename" in options:
            part.filename = self._decoded(options[b"filename"])
            part.file = self._new_file()
            return
        self._texts += 1
        if self._texts > MOST_FIELDS:
            raise _unreadable(f"it has more than {MOST_FIELDS} fields.")

    def _new_file(self) -> Arriving:
        if self._file is not None:
            raise _unreadable("it has more than one file.")
        self._file = Arriving(self._path)
        self._held.push_async_exit(self._file)
        return self._file

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.file is not None:
            self._part.begins = self._part.begins or (data, start)
            self._part.file.take(memoryview(data)[start:end])
            return
        self._part.text += data[start:end]
        if len(self._part.text) > JSON_BYTES:
            raise _unreadable(f"a field is larger than {JSON_BYTES:,} bytes.")

    def _end(self) -> None:
        self._found.append(self._part)

    def _decoded(self, text: bytes) -> str:
        try:
            return text.decode(self._charset)
        except UnicodeDecodeError:
            return text.decode("latin-1")


def _known(charset: str) -> str:
    """Return a charset's name; a strange one is read byte by byte."""
    try:
        return codecs.lookup(charset).name
    except LookupError:
        return "latin-1"
