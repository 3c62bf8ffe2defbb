"""The wire, with a scripted model: order of events, turns, bad messages."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.config import EndpointingConfig, TurnsConfig
from streaming.realtime.protocol import Output
from streaming.realtime.wire import ServerVad, SessionConfig
from tests.streaming.fakes import pcm
from tests.streaming.realtime.client import MANUAL, TURN, Client, Json


def test_a_turn_as_the_specification_orders_it() -> None:
    client = Client()
    client.speak(TURN)
    assert [kind for kind in client.kinds() if kind != "response.output_text.delta"] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    done = client.last("response.done")["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_text", "text": "I heard 3 windows"}]
    assert done["usage"]["input_token_details"]["audio_tokens"] == 6
    assert done["usage"]["input_tokens"] == 11
    assert done["usage"]["total_tokens"] == 11 + done["usage"]["output_tokens"]
    ids = [event["event_id"] for event in client.sent]
    assert len(set(ids)) == len(ids)


def test_by_hand_a_message_is_committed_and_an_answer_asked_for() -> None:
    client = Client(**MANUAL)
    client.speak("SSSSSSSS")
    kinds = [event["type"] for event in client.send("input_audio_buffer.commit")]
    assert kinds == [
        "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
    ]  # fmt: skip
    client.send("response.create", response={"metadata": {"a": "b"}})
    client.speak("." * 9)
    done = client.last("response.done")["response"]
    assert (done["status"], done["metadata"]) == ("completed", {"a": "b"})
    assert client.kinds().count("response.created") == 1


def test_an_empty_buffer_cannot_be_committed() -> None:
    (error,) = Client(**MANUAL).send("input_audio_buffer.commit", event_id="mine")
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"
    assert error["error"]["event_id"] == "mine"


def test_a_buffer_that_was_cleared_is_empty() -> None:
    client = Client(**MANUAL)
    client.speak("SSSS")
    assert client.send("input_audio_buffer.clear")[0]["type"] == "input_audio_buffer.cleared"
    (error,) = client.send("input_audio_buffer.commit")
    assert error["type"] == "error"


def test_without_create_response_the_answer_waits() -> None:
    detection = {"type": "server_vad", "create_response": False}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.speak(TURN)
    assert "conversation.item.done" in client.kinds()
    assert "response.created" not in client.kinds()
    client.send("response.create")
    client.speak("." * 9)
    assert client.last("response.done")["response"]["status"] == "completed"


def test_a_typed_message_is_answered() -> None:
    client = Client()
    client.speak("." * 10)
    message = {"type": "message", "role": "user",
               "content": [{"type": "input_text", "text": "What was that?"}]}  # fmt: skip
    added, done = client.send("conversation.item.create", item=message)
    assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
    client.send("response.create")
    client.speak("." * 9)
    assert "open 0 What was that?" in client.listener.diary
    assert client.last("response.done")["response"]["status"] == "completed"


def test_an_answer_out_of_band_is_no_item() -> None:
    client = Client()
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hm?"}]}
    client.send("response.create", response={"conversation": "none", "input": [item],
                                             "metadata": {"topic": "x"}})  # fmt: skip
    client.speak("." * 9)
    assert "conversation.item.added" not in client.kinds()
    assert client.last("response.done")["response"]["conversation_id"] is None


def test_one_answer_at_a_time() -> None:
    client = Client()
    client.speak("...SSSS" + "." * 8)
    (error,) = client.send("response.create", event_id="again")
    assert error["error"]["code"] == "conversation_already_has_active_response"
    assert error["error"]["event_id"] == "again"


def test_an_answer_is_cancelled() -> None:
    client = Client()
    (error,) = client.send("response.cancel")
    assert error["error"]["code"] == "response_cancel_not_active"
    client.speak("...SSSS" + "." * 8)
    client.send("response.cancel")
    done = client.last("response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert client.last("response.output_item.done")["item"]["status"] == "incomplete"


def test_who_speaks_interrupts() -> None:
    client = Client()
    client.speak("...SSSS" + "." * 8 + "S" * 9)
    done = client.last("response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    client.speak("." * 20)
    assert client.kinds().count("response.created") == client.kinds().count("response.done") == 2


def test_who_may_not_interrupt_does_not() -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.speak("...SSSS" + "." * 8 + "S" * 9 + "." * 20)
    assert client.last("response.done")["response"]["status"] == "completed"
    assert client.kinds().count("response.created") == 2
    assert client.kinds().count("input_audio_buffer.committed") == 2


def test_what_was_said_is_transcribed_when_it_is_wished() -> None:
    client = Client(audio={"input": {"transcription": {"model": "whisper-1"}}})
    client.speak(TURN)
    done = client.last("conversation.item.input_audio_transcription.completed")
    committed = client.last("input_audio_buffer.committed")
    assert done["item_id"] == committed["item_id"]
    deltas = [e["delta"] for e in client.sent if e["type"].endswith("transcription.delta")]
    assert done["transcript"] == "".join(deltas).strip()
    assert done["usage"] == {"type": "duration", "seconds": 0.08}
    (told,) = client.send("conversation.item.retrieve", item_id=done["item_id"])
    assert told["item"]["content"] == [{"type": "input_audio", "transcript": done["transcript"]}]


@pytest.mark.parametrize("wished", [False, True])
def test_sounds_and_prefill_are_told_whoever_asks(wished: bool) -> None:
    client = Client(knocks=True, salmonn={"sound_events": wished, "prefill": wished})
    client.speak(TURN)
    extensions = [e for e in client.sent if e["type"].startswith("salmonn.")]
    if not wished:
        assert extensions == []
        return
    sound, *prefills = extensions
    assert (sound["type"], sound["name"], sound["audio_end_ms"]) == ("salmonn.sound", "knock", 80)
    assert prefills[-1]["type"] == "salmonn.prefill"
    assert prefills[-1]["audio_tokens"] == 4


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "unknown_or_invalid_event", None),
        ("[]", "unknown_or_invalid_event", None),
        ('{"type": "sing", "event_id": "e"}', "unknown_or_invalid_event", None),
        ('{"event_id": "e"}', "unknown_or_invalid_event", None),
        ('{"type": "input_audio_buffer.append", "event_id": "e"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "*", "event_id": "e"}', "invalid_value",
         "audio"),
        ('{"type": "conversation.item.truncate", "item_id": "x", "event_id": "e"}',
         "item_not_found", "item_id"),
        ('{"type": "output_audio_buffer.clear", "event_id": "e"}', "invalid_event_for_transport",
         None),
        ('{"type": "session.update", "event_id": "e", "session": {"type": "translation"}}',
         "invalid_session_type", "session.type"),
        ('{"type": "session.update", "event_id": "e", "session": {"audio": {"input": '
         '{"turn_detection": {"type": "server_vad", "threshold": 2}}}}}', "invalid_value",
         "session.audio.input.turn_detection.threshold"),
        ('{"type": "session.update", "event_id": "e", "session": {"audio": {"input": '
         '{"format": {"type": "audio/pcm", "rate": 44100}}}}}', "invalid_value",
         "session.audio.input.format.rate"),
        ('{"type": "session.update", "event_id": "e", "session": {"max_output_tokens": 0}}',
         "invalid_value", "session.max_output_tokens"),
        ('{"type": "session.update", "event_id": "e", "session": {"salmonn": {"temperature": 3}}}',
         "invalid_value", "session.salmonn.temperature"),
        ('{"type": "session.update", "event_id": "e", "session": {"salmonn": {"top_p": 0}}}',
         "invalid_value", "session.salmonn.top_p"),
        ('{"type": "conversation.item.create", "event_id": "e", "item": {"type": "message", '
         '"role": "user", "content": [{"type": "input_image"}]}}', "invalid_value",
         "item.content[0].type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_nothing_else_is_lost(
    message: str, code: str, param: str | None
) -> None:
    client = Client()
    output = client.protocol.receive(message)
    (event,) = output.events
    assert event["type"] == "error"
    assert (event["error"]["code"], event["error"]["param"]) == (code, param)
    assert event["error"]["event_id"] == ("e" if '"e"' in message else None)
    assert output.inputs == []
    client.speak(TURN)
    assert client.last("response.done")["response"]["status"] == "completed"


actions = st.sampled_from(
    [
        ("response.create", {}), ("response.create", {"response": {"max_output_tokens": 2}}),
        ("response.cancel", {}), ("input_audio_buffer.commit", {}),
        ("input_audio_buffer.clear", {}),
        ("session.update", {"session": MANUAL}),
        ("session.update", {"session": {"audio": {"input": {
            "transcription": {"model": "w"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 160}}}}}),
        ("session.update", {"session": {"audio": {"input": {
            "turn_detection": {"type": "semantic_vad", "create_response": False}}}}}),
        ("conversation.item.create", {"item": {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "So?"}]}}),
    ]
)  # fmt: skip
speech = st.tuples(st.integers(1, 12), st.integers(1, 20)).map(lambda r: "S" * r[0] + "." * r[1])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(speech, actions), max_size=12))
def test_whatever_is_sent_every_response_is_done_once(
    script: list[str | tuple[str, Json]],
) -> None:
    client = Client()
    for action in script:
        if isinstance(action, str):
            client.speak(action)
        else:
            client.send(action[0], **action[1])
    client.speak("." * 60)
    created = [e["response"]["id"] for e in client.sent if e["type"] == "response.created"]
    done = [e["response"]["id"] for e in client.sent if e["type"] == "response.done"]
    assert sorted(created) == sorted(done)
    assert len(set(done)) == len(done)
    added = [e["item"]["id"] for e in client.sent if e["type"] == "conversation.item.added"]
    finished = [e["item"]["id"] for e in client.sent if e["type"] == "conversation.item.done"]
    assert sorted(added) == sorted(finished)
    assert len(set(added)) == len(added)


def test_defaults_are_those_of_the_specification() -> None:
    config = SessionConfig(id="s", model="m", instructions="")
    detection = config.audio.input.turn_detection
    assert isinstance(detection, ServerVad)
    assert detection.model_dump() == {
        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
        "silence_duration_ms": 500, "create_response": True, "interrupt_response": True,
        "idle_timeout_ms": None,
    }  # fmt: skip
    assert EndpointingConfig().min_silence_frames * 20 < detection.silence_duration_ms
    assert TurnsConfig().auto_reply


def test_an_answer_asked_for_in_silence_is_about_what_was_heard() -> None:
    client = Client()
    client.speak("." * 30)
    client.send("response.create", response={"instructions": "What was that sound?"})
    client.speak("." * 9)
    assert client.last("response.done")["response"]["status"] == "completed"
    assert "open 0 What was that sound?" in client.listener.diary


def test_a_request_that_comes_with_the_audio_it_is_about_is_answered_once() -> None:
    client = Client()
    audio = base64.b64encode(pcm(TURN)).decode()
    pieces = [
        client.protocol.receive(json.dumps({"type": kind, **fields}))
        for kind, fields in (
            ("input_audio_buffer.append", {"audio": audio}),
            ("response.create", {"event_id": "mine"}),
        )
    ]
    for output in pieces:
        client.put(Output(output.events))
    for output in pieces:
        client.put(Output(inputs=output.inputs))
    client.speak("." * 30)
    created = [e["response"]["id"] for e in client.sent if e["type"] == "response.created"]
    done = [e["response"] for e in client.sent if e["type"] == "response.done"]
    assert sorted(created) == sorted(response["id"] for response in done)
    assert any(response["status"] == "completed" for response in done)


def test_what_is_cleared_while_it_is_said_keeps_its_item() -> None:
    client = Client(audio={"input": {"transcription": {"model": "w"}}})
    client.speak("SSSS")
    client.send("input_audio_buffer.clear")
    client.speak("SSSS" + "." * 20)
    started = client.last("input_audio_buffer.speech_started")["item_id"]
    assert client.last("input_audio_buffer.speech_stopped")["item_id"] == started
    assert client.last("input_audio_buffer.committed")["item_id"] == started


def test_instructions_alone_do_not_cut_an_utterance() -> None:
    client = Client()
    client.speak("SSSS")
    client.update({"instructions": "Be brief."})
    client.speak("SSSS" + "." * 20)
    assert client.kinds().count("input_audio_buffer.speech_stopped") == 1


def test_a_message_that_is_nested_too_deep_is_an_error() -> None:
    (event,) = Client().protocol.receive("[" * 100_000).events
    assert event["type"] == "error"


def test_a_buffer_can_be_cleared_while_it_is_answered() -> None:
    client = Client(**MANUAL)
    client.speak("S" * 8)
    client.send("response.create")
    assert client.send("input_audio_buffer.clear")[0]["type"] == "input_audio_buffer.cleared"
    client.speak("." * 9)
    assert client.last("response.done")["response"]["status"] == "completed"
