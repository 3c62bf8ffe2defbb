"""Messages of clients, good ones and ones that are spoiled in many ways."""

import base64
import copy
import json
import random
from typing import Any

Json = dict[str, Any]

MARKER = "s3cr3t/AbC+dEf=="
"""What abuses say where a client's words or its token would be; no log may hold a piece of it."""


GOOD: list[Json] = [
    {"type": "session.update", "session": {"type": "realtime", "instructions": "Listen."}},
    {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}},
    {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(960)).decode()},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {
        "type": "conversation.item.create",
        "item": {
            "type": "message", "role": "user", "id": "it",
            "content": [{"type": "input_text", "text": f"What is {MARKER}?"}],
        },
    },
    {"type": "conversation.item.retrieve", "item_id": "it"},
    {"type": "conversation.item.truncate", "item_id": "it", "content_index": 0, "audio_end_ms": 1},
    {"type": "conversation.item.delete", "item_id": "it"},
    {"type": "response.create", "response": {"instructions": "Go on.", "metadata": {"a": "b"}}},
    {"type": "response.cancel", "event_id": "e1"},
]  # fmt: skip

ODD: list[Any] = [
    None, True, -1, 0, 2**70, 1e308, "", "x" * 3000, "\ud800", "\u0000", [], {}, [[]] * 50,
    "session.update", "NaN", "﷽" * 99,
]  # fmt: skip


def mutated(rng: random.Random) -> str | bytes:
    """A client's message, spoiled in one of many ways; now and then a good one, or noise."""
    event = copy.deepcopy(rng.choice(GOOD))
    match rng.randrange(10):
        case 0:
            return json.dumps(event)
        case 1:
            return rng.randbytes(rng.randrange(200))
        case 2:
            return "".join(chr(rng.randrange(1, 0xD800)) for _ in range(rng.randrange(60)))
        case 3 | 4 | 5:
            for _ in range(rng.randrange(1, 4)):
                _spoil(event, rng)
            return json.dumps(event)
        case 6:
            text = json.dumps(event)
            return text[: rng.randrange(len(text))]
        case 7:
            text = json.dumps({**event, "event_id": rng.choice(ODD)})
            at = rng.randrange(len(text))
            return text[:at] + rng.choice('{}[]",:\\0e-\n') + text[at + 1 :]
        case 8:
            depth = rng.randrange(1, 3000)
            return json.dumps(event)[:-1] + ', "x": ' + "[" * depth + "]" * rng.choice([depth, 0])
        case _:
            text = json.dumps(event)
            return text * rng.randrange(2, 4)


def _spoil(values: Any, rng: random.Random) -> None:
    """Change one place of a JSON value, deeper or not."""
    keys = list(values) if isinstance(values, dict) else list(range(len(values)))
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(values[key], dict | list) and rng.random() < 0.7:
        _spoil(values[key], rng)
    elif isinstance(values, dict) and rng.random() < 0.3:
        values[str(rng.choice(ODD))[:40]] = values.pop(key)
    else:
        values[key] = copy.deepcopy(rng.choice(ODD))
