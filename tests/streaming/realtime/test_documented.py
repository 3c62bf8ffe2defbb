"""docs/protocol.md says what the code does."""

import re
from pathlib import Path
from typing import get_args

from streaming.realtime.wire import ClientEvent

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()


def documented(section: str) -> set[str]:
    part = DOCUMENT.split(f"## {section}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([a-z_.]+)`", part, re.MULTILINE))


def test_every_client_event_is_documented() -> None:
    types = {get_args(event.model_fields["type"].annotation)[0] for event in get_args(ClientEvent)}
    assert documented("What clients send") == types
    assert len(types) == 11


def test_every_server_event_is_documented() -> None:
    folder = ROOT / "streaming"
    files = [*(folder / "realtime").glob("*.py"), folder / "server" / "seat.py"]
    source = "\n".join(file.read_text() for file in files)
    said = set(re.findall(r'[. ]event\(\s*"([a-z_.]+)"', source))
    said |= {f"salmonn.{kind}" for kind in re.findall(r'extension\(\s*"(\w+)"', source)}
    said |= {
        f"response.{kind}" for kind in re.findall(r'_of_(?:part|response)\(\s*"([a-z_.]+)"', source)
    }
    kind = "conversation.item.input_audio_transcription"
    said |= {f"{kind}.{what}" for what in re.findall(r'f"\{KIND\}\.(\w+)"', source)}
    said |= {"salmonn.resumed", "conversation.item.added", "conversation.item.done"}
    assert documented("What the server sends") == said
