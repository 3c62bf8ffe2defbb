"""Servers of the Model Context Protocol: their tools as functions that the assistant may call.

The official client is asynchronous, and what runs functions is not. So an event loop on a thread of
its own holds the connections.
"""

import asyncio
import json
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from assistant.errors import ConfigError, ToolError
from assistant.toolbox.functions import Function
from assistant.tools.tool import Tool
from streaming.config import McpServerConfig

if TYPE_CHECKING:  # an extra, and importing it takes a second
    from mcp import Client
    from mcp.types import CallToolResult
    from mcp.types import Tool as Listed

START_S = 60.0
"""Seconds that a server may take until it has listed its tools; some install themselves first."""

CLOSE_S = 10.0
"""Seconds that a server has to end."""

LONGEST_LINE = 200
"""Characters of an error that is shown."""

LOUDEST = {"mcp": logging.CRITICAL, "httpx2": logging.WARNING}
"""What the official client may log: below, it quotes what was said."""

Given = TypeVar("Given")


class McpServers:
    """Connections to some servers, from `start` to `close`.

    A server whose connection is lost is connected, or started, anew by the next call.
    """

    def __init__(self, wanted: Mapping[str, McpServerConfig], wait_s: float) -> None:
        """Args:
        wanted: the servers by name.
        wait_s: seconds that a call may take.

        Raises:
            ConfigError: the official client is not installed.
        """
        if find_spec("mcp") is None:
            why = "mcp is not installed; `pip install 'salmonn-live[mcp]'` does that"
            raise ConfigError(f"tools.mcp: {why}")
        for library, level in LOUDEST.items():
            logging.getLogger(library).setLevel(level)
        self._servers = [_Server(name, config) for name, config in wanted.items()]
        self._wait_s, self._over = wait_s, asyncio.Event()
        self._begun: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._work, name="mcp", daemon=True)
        self._thread.start()

    def start(self) -> list[Function]:
        """Connect to all servers.

        Returns:
            Their tools that are offered.

        Raises:
            ConfigError: a server cannot be reached, or does not offer what it should.
        """
        listed = self._run(self._start())
        return [
            Function(tool, partial(self._call, server, tool.name), server.key)
            for server, tools in zip(self._servers, listed, strict=True)
            for tool in tools
        ]

    async def _start(self) -> list[list[Tool]]:
        return await asyncio.gather(*(server.start() for server in self._servers))

    def _call(self, server: "_Server", name: str, /, **arguments: Any) -> str | dict[str, str]:
        return self._run(server.call(name, arguments, self._wait_s))

    def close(self) -> None:
        """Leave all servers; programs that were started end."""
        if self._thread.is_alive():
            self._begun.result().call_soon_threadsafe(self._over.set)
            self._thread.join()

    def _run(self, work: Coroutine[Any, Any, Given]) -> Given:
        if not self._thread.is_alive():
            work.close()
            raise ConnectionError("the servers were left")
        return asyncio.run_coroutine_threadsafe(work, self._begun.result()).result()

    def _work(self) -> None:
        asyncio.run(self._until_over())

    async def _until_over(self) -> None:
        self._begun.set_result(asyncio.get_running_loop())
        await self._over.wait()
        await asyncio.gather(*(server.close() for server in self._servers))


class _Server:
    """One server; used on the event loop alone."""

    def __init__(self, name: str, config: McpServerConfig) -> None:
        self.key = f"tools.mcp.{name}"
        """Of the configuration."""

        self._config = config
        self._connection: _Connection | None = None

    async def start(self) -> list[Tool]:
        """Connect, and list the tools that are offered.

        Raises:
            ConfigError: the server cannot be reached, or does not offer what it should.
        """
        connection = self._connected()
        try:
            async with asyncio.timeout(START_S):
                listed = await _all_tools(await connection.client())
        except Exception as error:
            await connection.close()
            slow = TimeoutError(f"no answer within {START_S:g} s")
            why = connection.why(slow if isinstance(error, TimeoutError) else error)
            raise ConfigError(f"{self.key}: {why}") from error
        return self._offered(listed)

    def _offered(self, listed: "list[Listed]") -> list[Tool]:
        names = [tool.name for tool in listed]
        for name in self._config.only or ():
            if name not in names:
                raise ConfigError(f"{self.key}.only: {name!r:.60}: it has {', '.join(names)}")
        wanted = names if self._config.only is None else self._config.only
        if not wanted:
            raise ConfigError(f"{self.key}: it has no tools")
        try:
            return [
                Tool(tool.name, tool.description or "", tool.input_schema)
                for tool in listed
                if tool.name in wanted
            ]
        except ToolError as error:
            raise ConfigError(f"{self.key}: {error}") from error

    async def call(
        self, name: str, arguments: dict[str, Any], wait_s: float
    ) -> str | dict[str, str]:
        """Call a tool.

        Returns:
            The text that it gave; under `error`, where it failed.

        Raises:
            TimeoutError: it took longer than `wait_s` seconds.
            ConnectionError: the server cannot be reached.
        """
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED

        connection = self._connected()
        try:
            async with asyncio.timeout(wait_s):
                client = await connection.client()
                return _told(await client.call_tool(name, arguments))
        except MCPError as error:
            lost = error.code == CONNECTION_CLOSED
            if lost or self._config.url is not None:  # there, another connection costs nothing
                connection.leave()
            if lost:
                raise ConnectionError("the connection was lost") from error
            return {"error": error.message}

    def _connected(self) -> "_Connection":
        """The connection, or a new one, if it is over."""
        if self._connection is None or self._connection.is_over:
            self._connection = _Connection(self._config)
        return self._connection

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()


class _Connection:
    """A connection to a server. It has a task of its own, since the official client has to be
    opened and closed by the same one."""

    def __init__(self, config: McpServerConfig) -> None:
        self._config = config
        self._client: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._left = asyncio.Event()
        self._complaint: Callable[[], str] = str  # what the server says of itself; mostly nothing
        self._task = asyncio.ensure_future(self._hold())
        self._task.add_done_callback(self._ended)

    @property
    def is_over(self) -> bool:
        """Whether it is of no use any more."""
        return self._left.is_set() or self._task.done()

    async def client(self) -> "Client":
        """What calls tools, as soon as it is connected.

        Raises:
            ConnectionError: it cannot be; see its cause.
        """
        return await asyncio.shield(self._client)

    def leave(self) -> None:
        """Close the connection, without waiting for that."""
        self._left.set()
        if not self._client.done():
            self._task.cancel()

    async def close(self) -> None:
        """Close the connection."""
        self.leave()
        await asyncio.wait([self._task], timeout=CLOSE_S)

    def why(self, error: BaseException) -> str:
        """Why there is none, in one line; it is closed."""
        error = error.__cause__ or error
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if self._config.command is not None and isinstance(error, OSError) and error.strerror:
            return f"{self._config.command[0]}: {error.strerror}"
        told, complaint = " ".join(f"{error}".split()) or type(error).__name__, self._complaint()
        return f"{told:.{LONGEST_LINE}}" + (f"; it says: {complaint}" if complaint else "")

    async def _hold(self) -> None:
        """Be connected until it is left."""
        async with AsyncExitStack() as stack:
            if self._config.url is None:
                client = self._of_program(self._config.command or [], stack)
            else:
                client = await self._of_address(self._config.url, stack)
            self._client.set_result(await stack.enter_async_context(client))
            await self._left.wait()

    def _of_program(self, command: list[str], stack: AsyncExitStack) -> "Client":
        from mcp import Client, StdioServerParameters, stdio_client

        complaints = _Complaints()
        stack.callback(complaints.file.close)
        self._complaint = complaints.last
        env = {name: value.get_secret_value() for name, value in self._config.env.items()}
        wanted = StdioServerParameters(command=command[0], args=command[1:], env=env)
        return Client(stdio_client(wanted, errlog=complaints.file))

    async def _of_address(self, url: str, stack: AsyncExitStack) -> "Client":
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        token = self._config.token
        headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        waits = httpx2.Timeout(CLOSE_S, read=None)  # calls have a limit of their own

        async def look(response: httpx2.Response) -> None:
            status = f"HTTP {response.status_code}" if response.is_error else ""
            self._complaint = lambda: status

        hooks = {"response": [look]}
        http = httpx2.AsyncClient(headers=headers, timeout=waits, event_hooks=hooks)
        await stack.enter_async_context(http)
        return Client(streamable_http_client(url, http_client=http))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if not self._client.done():
            failed = ConnectionError("it cannot be reached")
            failed.__cause__ = error
            self._client.set_exception(failed)
            self._client.exception()  # perhaps nobody waits for it


class _Complaints:
    """What a program writes to its standard error; the last line is kept."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.file = os.fdopen(writing, "w")
        """Where it writes."""

        self._last = ""
        self._thread = threading.Thread(target=self._read, args=[reading], daemon=True)
        self._thread.start()

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, errors="replace") as written:
            while line := written.readline(LONGEST_LINE):
                self._last = line.strip() or self._last

    def last(self) -> str:
        """The last line that is not empty, once the program has ended."""
        self._thread.join(1.0)
        return self._last


async def _all_tools(client: "Client") -> "list[Listed]":
    page = await client.list_tools()
    listed = [*page.tools]
    while page.next_cursor is not None:
        page = await client.list_tools(cursor=page.next_cursor)
        listed += page.tools
    return listed


def _told(result: "CallToolResult") -> str | dict[str, str]:
    """What a tool gave, as text; pictures and sounds are named by their kind."""
    parts = [
        block.text
        if block.type == "text"
        else getattr(getattr(block, "resource", None), "text", f"[{block.type}]")
        for block in result.content
    ]
    if not parts and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(parts)
    return {"error": text or "it failed"} if result.is_error else text
