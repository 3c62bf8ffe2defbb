"""docs/protocol.md says what the code does."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from streaming.instruments.ledger import Latency
from streaming.realtime.wire import ClientEvent
from tests.streaming.realtime.client import TURN, Client

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()


def documented(section: str) -> set[str]:
    part = DOCUMENT.split(f"## {section}\n")[1].split("\n## ")[0].split("The fields of")[0]
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


def fields() -> dict[str, set[str]]:
    """The documented fields of each extension."""
    found: dict[str, set[str]] = {}
    table, name = DOCUMENT.split("The fields of these extensions")[1].split("\n\n")[1], ""
    for event, listed in re.findall(r"^\| (?:`([a-z_.]+)` )?\| (`[^|]+) \|", table, re.MULTILINE):
        name = event or name
        found.setdefault(name, set()).update(re.findall(r"`(\w+)`", listed))
    return found


def test_every_extension_has_its_fields_documented() -> None:
    assert fields().keys() == {
        name for name in documented("What the server sends") if name.startswith("salmonn.")
    }


def test_the_fields_of_sounds_and_prefill_are_documented() -> None:
    client = Client(knocks=True, salmonn={"sound_events": True, "prefill": True})
    client.speak(TURN)
    for event in client.sent:
        if event["type"].startswith("salmonn."):
            assert event.keys() - {"type", "event_id"} == fields()[event["type"]]


def test_the_fields_of_latency_are_documented() -> None:
    assert fields()["salmonn.latency"] == asdict(Latency()).keys() | {"compute_ms"}
