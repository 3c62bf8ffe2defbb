"""Lists and notes, behind an interface: where they are kept is not known here."""

from collections.abc import Sequence
from typing import Any, Protocol

from assistant.toolbox.own import Moment, OwnTool, RefusedError, parameters, text
from assistant.tools.tool import Tool

MOST_ITEMS, MOST_LISTS, LONGEST = 500, 50, 500
"""Items of a list, lists, and characters of an item."""

NOTES = "notes"
"""The list that notes are kept in."""


class Store(Protocol):
    """Where lists are kept: names, and items in the order in which they were added."""

    def names(self) -> list[str]:
        """Of all lists that have items."""

    def items(self, name: str) -> list[str]:
        """Those of a list; none where there is no such list."""

    def add(self, name: str, items: Sequence[str]) -> None:
        """Put items at the end of a list, which begins with its first one."""

    def remove(self, name: str, item: str) -> None:
        """Take the first item that is `item` out of a list; nothing where there is none."""


class Memory:
    """Lists that are gone with the session."""

    def __init__(self) -> None:
        self._lists: dict[str, list[str]] = {}

    def names(self) -> list[str]:
        """See `Store`."""
        return [name for name, items in self._lists.items() if items]

    def items(self, name: str) -> list[str]:
        """See `Store`."""
        return [*self._lists.get(name, ())]

    def add(self, name: str, items: Sequence[str]) -> None:
        """See `Store`."""
        self._lists.setdefault(name, []).extend(items)

    def remove(self, name: str, item: str) -> None:
        """See `Store`."""
        if item in self._lists.get(name, ()):
            self._lists[name].remove(item)


def exported(store: Store) -> str:
    """All lists as text, in Markdown."""
    return "\n".join(
        "\n".join([f"# {name}", "", *(f"- {item}" for item in store.items(name)), ""])
        for name in store.names()
    )


class Lists:
    """What is done with lists."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tools(self) -> list[OwnTool]:
        """What an LLM may ask of them."""
        name = text("Which list, such as shopping or to do; notes for notes.")
        items = {
            "type": "array",
            "items": {"type": "string", "maxLength": LONGEST},
            "minItems": 1,
            "maxItems": 20,
            "description": "Each thing by itself.",
        }
        return [
            OwnTool(
                Tool(
                    "add_to_list",
                    "Write things down on a list, such as the shopping list, or take a note.",
                    parameters(["list", "items"], list=name, items=items),
                ),
                self._add,
            ),
            OwnTool(
                Tool(
                    "read_list",
                    "Read out what is on a list, or the notes.",
                    parameters(["list"], list=name),
                ),
                self._read,
            ),
            OwnTool(
                Tool(
                    "remove_from_list",
                    "Take things off a list, or delete a note.",
                    parameters(["list", "items"], list=name, items=items),
                ),
                self._remove,
            ),
        ]

    def _add(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        name = _plain(arguments["list"])
        items = [item.strip() for item in arguments["items"] if item.strip()]
        if not items:
            raise RefusedError("There is nothing to write down.")
        if max(map(len, items)) > LONGEST:
            raise RefusedError(f"An item has {LONGEST} characters at most.")
        if len(self._store.items(name)) + len(items) > MOST_ITEMS:
            raise RefusedError(f"A list holds {MOST_ITEMS} items at most.")
        names = self._store.names()
        if name not in names and len(names) >= MOST_LISTS:
            raise RefusedError(f"There are {MOST_LISTS} lists already.")
        self._store.add(name, items)
        return {"list": name, "added": items}

    def _read(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        name = _plain(arguments["list"])
        return {"list": name, "items": self._there(name)}

    def _remove(self, arguments: dict[str, Any], moment: Moment) -> dict[str, Any]:
        name = _plain(arguments["list"])
        there = self._there(name)
        wanted = {item.strip().lower() for item in arguments["items"]}
        found = [item for item in there if item.lower() in wanted]
        if not found:
            raise RefusedError(f"That is not on the list {name!r:.40}.")
        for item in found:
            self._store.remove(name, item)
        return {"list": name, "removed": found}

    def _there(self, name: str) -> list[str]:
        items = self._store.items(name)
        if not items:
            names = ", ".join(self._store.names()) or "none"
            raise RefusedError(f"The list {name!r:.40} is empty. Lists with items: {names:.200}.")
        return items


def _plain(name: str) -> str:
    """A list's name: `My shopping list` and `shopping` are one."""
    words = [
        w for w in name.lower().replace("-", " ").split() if w not in ("list", "the", "my", "a")
    ]
    plain = " ".join(words)[:60]
    return NOTES if plain in ("", "note", NOTES) else plain
