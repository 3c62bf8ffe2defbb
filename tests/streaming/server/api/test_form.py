"""Forms and JSON: what another library writes is read, and what nobody should write is refused."""

import contextlib

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.server.api.form import PARTS, TEXT_BYTES, Fields, Form, form, json_fields
from streaming.server.http import RefusedError, Request

names = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\[]'),
                min_size=1, max_size=9)  # fmt: skip


def asked(kind: str) -> Request:
    return Request("POST", "/", "1.1", (("content-type", kind),))


def read(body: bytes, boundary: str = "b") -> Form:
    return form(asked(f"multipart/form-data; boundary={boundary}"), body)


@given(
    st.dictionaries(
        names, st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=5
    ),
    st.dictionaries(names, st.binary(max_size=200) | st.just(b"\r\n--b\r\n--b--\r\n"), max_size=5),
)
def test_what_another_library_writes_is_read(
    texts: dict[str, str], files: dict[str, bytes]
) -> None:
    if not files:
        return
    given_files = {name: ("a.wav", data) for name, data in files.items()}
    request = httpx2.Request("POST", "http://x", data=texts, files=given_files)
    found = form(asked(request.headers["content-type"]), request.read())
    assert found.files == files
    assert {name: one for name, (one,) in found.texts.items()} == texts


@given(st.binary(max_size=300) | st.lists(st.sampled_from(
    [b"--b", b"\r\n", b"--", b"b", b"Content-Disposition: form-data; name=\"x\"", b" ", b"\0",
     b"; filename*=utf-8''x", b"Content-Transfer-Encoding: base64"]
), max_size=20).map(b"".join))  # fmt: skip
def test_anything_is_a_form_or_refused(body: bytes) -> None:
    with contextlib.suppress(RefusedError):
        assert isinstance(read(body), Form)


def part(head: bytes, content: bytes = b"x") -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


NAMED = b'Content-Disposition: form-data; name="x"'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no parts"),
        (b"hello", "no parts"),
        (part(NAMED), "not complete"),
        (part(NAMED) + b"--b", "not complete"),
        (b"--b\r\n" + NAMED, "not complete"),
        (b"--bx\r\n" + NAMED + b"\r\n\r\n\r\n--b--", "not complete"),
        (part(b"Content-Disposition: form-data") + b"--b--", "no name"),
        (part(b"X: y") + b"--b--", "no name"),
        (part(NAMED + b"\r\nContent-Transfer-Encoding: base64") + b"--b--", "encoded"),
        (part(b"X: " + b"y" * 5000 + b"\r\n" + NAMED) + b"--b--", "not complete"),
        (part(NAMED, b"\xff") + b"--b--", "UTF-8"),
        (part(NAMED, b"x" * (TEXT_BYTES + 1)) + b"--b--", "more than"),
        (part(NAMED) * (PARTS + 1) + b"--b--", "more than 32 parts"),
        (part(NAMED + b'; filename="a"') * 2 + b"--b--", "more than one file"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        read(body)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("", 415), ("application/json", 415), ("multipart/mixed; boundary=b", 415),
        ("multipart/form-data", 400), (f"multipart/form-data; boundary={'b' * 71}", 400),
        ('multipart/form-data; boundary=""', 400),
    ],
)  # fmt: skip
def test_the_content_type_has_to_be_right(kind: str, status: int) -> None:
    with pytest.raises(RefusedError) as raised:
        form(asked(kind), part(NAMED) + b"--b--")
    assert raised.value.status.value == status


def test_preambles_and_blanks_are_as_the_standard_has_them() -> None:
    whole = b"preamble\r\n" + part(NAMED).replace(b"--b\r\n", b"--b \t\r\n") + b"--b--\r\nepilogue"
    assert read(whole).texts == {"x": ["x"]}


def test_marks_that_are_none_are_content() -> None:
    body = part(NAMED + b'; filename="a"', b"\r\n--bx" * 100_000) + b"--b--"
    assert read(body).files == {"x": b"\r\n--bx" * 100_000}


class Two(Fields):
    word: str
    number: int = 0


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b"[" * 10_000, None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b"[]", None, "invalid_json"),
        (b"{}", "word", "invalid_value"),
        (b'{"word": 1}', "word", "invalid_value"),
        (b'{"word": "x", "number": "y"}', "number", "invalid_value"),
        (b'{"word": "x", "mood": 1}', "mood", "unknown_parameter"),
        (b'{"word": "\\ud83d"}', None, "invalid_json"),
    ],
)
def test_json_that_is_wrong_is_refused(body: bytes, param: str | None, code: str) -> None:
    with pytest.raises(RefusedError) as raised:
        json_fields(Two, asked("application/json; charset=utf-8"), body)
    assert (raised.value.param, raised.value.code) == (param, code)
    with pytest.raises(RefusedError, match="JSON"):
        json_fields(Two, asked("text/plain"), b"{}")


def test_a_field_may_occur_once_unless_it_is_a_list() -> None:
    given_form = Form({"word": ["a", "b"]})
    with pytest.raises(RefusedError, match="more than once"):
        given_form.fields(Two)
