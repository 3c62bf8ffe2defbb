"""What the program around a session does for it: runs functions that need more than the session."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from assistant.own_tools import Outcome as Came
from assistant.own_tools import failed
from assistant.parts.converted import cache_folder
from assistant.toolbox.functions import Function, load_functions
from assistant.toolbox.lists import Lists, Memory, Store
from assistant.toolbox.own import Moment, RefusedError
from assistant.toolbox.sentences import sentence
from assistant.toolbox.store import SqliteStore
from assistant.tools.tool import Tool, ToolCall
from streaming.config import Config
from streaming.controls import Clock, Outcome
from streaming.events import ToolCalled

LISTS = "lists.sqlite"
"""File of lists and notes, in the cache folder."""

MOST_HUNG = 8
"""Functions that have not come back, at most: no more are begun."""

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
            given = self._shell.functions[event.name].run(**call.values())
            told = given if isinstance(given, dict) else {"result": given}
            return Came(json.dumps(told, ensure_ascii=False), None)
        lists = {one.tool.name: one for one in Lists(self._store()).tools()}
        try:
            output = lists[event.name].run(call.values(), Moment(0))
        except RefusedError as error:
            return failed(str(error))
        written = json.dumps(output, ensure_ascii=False)
        return Came(written, sentence(event.name, written))


class Shell:
    """Lists in a file, and the functions of a user's module; shared by all sessions."""

    def __init__(
        self, functions: Sequence[Function] = (), lists: Path | None = None, wait_s: float = 10.0
    ) -> None:
        """Args:
        functions: of the user.
        lists: file of the lists; None: each session has its own, and they are gone with it.
        wait_s: seconds that a function may take.
        """
        self.functions = {function.tool.name: function for function in functions}
        self._file, self._wait_s, self._hung = lists, wait_s, 0

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The user's functions."""
        return tuple(function.tool for function in self.functions.values())

    def calls(self) -> Calls:
        """What runs the functions of one session."""
        if self._file is None:
            memory = Memory()
            return Calls(self, lambda: memory)
        file = self._file
        return Calls(self, lambda: SqliteStore(file))

    def timed(self, name: str, run: Callable[[], Came]) -> Came:
        """Run something on a thread of its own, which is left alone if it does not come back."""
        if self._hung >= MOST_HUNG:
            return failed("Too many tools have not come back.")
        came: list[Came] = []

        def work() -> None:
            try:
                came.append(run())
            except Exception as error:  # noqa: BLE001 - the session goes on, whatever it is
                LOG.warning("tool %s failed: %s", name, type(error).__name__)
                came.append(failed())

        thread = threading.Thread(target=work, name="tool", daemon=True)
        thread.start()
        thread.join(self._wait_s)
        if came:
            return came[0]
        LOG.warning("tool %s has not come back", name)
        self._hung += 1
        return failed("That took too long.")


def shell_of(config: Config) -> Shell:
    """The shell that a configuration asks for. Where anyone may connect, nobody's lists are kept.

    Raises:
        ConfigError: the user's module cannot be used.
    """
    wanted = config.tools
    functions = [] if wanted.module is None else load_functions(Path(wanted.module))
    lists = None if config.server.open else cache_folder() / LISTS
    return Shell(functions, lists, wanted.wait_s)


def now() -> Clock:
    """It is this local time."""
    return Clock(datetime.now().isoformat(timespec="milliseconds"))
