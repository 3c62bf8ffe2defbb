"""What clients were reported to send to other servers (docs/compatibility.md), sent to this one."""

import base64
from typing import Any

import pytest

from tests.streaming.fakes import pcm
from tests.streaming.realtime.client import TURN, Client, Json
from tests.streaming.server.test_app import answer as text_of
from tests.streaming.server.test_app import client as connected
from tests.streaming.server.test_app import run, say, serving, speak, take, until

BY_HAND: Json = {"audio": {"input": {"turn_detection": None}}}


def detection(**fields: Any) -> Json:
    return {"audio": {"input": {"turn_detection": fields}}}


def errors(events: list[Json]) -> list[tuple[str, str | None]]:
    return [(e["error"]["code"], e["error"]["param"]) for e in events if e["type"] == "error"]


def append(client: Client, audio: bytes) -> list[Json]:
    return client.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())


@run
async def test_a_client_of_the_beta_with_its_header_is_followed() -> None:
    header = {"OpenAI-Beta": "realtime=v1"}
    async with serving() as (_, host), connected(host, additional_headers=header) as socket:
        await take(socket)
        flat = {"modalities": ["text"], "input_audio_format": "pcm16", "turn_detection": None}
        await say(socket, "session.update", session=flat)
        updated = await take(socket)
        assert updated["type"] == "session.updated"
        assert updated["session"]["audio"]["input"]["turn_detection"] is None
        await speak(socket, TURN)
        await say(socket, "input_audio_buffer.commit")
        await say(socket, "response.create")
        assert text_of(await until(socket, "response.done")).startswith("I heard")


def test_one_field_of_turn_detection_keeps_its_type() -> None:
    client = Client()
    assert not errors(client.update(detection(threshold=0.8)))
    now: Any = client.protocol.config.audio.input.turn_detection
    assert (now.type, now.threshold) == ("server_vad", 0.8)
    where = "session.audio.input.turn_detection"
    client.update(BY_HAND)
    assert errors(client.update(detection(threshold=0.8))) == [("invalid_value", where)]
    client.update(detection(type="semantic_vad"))
    assert errors(client.update(detection(threshold=0.8))) == [
        ("unknown_parameter", f"{where}.threshold")
    ]
    now = client.protocol.config.audio.input.turn_detection
    assert now.type == "semantic_vad"


def test_one_wrong_field_is_told_with_its_event_and_changes_nothing() -> None:
    client = Client(aloud=True)
    before = client.protocol.config
    wrong = {"type": "realtime", "instructions": "X", "audio": {"output": {"speed": 2.0}}}
    (error,) = client.send("session.update", event_id="e1", session=wrong)
    assert error["error"]["event_id"] == "e1"
    assert error["error"]["param"] == "session.audio.output.speed"
    assert client.protocol.config == before


def test_a_format_without_a_rate_is_24_khz() -> None:
    client = Client(aloud=True)
    assert not errors(client.update({"audio": {"output": {"format": {"type": "audio/pcm"}}}}))
    shown: Any = client.protocol.config.audio.output.format
    assert shown.rate == 24_000


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("text", "session.output_modalities"),
        (["x"], "session.output_modalities.0"),
        ([], "session.output_modalities"),
    ],
)
def test_modalities_that_are_none_are_an_error(given: Any, param: str) -> None:
    client = Client(aloud=True)
    assert errors(client.update({"output_modalities": given})) == [("invalid_value", param)]


def test_both_modalities_mean_audio_whose_words_come_anyway() -> None:
    client = Client(aloud=True)
    assert not errors(client.update({"output_modalities": ["audio", "text"]}))
    assert client.protocol.config.output_modalities == ["audio"]


def test_audio_at_the_wrong_rate_is_answered_all_the_same() -> None:
    client = Client(audio={"input": {"format": {"type": "audio/pcm", "rate": 24_000}}})
    client.speak(TURN + "." * 40)  # at 16 kHz
    assert client.kinds().count("response.done") == 1


@pytest.mark.parametrize("rate", [48_000, 44_100, 8_000])
def test_other_rates_are_an_error_that_names_the_field(rate: int) -> None:
    client = Client()
    told = client.update({"audio": {"input": {"format": {"type": "audio/pcm", "rate": rate}}}})
    assert errors(told) == [("invalid_value", "session.audio.input.format.rate")]


def test_odd_numbers_of_bytes_are_joined() -> None:
    client = Client(**BY_HAND)
    whole = pcm("S" * 8)
    assert append(client, whole[:3]) == append(client, whole[3:4800]) == []
    append(client, whole[4800:])
    client.send("input_audio_buffer.commit")
    heard = b"".join((32_768 * part).astype("<i2").tobytes() for part in client.listener.heard)
    assert heard == whole


def test_a_minute_without_a_commit_is_taken_in_one_message() -> None:
    client = Client(**BY_HAND)
    assert append(client, pcm("S" * 3_100)) == []
    told = client.send("input_audio_buffer.commit")
    assert told[0]["type"] == "input_audio_buffer.committed"


@pytest.mark.parametrize(
    "audio", ["AAAA\nAAAA", "AA__", "AAA", "data:audio/pcm;base64,AAAA"],
    ids=["a line's end", "for addresses", "no padding", "an address"],
)  # fmt: skip
def test_what_is_not_quite_base64_is_an_error_and_never_noise(audio: str) -> None:
    client = Client(**BY_HAND)
    told = client.send("input_audio_buffer.append", audio=audio)
    assert errors(told) == [("invalid_value", "audio")]
    assert client.send("input_audio_buffer.append", audio="") == []
    told = client.send("input_audio_buffer.commit")
    assert errors(told) == [("input_audio_buffer_commit_empty", None)]


def test_nothing_is_an_error_to_commit_and_anything_more_is_a_message() -> None:
    for samples in (0, 160, 800, 1_600):
        client = Client(**BY_HAND)
        append(client, bytes(2 * samples))
        told = client.send("input_audio_buffer.commit")
        if samples:
            assert told[0]["type"] == "input_audio_buffer.committed"
        else:
            assert errors(told) == [("input_audio_buffer_commit_empty", None)]


def test_a_commit_under_server_vad_where_nothing_was_said_is_one_error() -> None:
    client = Client()
    for _ in range(2):
        told = client.send("input_audio_buffer.commit", event_id="e")
        assert errors(told) == [("input_audio_buffer_commit_empty", None)]
        assert told[-1]["error"]["event_id"] == "e"
        client.speak("." * 20)


def test_a_cancel_with_nothing_to_cancel_is_an_error_and_the_session_goes_on() -> None:
    client = Client()
    for fields in ({}, {"response_id": "resp_x"}):
        told = client.send("response.cancel", event_id="e", **fields)
        assert errors(told) == [("response_cancel_not_active", None)]
    client.speak(TURN + "." * 20)
    assert client.kinds()[-1] == "response.done"
    told = client.send("response.cancel", event_id="e")
    assert errors(told) == [("response_cancel_not_active", None)]
    client.speak(TURN + "." * 20)
    assert client.kinds().count("response.done") == 2


def test_truncating_what_is_not_there_is_an_error_and_the_session_goes_on() -> None:
    client = Client()
    client.speak(TURN + "." * 20)
    item = client.last("response.output_item.done")["item"]["id"]
    heard = client.last("input_audio_buffer.committed")["item_id"]
    for name, at, code in (
        ("item_x", 5, "item_not_found"), (heard, 5, "invalid_value"),
        (item, 60_000, "invalid_value"),
    ):  # fmt: skip
        told = client.send("conversation.item.truncate", item_id=name, audio_end_ms=at)
        assert [code for code, _ in errors(told)] == [code]
    told = client.send("conversation.item.truncate", item_id=item, audio_end_ms=0)
    assert told[0]["type"] == "conversation.item.truncated"


def test_functions_with_more_fields_are_taken_and_other_tools_are_not() -> None:
    client = Client(words=True)
    function: Json = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    told = client.update({"tools": [{**function, "meta": {"a": 1}}]})
    assert told[0]["type"] == "session.updated"
    told = client.update({"tools": [{"type": "mcp", "server_url": "x", "server_label": "y"}]})
    assert errors(told) == [("invalid_value", "session.tools.0.type")]


def test_unknown_fields_of_transcription_are_an_error() -> None:
    wanted = {"audio": {"input": {"transcription": {"model": "x", "enabled": True}}}}
    (found,) = errors(Client().update(wanted))
    assert found == ("unknown_parameter", "session.audio.input.transcription.enabled")


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "user", "content": [{"type": "text", "text": "x"}]}, "item.content.0.type"),
        ({"role": "user", "content": "x"}, "item.content"),
        ({"role": "developer", "content": []}, "item.role"),
    ],
)
def test_items_of_the_beta_are_errors_that_name_the_field(item: Json, param: str) -> None:
    told = Client().send("conversation.item.create", item={"type": "message", **item})
    assert errors(told) == [("invalid_value", param)]


def test_results_of_calls_that_never_were_are_errors() -> None:
    client = Client(words=True)
    for output, wanted in (
        ("x", ("item_not_found", "item.call_id")),
        ({"a": 1}, ("invalid_value", "item.output")),
    ):
        item = {"type": "function_call_output", "call_id": "call_1", "output": output}
        assert errors(client.send("conversation.item.create", item=item)) == [wanted]
