"""What servers do."""

import asyncio
import json
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus

from cli.serve import server_config
from streaming.config import Config
from streaming.server.app import App, running
from streaming.server.capacity import measured
from streaming.server.listen import listen
from tests.streaming.every_key.configured import Probe
from tests.streaming.fakes import session
from tests.streaming.server.rtc.caller import offered, posted
from tests.streaming.server.test_app import client, fake, take


def host_of(config: Config) -> object:
    """Of the address it listens at."""
    with listen(config.server) as listening:
        return listening.sockets[0].getsockname()[0]


def port_of(config: Config) -> object:
    """It is said to be in use, where somebody else has it."""
    with listen(config.server) as listening:
        return listening.sockets[0].getsockname()[1]


def admitted(config: Config) -> object:
    """Whether `serve` listens at all, where others can reach it."""
    return server_config(config, None, None, False).host


def presented(config: Config) -> object:
    """The certificate that is shown to who connects."""
    with listen(config.server) as listening:
        assert listening.tls is not None
        at = listening.sockets[0].getsockname()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = listening.tls.wrap_bio(incoming, outgoing, server_side=True)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        theirs = context.wrap_bio(outgoing, incoming)
        for _ in range(4):
            for side in (theirs, server):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        assert at
        return theirs.getpeercert(binary_form=True)


Visit = Callable[[App, str], Any]


def visited(visit: Visit, config: Config) -> object:
    """What a client sees of the server over a socket."""

    async def come() -> object:
        listening = listen(config.server)
        (sock,) = listening.sockets
        # no more is on its way to a client that does not read
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        port = sock.getsockname()[1]
        async with running(fake(), config.server, listening) as (app, _):
            return await visit(app, f"127.0.0.1:{port}")

    return asyncio.run(asyncio.wait_for(come(), 20))


def over_a_socket(visit: Visit) -> Probe:
    return partial(visited, visit)


async def came_in(host: str, query: str = "", **more: Any) -> object:
    """The first event, or the status that a connection is refused with."""
    try:
        async with client(host, query, **more) as connection:
            return (await take(connection))["type"]
    except InvalidStatus as error:
        return error.response.status_code
    except ConnectionClosed as error:
        return error.rcvd and error.rcvd.reason


@over_a_socket
async def tokens(app: App, host: str) -> object:
    headers = {"Authorization": "Bearer s3cr3t"}
    assert await came_in(host, additional_headers=headers) == "session.created"
    return await came_in(host)


@over_a_socket
async def origins(app: App, host: str) -> object:
    return await came_in(host, origin="https://friend.example")


@over_a_socket
async def other_hosts(app: App, host: str) -> object:
    port = host.rpartition(":")[2]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: nas.example:{port}\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    return status


@over_a_socket
async def a_second_client(app: App, host: str) -> object:
    async with client(host):
        return await came_in(host)


def room(config: Config) -> object:
    """Sessions that there may be on a machine that is as fast as people speak."""
    times = iter([0.0, 5.0])
    wants = config.server.measure
    found = measured(config, session, lambda: next(times)) if wants else config.server
    return found.sessions


@over_a_socket
async def a_second_connect(app: App, host: str) -> object:
    return await came_in(host), await came_in(host)


@over_a_socket
async def a_while(app: App, host: str) -> object:
    """Why it was closed, where it was."""
    async with client(host) as connection:
        await take(connection)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.wait_closed()
        return connection.close_code


@over_a_socket
async def a_long_message(app: App, host: str) -> object:
    async with client(host) as connection:
        await take(connection)
        await connection.send("x" * 20_000)
        with suppress(ConnectionClosed):
            return (await take(connection))["type"]
        return connection.close_code


@over_a_socket
async def a_comeback(app: App, host: str) -> object:
    async with client(host) as connection:
        name = (await take(connection))["session"]["id"]
    await settled(lambda: len([s for s in app.seats.here.values() if s.connection is None]))
    return await came_in(host, f"?session_id={name}&after=1")


async def settled(look: Callable[[], int]) -> int:
    """A number, when it has stopped growing."""
    before, steady = -1, 0
    while steady < 5:
        await asyncio.sleep(0.02)
        steady = steady + 1 if look() == before else 0
        before = look()
    return before


@over_a_socket
async def much_audio(app: App, host: str) -> object:
    """How much of a second of audio is taken while the model looks at none of it."""
    async with client(host) as connection:
        await take(connection)
        (seat,) = app.seats.here.values()
        app.places.worker.give = lambda name, pieces: None  # type: ignore[method-assign]
        message = {"type": "input_audio_buffer.append", "audio": "AAAA" * 320}
        for _ in range(50):
            await connection.send(json.dumps(message))
        taken = await settled(lambda: seat.given)
        seat.end(1001, "that was all")
        return taken > 8000


@over_a_socket
async def many_events(app: App, host: str) -> object:
    """Whether all is taken from a client that reads nothing."""
    async with client(host, max_queue=1) as connection:
        content = [{"type": "output_text", "text": "x" * 8000}]
        item = {"type": "message", "role": "assistant", "content": content}
        for _ in range(90):
            await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
        (seat,) = app.seats.here.values()
        taken = await settled(lambda: seat.messages)
        seat.end(1001, "that was all")
        connection.transport.abort()
        return taken == 90


@over_a_socket
async def candidate_of(app: App, host: str) -> object:
    """Where a peer is told to connect to; of its port, whether it is the one that is asked for."""
    _, _, answer = await posted(host, (await offered()).encode())
    (found,) = set(re.findall(rb"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer))
    return found[0], found[1] == b"50123"
