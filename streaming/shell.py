"""What the program around a session does for it: runs functions that need more than the session."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from assistant.errors import ConfigError
from assistant.own_tools import FAILED, failed, names
from assistant.own_tools import Outcome as Came
from assistant.parts.converted import cache_folder
from assistant.toolbox.functions import Function, load_functions
from assistant.toolbox.lists import Lists, Memory, Store
from assistant.toolbox.own import Moment, RefusedError
from assistant.toolbox.sentences import sentence
from assistant.toolbox.store import SqliteStore
from assistant.tools.tool import ToolCall
from streaming.config import Config
from streaming.controls import Clock, Outcome
from streaming.events import ToolCalled
from streaming.mcp_servers import McpServers

LISTS = "lists.sqlite"
"""File of lists and notes, in the cache folder."""

MOST_HUNG = 8
"""Functions that have not come back, at most: no more are begun."""

LONGEST = 2000
"""Characters that the LLM reads of what a user's function gave: some 500 tokens."""

TOO_LONG = "That took too long."

LOG = logging.getLogger("salmonn_live.tools")


class Calls:
    """Runs the functions that one session calls."""

    def __init__(self, shell: "Shell", store: Callable[[], Store]) -> None:
        """`store`: makes or opens the lists, when they are first needed."""
        self._shell, self._store = shell, store

    def run(self, event: ToolCalled) -> Outcome:
        """Run a function, and wait for it, but no longer than `tools.wait_s`. What goes wrong is a
        sentence."""
        came = self._shell.timed(event.name, lambda: self._run(event))
        return Outcome(event.id, came.output, came.say)

    def _run(self, event: ToolCalled) -> Came:
        call = ToolCall(event.id, event.name, event.arguments)
        if event.name in self._shell.functions:
            return Came(_written(self._shell.functions[event.name].run(**call.values())), None)
        lists = {one.tool.name: one for one in Lists(self._store()).tools()}
        try:
            output = lists[event.name].run(call.values(), Moment(0))
        except RefusedError as error:
            return failed(str(error))
        written = json.dumps(output, ensure_ascii=False)
        return Came(written, sentence(event.name, written))


def _written(given: Any) -> str:
    """What a function of a user's gave, as JSON text that is not too long for the LLM."""
    told = given if isinstance(given, dict) else {"result": given}
    written = json.dumps(told, ensure_ascii=False)
    if len(written) <= LONGEST:
        return written
    failed = isinstance(told.get("error"), str)
    value = told["error"] if failed else given
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    cut = {"error" if failed else "result": f"{text:.{LONGEST}} ..."}
    return json.dumps(cut, ensure_ascii=False)


class Shell:
    """Lists in a file, and a user's own functions; shared by all sessions."""

    def __init__(
        self,
        functions: Sequence[Function] = (),
        lists: Path | None = None,
        wait_s: float = 10.0,
        servers: McpServers | None = None,
    ) -> None:
        """Args:
        functions: of the user; each has another name.
        lists: file of the lists; None: each session has its own, and they are gone with it.
        wait_s: seconds that a function may take.
        servers: that run some of the functions; None: none do.
        """
        self.functions = {function.tool.name: function for function in functions}
        """The user's, by name."""

        self._file, self._wait_s, self._servers = lists, wait_s, servers
        self._late: list[threading.Thread] = []
        self._counting = threading.Lock()

    def close(self) -> None:
        """Leave the servers, if there are any; no function is run afterwards."""
        if self._servers is not None:
            self._servers.close()

    def calls(self) -> Calls:
        """What runs the functions of one session."""
        if self._file is None:
            memory = Memory()
            return Calls(self, lambda: memory)
        file = self._file
        return Calls(self, lambda: SqliteStore(file))

    def timed(self, name: str, run: Callable[[], Came]) -> Came:
        """Run something on a thread of its own, which is left alone if it does not come back."""
        with self._counting:
            self._late = [thread for thread in self._late if thread.is_alive()]
            if len(self._late) >= MOST_HUNG:
                return failed("Too many tools have not come back.")
        came: list[Came] = []

        def work() -> None:
            try:
                came.append(run())
            except Exception as error:  # noqa: BLE001 - the session goes on, whatever it is
                LOG.warning("tool %s failed: %s", name, type(error).__name__)
                came.append(failed(_why(error)))

        thread = threading.Thread(target=work, name="tool", daemon=True)
        thread.start()
        thread.join(self._wait_s)
        if came:
            return came[0]
        LOG.warning("tool %s has not come back", name)
        with self._counting:
            self._late.append(thread)
        return failed(TOO_LONG)


def _why(error: Exception) -> str:
    """A sentence about a function that failed."""
    match error:
        case TimeoutError():
            return TOO_LONG
        case ConnectionError():
            return "I cannot reach that tool at the moment."
        case _:
            return FAILED


def shell_of(config: Config) -> Shell:
    """The shell that a configuration asks for, which is to be closed. Where anyone may connect,
    nobody's lists are kept.

    Raises:
        ConfigError: the user's module or a server cannot be used, or two functions have one name.
    """
    wanted = config.tools
    functions = [] if wanted.module is None else load_functions(Path(wanted.module))
    lists = None if config.server.open else _lists_file()
    if not (wanted.mcp and config.model.prompt.toolbox):
        return Shell(_apart(config, functions), lists, wanted.wait_s)
    servers = McpServers(wanted.mcp, wanted.wait_s)
    try:
        functions += servers.start()
        return Shell(_apart(config, functions), lists, wanted.wait_s, servers)
    except BaseException:
        servers.close()
        raise


def _lists_file() -> Path:
    return cache_folder() / LISTS


def kept_lists() -> Store:
    """The lists and notes that outlast sessions.

    Raises:
        ComponentError: they cannot be read.
    """
    return SqliteStore(_lists_file())


def _apart(config: Config, functions: list[Function]) -> list[Function]:
    """The functions, each of which has another name than the others and than ours."""
    own = names() if config.tools.own is None else config.tools.own
    sources = dict.fromkeys(own, "tools.own")
    for function in functions:
        name = function.tool.name
        if name in sources:
            raise ConfigError(f"{function.source}: {name}: {sources[name]} has one of that name")
        sources[name] = function.source
    return functions


def now() -> Clock:
    """It is this local time."""
    return Clock(datetime.now().isoformat(timespec="milliseconds"))
