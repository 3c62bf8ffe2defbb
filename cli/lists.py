"""`salmonn-live lists`."""

import json
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="A JSON object: names, and their items.")]


def lists_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(lists)


def lists(as_json: JsonOption = False) -> None:
    """Write out the lists and notes that the assistant keeps, as Markdown."""
    from assistant.toolbox.lists import exported
    from streaming.shell import kept_lists

    store = kept_lists()
    if as_json:
        items = {name: store.items(name) for name in store.names()}
        typer.echo(json.dumps(items, ensure_ascii=False))
    else:
        typer.echo(exported(store), nl=False)
