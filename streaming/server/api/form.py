"""What a request brings: JSON, or the parts of a form."""

import re
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import Message
from email.parser import BytesHeaderParser
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from streaming.realtime.mistakes import mistake
from streaming.server.http import RefusedError, Request

PARTS, HEAD_BYTES, BOUNDARY_BYTES, TEXT_BYTES = 32, 4 * 2**10, 70, 64 * 2**10
"""Most parts of a form, and the longest head, boundary (RFC 2046, section 5.1.1) and text of
one."""


class Fields(BaseModel):
    """The fields of a request. Others than those that are named are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Wanted = TypeVar("Wanted", bound=Fields)


@dataclass(slots=True)
class Form:
    """The parts of a form."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    """By their names; `[]` at the end of a name is left out."""

    files: dict[str, bytes] = field(default_factory=dict)

    def fields(self, kind: type[Wanted], lists: tuple[str, ...] = ()) -> Wanted:
        """The texts, checked field by field.

        Args:
            kind: what they are to be.
            lists: names of fields that may occur more than once.

        Raises:
            RefusedError: one of them is wrong, or occurs twice.
        """
        given: dict[str, str | list[str]] = {}
        for name, texts in self.texts.items():
            if name not in lists and len(texts) > 1:
                raise wrong(f"{name}: more than once", name)
            given[name] = texts if name in lists else texts[0]
        return checked(kind, given)


def wrong(why: str, param: str | None = None, code: str = "invalid_value") -> RefusedError:
    """An error in what a client sent; `param`: the field."""
    return RefusedError(HTTPStatus.BAD_REQUEST, "invalid", why, code=code, param=param)


def checked(kind: type[Wanted], given: object) -> Wanted:
    """The fields of a request.

    Args:
        kind: what they are to be.
        given: as they came.

    Raises:
        RefusedError: one of them is wrong.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _mistake(error) from None


def json_fields(kind: type[Wanted], request: Request, body: bytes) -> Wanted:
    """The fields of a request in JSON.

    Args:
        kind: what they are to be.
        request: its head.
        body: its body.

    Raises:
        RefusedError: it is no JSON, or a field is wrong.
    """
    if content_type(request).get_content_type() != "application/json":
        why = "The body has to be JSON, and its Content-Type application/json."
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", why)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise _mistake(error) from None


def _mistake(error: ValidationError) -> RefusedError:
    found = mistake(error)
    param = found.param and _ALTERNATIVE.sub("", found.param)
    where = "" if param is None else f"{param}: "
    told = found.message if found.code == "unknown_parameter" else f"{where}{found.message}"
    code = "invalid_json" if param is None else found.code
    return wrong(told, param, code)


_ALTERNATIVE = re.compile(r"\.(str|list\[.*\]|constrained-\w+)(?=\.|$)")
"""Names in the paths of fields that are alternatives of a type."""


def form(request: Request, body: bytes) -> Form:
    """The parts of a form (RFC 7578).

    Args:
        request: its head.
        body: its body.

    Raises:
        RefusedError: it is no form, or not a whole one, or has too many parts.
    """
    kind = content_type(request)
    boundary = kind.get_boundary()
    if kind.get_content_type() != "multipart/form-data":
        why = "The body has to be a form, and its Content-Type multipart/form-data."
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", why)
    if not boundary or len(boundary) > BOUNDARY_BYTES or not boundary.isascii():
        raise wrong("The Content-Type has no boundary that a form may have.", code="form")
    found = Form()
    for name, is_file, content in _parts(body, b"--" + boundary.encode()):
        if is_file:
            if name in found.files:
                raise wrong(f"{name}: more than one file", name)
            found.files[name] = content
        else:
            found.texts.setdefault(name.removesuffix("[]"), []).append(_text(name, content))
    return found


def _parts(body: bytes, mark: bytes) -> list[tuple[str, bool, bytes]]:
    """The parts of a form: the name of each, whether it is a file, and what is in it.

    A mark counts where it begins a line, and blanks at most follow it in the line.
    """
    parts: list[tuple[str, bool, bytes]] = []
    at = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if at < 2 and not body.startswith(mark):
        raise wrong("The form has no parts.", code="form")
    at += len(mark)
    while not body.startswith(b"--", at):
        if len(parts) == PARTS:
            raise wrong(f"The form has more than {PARTS} parts.", code="form")
        line_end = body.find(b"\r\n", at, at + HEAD_BYTES)
        head_end = body.find(b"\r\n\r\n", max(at, line_end), at + HEAD_BYTES)
        end = body.find(b"\r\n" + mark, head_end + 4)
        while end >= 0 and not _ends(body, end + 2 + len(mark)):
            end = body.find(b"\r\n" + mark, end + 2)
        if line_end < 0 or body[at:line_end].strip() or head_end < 0 or end < 0:
            raise wrong("The form is not complete.", code="form")
        name, is_file = _disposition(body[line_end + 2 : head_end])
        parts.append((name, is_file, body[head_end + 4 : end]))
        at = end + 2 + len(mark)
    return parts


def _ends(body: bytes, at: int) -> bool:
    """Whether a mark ends here, and nothing but blanks follows it in the line."""
    rest = body[at : at + 2]
    return rest in (b"--", b"\r\n") or rest[:1] in (b" ", b"\t")


def _disposition(head: bytes) -> tuple[str, bool]:
    """The name of a part, and whether it is a file."""
    try:
        read = BytesHeaderParser().parsebytes(head)
        name = read.get_param("name", header="content-disposition")
        is_file = read.get_filename() is not None
    except (MessageError, UnicodeError, ValueError):
        name = None
    if not isinstance(name, str) or not name:
        raise wrong("A part of the form has no name.", code="form")
    if str(read.get("content-transfer-encoding", "binary")).lower() not in _PLAIN:
        raise wrong(f"{name:.60}: encoded; send it as it is", code="form")
    return name, is_file


_PLAIN = ("7bit", "8bit", "binary")


def _text(name: str, content: bytes) -> str:
    if len(content) > TEXT_BYTES:
        raise wrong(f"{name:.60}: more than {TEXT_BYTES} bytes", name[:60])
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise wrong(f"{name:.60}: not UTF-8", name[:60]) from None


def content_type(request: Request) -> Message:
    """The `Content-Type` of a request, taken apart."""
    kind = Message()
    kind["Content-Type"] = (request.one("content-type") or "").replace("\n", " ")
    return kind
