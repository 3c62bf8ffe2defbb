"""Requests with a body: it is read at a bounded size and pace, and the answer is written at the
pace of its reader."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from streaming.server.admission import Admission
from streaming.server.http import Head, RefusedError, Reply, Request, refusal, told
from streaming.server.log import Log, where
from streaming.server.rate import Allowance, Comers

BODIES = 8
"""Most requests with a body at once: all of their bodies are in memory."""

STALL_S = 10.0
"""Longest wait for more of a body, in seconds, and for a client to read more of its answer."""

SLOWEST = 8 * 2**10
"""Bytes of a body per second in the long run, at least."""

READ_BYTES = 64 * 2**10
"""Bytes that are read at once."""

TAKEN_BYTES = 4 * 2**10
"""Bytes of a body that are looked at at once: in the smallest pieces they are some milliseconds of
work."""

PIECES, PIECE_BYTES = 1_000, 64
"""A body may come in so many small pieces; if there are more, so long has one to be on average."""

LINGER_S = 1.0
"""Seconds that a client has to read the end of its answer before its connection is closed."""

EVENTS = "text/event-stream"
"""The `Content-Type` of server-sent events."""

RETRY = ("Retry-After", "1")
"""The header that says when to ask again, in seconds."""


_NAME = re.compile(r"/[^/]+/(?=[^/]+$)")
"""The last part of a path but one."""


class GoneError(Exception):
    """The client is gone, or does not keep up."""


class Answer:
    """The answer to one request: a whole one, or one that is written piece by piece."""

    def __init__(self, head: Head, writer: asyncio.StreamWriter) -> None:
        self._head, self._writer = head, writer
        self.status: int | None = None
        """Once it was begun."""

        self.kind = ""
        """Its `Content-Type`, once it was begun."""

        self.headers: tuple[tuple[str, str], ...] = ()
        """Headers that the answer has besides those that every answer has."""

    async def whole(self, reply: Reply) -> None:
        """Write all of it.

        Raises:
            GoneError: the client does not read.
        """
        self.status = reply.status.value
        headers = (*reply.headers, *self.headers)
        whole = Reply(reply.status, reply.body, reply.kind, headers)
        await self._write(self._head.answer(whole))

    async def begin(self, kind: str) -> None:
        """Begin one whose length is not known, unless it was begun; `kind`: the `Content-Type` of
        its body.

        Raises:
            GoneError: the client does not read.
        """
        if self.status is not None:
            return
        self.status, self.kind = 200, kind
        await self._write(self._head.begin(kind, self.headers))

    async def write(self, piece: bytes) -> None:
        """Write a piece of the body.

        Raises:
            GoneError: the client does not read.
        """
        if piece:
            await self._write(self._head.piece(piece))

    async def end(self) -> None:
        """The body is complete.

        Raises:
            GoneError: the client does not read.
        """
        await self._write(self._head.piece(b""))

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        try:
            async with asyncio.timeout(STALL_S):
                await self._writer.drain()
        except (TimeoutError, OSError) as error:
            raise GoneError from error


def server_sent(event: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(event).encode() + b"\n\n"


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with the requests for one address."""

    most: int
    """Bytes of a body."""

    do: Callable[[Request, bytes, Answer], Awaitable[None]]
    """Answers a request with a body. Raises RefusedError if it is wrong, before the answer was
    begun; `status` and `message` tell the client."""

    ephemeral: bool = False
    """Ephemeral tokens are enough for it."""


class Exchanges:
    """All requests with a body, from their heads to the ends of their answers."""

    def __init__(
        self,
        works: Mapping[str, Work],
        admission: Admission,
        comers: Comers,
        lines: Log,
        refused: Callable[[RefusedError], None],
        cut: Callable[[str], None],
    ) -> None:
        """Args:
        works: what is done, by the path of an address; `*` stands for the last part but one.
        admission: who may ask.
        comers: new connections of the last second.
        lines: the log.
        refused: called when a request is refused.
        cut: called with the reason when a connection is cut off.
        """
        self._works, self._admission, self._comers = works, admission, comers
        self._lines, self._refused, self._cut = lines, refused, cut
        self._tasks: dict[asyncio.Task[None], asyncio.Transport] = {}
        self.draining = False
        """No more requests are taken."""

    def find(self, request: Request) -> Work | None:
        """What is done with a request; None: it is for an address that takes no body.

        Raises:
            RefusedError: it is refused before its body is looked at.
        """
        work = self._work(request)
        if work is None or request.method == "OPTIONS":
            return None
        self._admission.check(request)
        if request.method != "POST":
            why = f"{request.path} takes POST only."
            allow = (("Allow", "POST, OPTIONS"),)
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "method", why, headers=allow)
        self._admission.check_origin(request)
        self._admission.check_token(request, ephemeral=work.ephemeral)
        if self.draining:
            why = "The server is going away."
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "draining", why)
        if len(self._tasks) >= BODIES or self._comers.are_too_many(time.monotonic()):
            why = "Too many requests at once; try again in a second."
            raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, "rate", why, headers=(RETRY,))
        if int(request.one("content-length") or 0) > work.most:
            raise _too_long(work.most)
        return work

    def _work(self, request: Request) -> Work | None:
        """What is done with a request; `*` in the path of a work stands for a name."""
        exact = self._works.get(request.path)
        return exact or self._works.get(_NAME.sub("/*/", request.path))

    def preflight(self, request: Request) -> Reply | None:
        """The answer to a browser that asks what a page of another origin may send; None: it asks
        about an address that takes no body.

        Raises:
            RefusedError: the page may send nothing.
        """
        if self._work(request) is None or request.method != "OPTIONS":
            return None
        self._admission.check_origin(request)
        asked = request.one("access-control-request-headers") or ""
        allowed = [
            ("Allow", "POST, OPTIONS"),
            ("Access-Control-Allow-Methods", "POST"),
            *([("Access-Control-Allow-Headers", asked)] if asked else []),
            *self._admission.shared(request),
        ]
        return Reply(HTTPStatus.NO_CONTENT, b"", "text/plain", tuple(allowed))

    def begin(self, transport: asyncio.Transport, head: Head, request: Request, work: Work) -> None:
        """Take a connection over whose request's head was read, and close it in the end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(READ_BYTES, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        answer = Answer(head, writer)
        answer.headers = self._admission.shared(request)
        task = loop.create_task(self._serve(reader, writer, head, request, work, answer))
        self._tasks[task] = transport  # the loop alone would not keep it
        task.add_done_callback(self._tasks.pop)

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: Head,
        request: Request,
        work: Work,
        answer: Answer,
    ) -> None:
        begun = time.monotonic()
        try:
            body = await _body(reader, writer, head, work.most)
            await _unless_gone(reader, work.do(request, body, answer))
        except RefusedError as error:
            self._refused(error)
            await self._refuse(error, answer)
        except GoneError:
            self._cut("gone")
            writer.transport.abort()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's alone
            self._lines.line(f"request.fails {where(error)}")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            await self._refuse(RefusedError(status, "failed", "An error of the server."), answer)
        finally:
            seconds = round(time.monotonic() - begun, 3)
            kind = f"request.ends path={request.path}"
            self._lines.line(kind, status=answer.status, seconds=seconds)
            await _close(reader, writer)

    async def _refuse(self, error: RefusedError, answer: Answer) -> None:
        """Tell a client what was wrong; an answer that was begun breaks off."""
        with contextlib.suppress(GoneError):
            if answer.status is None:
                await answer.whole(refusal(error))
            elif answer.kind == EVENTS:
                await answer.write(server_sent({"error": told(error)}))

    async def drain(self, until: float) -> None:
        """Wait for the answers to the requests that are here, but not beyond the time `until` of
        `time.monotonic`."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, until - time.monotonic()))

    async def dismiss(self) -> None:
        """Break off all answers."""
        tasks = dict(self._tasks)
        for task, transport in tasks.items():
            task.cancel()
            transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: Head, most: int
) -> bytes:
    """The body of a request.

    Raises:
        RefusedError: it is too long, too slow, in too small pieces, or not what HTTP allows.
        GoneError: the client left before its end.
    """
    begun = time.monotonic()
    allowance = Allowance(begun)
    held, count, came, data, work = bytearray(), 0, 0, b"", 0.0
    writer.write(head.go_on())
    while True:
        for at in range(0, max(1, len(data)), TAKEN_BYTES):
            now = time.monotonic()
            pieces, complete = head.body(data[at : at + TAKEN_BYTES])
            count += len(pieces)
            held += b"".join(pieces)
            if len(held) > most or came > 2 * most + READ_BYTES:
                raise _too_long(most)
            if count > PIECES and len(held) < PIECE_BYTES * count:
                why = "The body comes in pieces that are too small."
                raise RefusedError(HTTPStatus.BAD_REQUEST, "body", why)
            if complete:
                return bytes(held)
            work += time.monotonic() - now
            await asyncio.sleep(0)  # others first
        await asyncio.sleep(allowance.spend(len(data), time.monotonic(), work))
        data, work = await _more(reader, begun + STALL_S + came / SLOWEST), 0.0
        came += len(data)


async def _more(reader: asyncio.StreamReader, until: float) -> bytes:
    """More bytes of a body; the client has until `until`, in seconds of `time.monotonic`."""
    try:
        async with asyncio.timeout(min(STALL_S, until - time.monotonic())):
            data = await reader.read(READ_BYTES)
    except TimeoutError:
        why = "The body came too slowly."
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "slow", why) from None
    except OSError as error:
        raise GoneError from error
    if not data:
        raise GoneError
    return data


def _too_long(most: int) -> RefusedError:
    why = f"The body is longer than {most} bytes."
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body", why)


async def _unless_gone(reader: asyncio.StreamReader, work: Awaitable[None]) -> None:
    """Do the work, unless the client leaves; what it still sends is not looked at.

    Raises:
        GoneError: it left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_gone(reader))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise GoneError
        await working
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(leaving, working, return_exceptions=True)


async def _gone(reader: asyncio.StreamReader) -> None:
    """Wait until a client sends no more, or far more than it should."""
    with contextlib.suppress(OSError, EOFError):
        await reader.readexactly(READ_BYTES)


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close a connection when its client has read everything, or had the time to."""
    if writer.transport.is_closing():
        return
    asyncio.get_running_loop().call_later(STALL_S, writer.transport.abort)
    try:
        if writer.can_write_eof():  # what still comes is read: a reset would lose the answer
            writer.write_eof()
        async with asyncio.timeout(LINGER_S):
            while await reader.read(READ_BYTES):
                pass
    except (OSError, TimeoutError):
        pass
    finally:
        writer.close()
