"""Lists, wherever they are kept."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import ComponentError
from assistant.toolbox.lists import MOST_ITEMS, MOST_LISTS, Lists, Memory, Store, exported
from assistant.toolbox.own import Moment, RefusedError
from assistant.toolbox.store import SqliteStore


def call(store: Store, tool: str, /, **arguments: Any) -> dict[str, Any]:
    (found,) = [own for own in Lists(store).tools() if own.tool.name == tool]
    return found.run(arguments, Moment(0))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return (
        Memory() if request.param == "memory" else SqliteStore(tmp_path / "kept" / "lists.sqlite")
    )


def test_what_is_added_is_read_and_removed(store: Store) -> None:
    assert call(store, "add_to_list", list="My Shopping list", items=["milk", " eggs "]) == {
        "list": "shopping", "added": ["milk", "eggs"],
    }  # fmt: skip
    assert call(store, "read_list", list="shopping")["items"] == ["milk", "eggs"]
    assert call(store, "remove_from_list", list="the shopping list", items=["Milk", "tea"]) == {
        "list": "shopping", "removed": ["milk"],
    }  # fmt: skip
    assert call(store, "read_list", list="shopping")["items"] == ["eggs"]


def test_notes_are_a_list(store: Store) -> None:
    for name in ("notes", "note", "list"):
        call(store, "add_to_list", list=name, items=["it's 'here'; DROP TABLE items"])
    assert (
        call(store, "read_list", list="my notes")["items"] == ["it's 'here'; DROP TABLE items"] * 3
    )


def test_what_is_not_there_says_so(store: Store) -> None:
    with pytest.raises(RefusedError, match="'to do' is empty. Lists with items: none"):
        call(store, "read_list", list="to do")
    call(store, "add_to_list", list="to do", items=["sleep"])
    with pytest.raises(RefusedError, match="not on the list 'to do'"):
        call(store, "remove_from_list", list="to do", items=["work"])
    with pytest.raises(RefusedError, match="nothing to write down"):
        call(store, "add_to_list", list="to do", items=["  "])


def test_lists_are_bounded(store: Store) -> None:
    store.add("long", ["x"] * MOST_ITEMS)
    with pytest.raises(RefusedError, match=f"{MOST_ITEMS} items"):
        call(store, "add_to_list", list="long", items=["y"])
    for number in range(MOST_LISTS - 1):
        store.add(f"{number}", ["x"])
    with pytest.raises(RefusedError, match=f"{MOST_LISTS} lists"):
        call(store, "add_to_list", list="another", items=["y"])
    with pytest.raises(RefusedError, match="500 characters"):
        call(store, "add_to_list", list="1", items=["y" * 501])


def test_all_lists_are_exported(store: Store) -> None:
    store.add("shopping", ["milk", "eggs"])
    store.add("notes", ["the key"])
    assert exported(store) == "# shopping\n\n- milk\n- eggs\n\n# notes\n\n- the key\n"


names = st.sampled_from(["a", "b"])
items = st.sampled_from(["x", "y", "é"])
steps = st.lists(st.tuples(st.booleans(), names, items), max_size=12)


@given(steps=steps)
def test_the_file_keeps_what_memory_does(
    steps: list[tuple[bool, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    memory, path = Memory(), tmp_path_factory.mktemp("lists") / "lists.sqlite"
    for adds, name, item in steps:
        for kept in (memory, SqliteStore(path)):  # opened anew each time
            kept.add(name, [item]) if adds else kept.remove(name, item)
    found = SqliteStore(path)
    assert {name: found.items(name) for name in "ab"} == {n: memory.items(n) for n in "ab"}
    assert sorted(found.names()) == sorted(memory.names())


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    other = tmp_path / "lists.sqlite"
    other.write_text("not a database, but a text that is long enough to be taken for one" * 20)
    with pytest.raises(ComponentError, match=r"lists\.sqlite: file is not a database"):
        SqliteStore(other)
    with pytest.raises(ComponentError, match=r"lists\.sqlite"):
        SqliteStore(other / "below")
