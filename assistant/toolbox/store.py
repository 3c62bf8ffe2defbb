"""Lists in a file: SQLite."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from assistant.errors import ComponentError


class SqliteStore:
    """Lists that outlast the program. See `assistant.toolbox.lists.Store`."""

    def __init__(self, path: Path) -> None:
        """`path`: of the file, made with its folder where it is not there.

        Raises:
            ComponentError: it cannot be written, or is another kind of file.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ComponentError(f"{path.parent}: {error.strerror}") from error
        with self._open() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS items "
                "(place INTEGER PRIMARY KEY AUTOINCREMENT, list TEXT NOT NULL, item TEXT NOT NULL)"
            )

    def names(self) -> list[str]:
        """See `Store`."""
        with self._open() as database:
            asked = "SELECT list FROM items GROUP BY list ORDER BY MIN(place)"
            return [name for (name,) in database.execute(asked)]

    def items(self, name: str) -> list[str]:
        """See `Store`."""
        with self._open() as database:
            asked = "SELECT item FROM items WHERE list = ? ORDER BY place"
            return [item for (item,) in database.execute(asked, (name,))]

    def add(self, name: str, items: Sequence[str]) -> None:
        """See `Store`."""
        with self._open() as database:
            rows = [(name, item) for item in items]
            database.executemany("INSERT INTO items (list, item) VALUES (?, ?)", rows)

    def remove(self, name: str, item: str) -> None:
        """See `Store`."""
        with self._open() as database:
            database.execute(
                "DELETE FROM items WHERE place = "
                "(SELECT MIN(place) FROM items WHERE list = ? AND item = ?)",
                (name, item),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one step, whose changes are kept when it is over."""
        try:
            with closing(sqlite3.connect(self._path)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise ComponentError(f"{self._path}: {error}") from error
