"""`POST /v1/realtime/calls` and what belongs to it: sessions over WebRTC."""

import asyncio
import importlib
import json
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field

from streaming.config import IceConfig
from streaming.realtime.protocol import Realtime
from streaming.realtime.wire import WireError
from streaming.server.admission import Admission
from streaming.server.api.form import Fields, content_type, form, json_fields, wrong
from streaming.server.ephemeral import Ephemeral
from streaming.server.exchange import Answer, Work
from streaming.server.http import RefusedError, Reply, Request
from streaming.server.rtc.offer import OFFER_BYTES, checked
from streaming.server.seats import Seats

CALLS = "/v1/realtime/calls"
SECRETS = "/v1/realtime/client_secrets"

SETTINGS_BYTES = 64 * 2**10
"""Longest settings of a session."""

CALL_BYTES = OFFER_BYTES + SETTINGS_BYTES + 4 * 2**10
"""Longest body with an offer: a form has both, and heads of its parts."""

HANG_UP_BYTES = 2**10

Json = dict[str, Any]


class ExpiresAfter(Fields):
    """How long a token opens sessions."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class Secret(Fields):
    """What is wished of an ephemeral token."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: Json = Field(default={})


class Calls:
    """The calls of one server, and the tokens that open them."""

    def __init__(
        self,
        seats: Seats,
        admission: Admission,
        ephemeral: Ephemeral,
        ice: IceConfig,
        hosts: Sequence[str],
    ) -> None:
        """Args:
        seats: of the server.
        admission: knows what a request's token brings.
        ephemeral: tokens.
        ice: where peers may connect to.
        hosts: the addresses that the server listens at.
        """
        self._seats, self._admission, self._ephemeral = seats, admission, ephemeral
        self._ice, self._hosts = ice, hosts
        self._here: dict[str, tuple[Any, asyncio.Task[None]]] = {}  # calls, and who attends them

    def works(self) -> Mapping[str, Work]:
        """What is done with requests, by the path of the address; `*` stands for a call's id."""
        return {
            CALLS: Work(CALL_BYTES, self._call, ephemeral=True),
            f"{CALLS}/*/hangup": Work(HANG_UP_BYTES, self._hang_up, ephemeral=True),
            SECRETS: Work(SETTINGS_BYTES, self._issue),
        }

    async def _call(self, request: Request, body: bytes, answer: Answer) -> None:
        """Answer an offer, and begin a session with whoever made it."""
        line = await asyncio.to_thread(_line)
        offer, changes = asked(request, body)
        offer = checked(offer)
        self._seats.check_place(free=False)
        protocol = self._seats.protocol()
        prepare(protocol, self._admission.settings(request) or {})
        prepare(protocol, changes)
        call = line.Call(self._seats, protocol)
        try:
            told = await call.answer(offer, self._ice, self._hosts)
            self._seats.check_place(free=True)
            call.begin()
        except BaseException:
            await call.leave()
            raise
        name = f"rtc_{secrets.token_urlsafe(16)}"
        self._here[name] = call, self._seats.background(call.attend())
        self._here[name][1].add_done_callback(lambda _: self._here.pop(name))
        where = ("Location", f"{CALLS}/{name}"), ("Access-Control-Expose-Headers", "Location")
        await answer.whole(Reply(HTTPStatus.CREATED, told.encode(), "application/sdp", where))

    async def _hang_up(self, request: Request, _: bytes, answer: Answer) -> None:
        """End a call."""
        found = self._here.get(request.path.split("/")[-2])
        if found is None:
            why = "There is no such call, or not any more."
            raise RefusedError(HTTPStatus.NOT_FOUND, "call", why, code="call_id_not_found")
        found[0].hang_up()
        await answer.whole(Reply(HTTPStatus.OK, b"", "text/plain"))

    async def _issue(self, request: Request, body: bytes, answer: Answer) -> None:
        """Issue an ephemeral token."""
        wanted = json_fields(Secret, request, body)
        protocol = self._seats.protocol()
        prepare(protocol, wanted.session)
        seconds = wanted.expires_after.seconds
        value, ends = self._ephemeral.issue(seconds, wanted.session)
        told = {"value": value, "expires_at": ends, "session": protocol.shown()}
        await answer.whole(Reply(HTTPStatus.OK, json.dumps(told).encode(), "application/json"))

    async def dismiss(self) -> None:
        """Leave all peers."""
        for call, attending in [*self._here.values()]:
            await call.leave()
            await attending


def _line() -> Any:
    """The module that does calls; importing it takes a while.

    Raises:
        RefusedError: aiortc is not installed.
    """
    try:
        return importlib.import_module("streaming.server.rtc.line")
    except ImportError as error:
        why = "WebRTC is not installed here; `pip install 'salmonn-live[webrtc]'` does that."
        raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "not_offered", why) from error


def asked(request: Request, body: bytes) -> tuple[str, Json]:
    """The offer of a request, and the settings of its session.

    Raises:
        RefusedError: it has no offer, or its settings are no JSON object.
    """
    kind = content_type(request).get_content_type()
    match kind:
        case "application/sdp":
            return _text(body, "sdp"), {}
        case "multipart/form-data":
            parts = form(request, body)
            given = {name: texts[0] for name, texts in parts.texts.items()}
            given |= {name: _text(content, name) for name, content in parts.files.items()}
        case _:
            why = "The body has to be application/sdp, or a form with sdp and session."
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", why)
    if unknown := given.keys() - {"sdp", "session"}:
        name = min(unknown)[:60]
        raise wrong(f"unknown parameter: {name}", name, "unknown_parameter")
    if "sdp" not in given:
        raise wrong("sdp: missing", "sdp", "missing_required_parameter")
    return given["sdp"], _settings(given.get("session", "{}"))


def _settings(text: str) -> Json:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise wrong("session: not a JSON object", "session", "invalid_json")
    return found


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise wrong(f"{name[:60]}: not UTF-8", name[:60]) from None


def prepare(protocol: Realtime, changes: Json) -> None:
    """Set up a session that has not begun.

    Raises:
        RefusedError: the settings cannot be followed.
    """
    try:
        protocol.prepare(changes)
    except WireError as error:
        raise wrong(str(error), error.param, error.code) from error
