"""A form with a file in it, as multipart/form-data."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_relay.core.errors import BadRequest

if TYPE_CHECKING:
    from python_multipart.multipart import Field, File

_LONGEST_NAME = 255
_UNNAMED = "upload"
_MOST_PARTS = 100  # to take a hundred thousand empty ones apart would take seconds


@dataclass(slots=True, kw_only=True)
class Form:
    """What a form holds; there is one file in it at most."""

    fields: dict[str, str] = field(default_factory=dict)
    file: bytes | None = None
    file_name: str = _UNNAMED
    is_whole: bool = False
    parts: int = 0

    def add_field(self, part: Field) -> None:
        """Take a part without a file name."""
        self._count()
        self.fields[_text(part.field_name)] = _text(part.value)

    def add_file(self, part: File) -> None:
        """Take a part with a file name; only the one called `file` matters."""
        self._count()
        if part.field_name == b"file":
            part.file_object.seek(0)
            self.file = part.file_object.read()
            self.file_name = safe_file_name(_text(part.file_name))
        part.close()

    def end(self) -> None:
        """Know that nothing of the form is missing."""
        self.is_whole = True

    def _count(self) -> None:
        self.parts += 1
        if self.parts > _MOST_PARTS:
            raise BadRequest(
                f"The form has more than {_MOST_PARTS} parts. Send 'purpose' and 'file'."
            )


def parse_form(content_type: str, body: bytes) -> Form:
    """Return the form that a body holds; BadRequest if it is none, or not whole."""
    from python_multipart.exceptions import FormParserError  # noqa: PLC0415 - uploads alone
    from python_multipart.multipart import FormParser, parse_options_header  # noqa: PLC0415

    # The parser wants Latin-1, which is what headers are in.
    header = content_type.encode("latin-1", "replace").decode("latin-1")
    kind, options = parse_options_header(header)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadRequest(
            "Send the file as multipart/form-data, with the parts 'purpose' and 'file'."
        )
    # Its warnings quote what came in.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL + 1)
    form = Form()
    in_memory = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}
    try:
        parser = FormParser(
            kind.decode(),
            form.add_field,
            form.add_file,
            form.end,
            boundary=options[b"boundary"],
            config=in_memory,
        )
        parser.write(body)
    except FormParserError:
        raise _broken() from None
    if not form.is_whole:
        raise _broken()
    return form


def safe_file_name(name: str) -> str:
    """Return a file's name without folders and whatever is not text."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in last if char.isprintable()).strip()
    return shown[:_LONGEST_NAME] or _UNNAMED


def _broken() -> BadRequest:
    return BadRequest("The body is no whole multipart/form-data: it breaks off, or has bad parts.")


def _text(part: bytes | None) -> str:
    return (part or b"").decode("utf-8", "replace")
