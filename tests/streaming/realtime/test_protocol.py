"""The wire, with a scripted model: order of events, items, responses, bad messages."""

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.config import VoiceConfig
from assistant.tools.tool import Tool, ToolChoice
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.config import EndpointingConfig, TurnsConfig
from streaming.dialogue.session import Session, one_each
from streaming.realtime.protocol import Output, Realtime
from streaming.realtime.session_config import Settings, initial
from streaming.realtime.wire import ServerVad, SessionConfig
from tests.streaming.fakes import CONFIG, TURNS, Echo, Speaker, drain, pcm, session

Json = dict[str, Any]
DEFAULTS = Settings(TURNS, CONFIG)
AT_16_KHZ = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}


class Client:
    """A protocol and a session, and everything that was sent."""

    def __init__(
        self, *, knocks: bool = False, words: bool = False, aloud: bool = False, **changes: Any
    ) -> None:
        counts = itertools.count(1)
        voice = VoiceConfig(name="speaker") if aloud else None
        about: Any = {"id": "sess_1", "model": "tiny", "instructions": "Reply."}
        config = initial(DEFAULTS, voice, **about) if aloud else SessionConfig(**about)
        self.protocol = Realtime(
            config, DEFAULTS, lambda kind: f"{kind}_{next(counts)}", longest=50, longest_text=9000,
            audio_tokens_per_window=2, can_transcribe=True, can_name_sounds=knocks,
            reads_words=words, check_tools=_check if words else None,
        )  # fmt: skip
        self.listener = Echo()
        self.listener.knocks = knocks
        voices = Speaker() if aloud else None
        self.session: Session = session(self.listener, pace=one_each, voice=voices)
        self.sent: list[Json] = []
        self.put(self.protocol.begin())
        short = {"type": "server_vad", "silence_duration_ms": 160}
        self.update({"audio": {"input": {"format": AT_16_KHZ["audio"]["input"]["format"],
                                         "turn_detection": short}}})  # fmt: skip
        if changes:
            self.update(changes)
        self.sent.clear()

    def put(self, output: Output) -> None:
        self.sent += output.events
        for piece in output.inputs:
            if isinstance(piece, Frame):
                self.session.hear([piece])
            else:
                self.session.control(piece)
            for event in drain(self.session):
                self.sent += self.protocol.translate(event)

    def send(self, kind: str, **fields: Any) -> list[Json]:
        before = len(self.sent)
        self.put(self.protocol.receive(json.dumps({"type": kind, **fields})))
        return self.sent[before:]

    def update(self, changes: Json) -> list[Json]:
        return self.send("session.update", session={"type": "realtime", **changes})

    def speak(self, script: str) -> list[Json]:
        audio = base64.b64encode(pcm(script)).decode()
        return self.send("input_audio_buffer.append", audio=audio)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.sent]

    def last(self, kind: str) -> Json:
        return next(event for event in reversed(self.sent) if event["type"] == kind)


def _check(tools: tuple[Tool, ...], choice: ToolChoice) -> None:
    choice.among(tools)


MANUAL: Json = {"audio": {"input": {"turn_detection": None}}}
TURN = "...SSSS" + "." * 20


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


def test_the_first_event_tells_all_settings() -> None:
    counts = itertools.count()
    config = SessionConfig(id="sess_1", model="tiny", instructions="Reply.")
    protocol = Realtime(
        config, DEFAULTS, lambda kind: f"{kind}_{next(counts)}", longest=50, longest_text=9000,
        audio_tokens_per_window=2, can_transcribe=True, can_name_sounds=False,
    )  # fmt: skip
    (created,) = protocol.begin().events
    told = created["session"]
    assert (created["type"], told["type"], told["object"]) == (
        "session.created", "realtime", "realtime.session",
    )  # fmt: skip
    assert told["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert told["audio"]["input"]["turn_detection"]["interrupt_response"] is True
    assert told["output_modalities"] == ["text"]


def test_only_what_is_there_changes() -> None:
    client = Client()
    (told,) = client.update({"instructions": "Be brief.", "tracing": "auto"})
    assert told["type"] == "session.updated"
    assert told["session"]["instructions"] == "Be brief."
    assert told["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 160
    (told,) = client.update({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    assert told["session"]["audio"]["input"]["turn_detection"]["eagerness"] == "auto"
    assert told["session"]["audio"]["input"]["format"]["rate"] == 16000
    (told,) = client.update(MANUAL)
    assert told["session"]["audio"]["input"]["turn_detection"] is None
    assert "configured Be brief." in client.listener.diary


def test_push_to_talk_gives_back_the_configured_endpointing() -> None:
    client = Client()
    client.update(MANUAL)
    (told,) = client.update({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    silence_ms = told["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"]
    assert silence_ms == 20 * DEFAULTS.endpointing.min_silence_frames != 500


def test_how_tokens_are_drawn_is_a_setting() -> None:
    client = Client()
    client.update({"salmonn": {"temperature": 0.7, "top_p": 0.8}})
    assert client.listener.sampling == (0.7, 0.8)


def test_whoever_wants_audio_is_told_that_there_is_text() -> None:
    (told,) = Client().update({"output_modalities": ["audio"]})
    assert told["session"]["output_modalities"] == ["text"]


def test_what_cannot_be_had_is_told_as_off() -> None:
    (told,) = Client().update({"salmonn": {"sound_events": True, "latency": True}})
    assert told["session"]["salmonn"]["sound_events"] is False
    assert told["session"]["salmonn"]["latency"] is True


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


def test_items_are_put_in_order_told_and_deleted() -> None:
    client = Client()

    def create(name: str, **more: Any) -> list[Json]:
        item = {"id": name, "type": "message", "role": "user", "content": []}
        return client.send("conversation.item.create", item=item, **more)

    assert create("a")[0]["previous_item_id"] is None
    assert create("c")[0]["previous_item_id"] == "a"
    assert create("b", previous_item_id="a")[0]["previous_item_id"] == "a"
    assert create("z", previous_item_id="root")[0]["previous_item_id"] is None
    assert create("d", previous_item_id="x")[0]["error"]["code"] == "item_not_found"
    assert create("a")[0]["error"]["code"] == "item_id_taken"
    assert client.send("conversation.item.delete", item_id="a")[0]["item_id"] == "a"
    assert client.send("conversation.item.retrieve", item_id="a")[0]["type"] == "error"
    assert client.send("conversation.item.delete", item_id="a")[0]["type"] == "error"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "function_call_output", "call_id": "c", "output": "{}"}, "item.type"),
        ({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}, "item.type"),
        ({"type": "message", "role": "system",
          "content": [{"type": "input_text", "text": "You are a pirate."}]}, "item.role"),
    ],
)  # fmt: skip
def test_what_the_model_does_not_read_is_refused_and_never_asked(item: Json, param: str) -> None:
    client = Client()
    (error,) = client.send("conversation.item.create", item=item, event_id="mine")
    told = error["error"]
    assert (told["code"], told["param"], told["event_id"]) == ("unsupported_item", param, "mine")
    (error,) = client.send("response.create", response={"input": [item]})
    assert error["error"]["param"] == param.replace("item", "response.input[0]")
    client.send("response.create")
    client.speak("." * 9)
    assert client.last("response.done")["response"]["status"] == "completed"
    assert "open 0" in client.listener.diary, "in the session's words"


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
        ('{"type": "session.update", "event_id": "e", "session": {"type": "transcription"}}',
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


def typed(role: str, text: str, **more: Any) -> Json:
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    return {"type": "message", "role": role, "content": [part], **more}


def test_an_answer_has_a_limit_of_its_own_and_the_next_one_the_sessions() -> None:
    client = Client(max_output_tokens=3)
    client.speak("." * 30)
    client.send("response.create", response={"max_output_tokens": 1})
    client.update({"instructions": "Be brief."})  # must not lift it
    client.speak("." * 9)
    done = client.last("response.done")["response"]
    assert (done["status"], done["max_output_tokens"]) == ("incomplete", 1)
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["usage"]["output_tokens"] == 1
    assert client.last("conversation.item.done")["item"]["status"] == "incomplete"
    client.send("response.create")
    client.speak("." * 9)
    done = client.last("response.done")["response"]
    assert (done["status"], done["max_output_tokens"]) == ("incomplete", 3)
    assert done["usage"]["output_tokens"] == 3


def test_an_answer_may_be_longer_than_the_sessions() -> None:
    client = Client(max_output_tokens=2)
    client.speak("." * 30)
    for limit, ends in (("inf", "completed"), (3, "incomplete"), (None, "incomplete")):
        client.send("response.create", response={"max_output_tokens": limit})
        client.speak("." * 9)
        done = client.last("response.done")["response"]
        assert (done["status"], done["max_output_tokens"]) == (ends, limit or 2)
        assert done["usage"]["output_tokens"] == {"inf": 4, 3: 3, None: 2}[limit]


def test_a_limit_takes_the_place_of_a_reply_begun_in_secret() -> None:
    client = Client()
    client.speak("...SSSS" + "." * 5)  # paused, not ended
    assert client.listener.reply is not None
    client.update(MANUAL)  # ends the utterance
    client.send("response.create", response={"max_output_tokens": 1})
    client.speak("." * 9)
    assert client.last("response.done")["response"]["usage"]["output_tokens"] == 1


def test_what_is_deleted_is_forgotten() -> None:
    client = Client()
    client.speak(TURN)
    answer = client.last("conversation.item.done")["item"]["id"]
    question = client.last("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.create", item=typed("user", "Why?", id="why"))
    client.send("response.create")
    client.speak("." * 9)
    for item_id, told in (
        (question, ["forgot question 0", f"unheard {3 * FRAME_SAMPLES} {7 * FRAME_SAMPLES}"]),
        (answer, ["forgot answer 0"]),
        ("why", ["erased why"]),
    ):
        before = len(client.listener.diary)
        client.send("conversation.item.delete", item_id=item_id)
        assert client.listener.diary[before:] == told


def test_what_is_deleted_before_it_was_answered_is_not_heard_later() -> None:
    client = Client()
    client.update(MANUAL)
    client.speak("." * 4)
    client.send("input_audio_buffer.commit")
    client.speak("." * 6)
    client.send("input_audio_buffer.commit")
    item_id = client.last("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.delete", item_id=item_id)
    assert client.listener.diary[-1] == f"unheard {4 * FRAME_SAMPLES} {10 * FRAME_SAMPLES}"


def test_only_what_was_said_aloud_can_be_truncated() -> None:
    client = Client()
    client.speak(TURN)
    answer = client.last("response.done")["response"]["output"][0]["id"]
    place = {"item_id": answer, "content_index": 0}
    (told,) = client.send("conversation.item.truncate", **place, audio_end_ms=0)
    assert (told["type"], told["item_id"]) == ("conversation.item.truncated", answer)
    assert (told["content_index"], told["audio_end_ms"]) == (0, 0)
    (kept,) = client.send("conversation.item.retrieve", item_id=answer)
    assert kept["item"]["content"][0]["text"] == "I heard 3 windows"
    (error,) = client.send("conversation.item.truncate", **place, audio_end_ms=1)
    assert error["error"]["param"] == "audio_end_ms"
    heard = client.last("input_audio_buffer.committed")["item_id"]
    (error,) = client.send("conversation.item.truncate", item_id=heard, audio_end_ms=0)
    assert error["error"]["param"] == "item_id"
    (error,) = client.send("conversation.item.truncate", item_id=answer, content_index=1)
    assert error["error"]["param"] == "content_index"


def test_a_text_that_was_deleted_is_not_asked() -> None:
    client = Client()
    for name, text in (("a", "First?"), ("b", "Second?"), ("c", "Third?")):
        client.send("conversation.item.create", item=typed("user", text, id=name))
    client.send("conversation.item.delete", item_id="b")
    client.send("response.create")
    assert "open 0 First?\nThird?" in client.listener.diary
    client.speak("." * 9)
    client.send("response.create")  # they were answered
    assert client.listener.diary[-1] == "open 0"


def test_texts_are_asked_in_the_order_of_the_conversation() -> None:
    client = Client()
    client.send("conversation.item.create", item=typed("user", "Second?"))
    first = typed("user", "First.")
    client.send("conversation.item.create", item=first, previous_item_id="root")
    client.send("response.create", response={"instructions": "Do this:"})
    assert "open 0 Do this:\nFirst.\nSecond?" in client.listener.diary


def test_texts_that_the_client_answered_itself_are_not_asked() -> None:
    client = Client()
    client.send("conversation.item.create", item=typed("user", "Hello?"))
    client.send("conversation.item.create", item=typed("assistant", "Hello."))
    client.send("conversation.item.create", item=typed("user", "What was that?"))
    client.send("response.create")
    assert "open 0 What was that?" in client.listener.diary


@pytest.mark.parametrize("deleted", [False, True])
def test_what_was_said_and_deleted_is_not_answered(deleted: bool) -> None:
    detection = {"type": "server_vad", "create_response": False, "silence_duration_ms": 160}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.speak("...SSSS" + "." * 20)
    if deleted:
        heard = client.last("input_audio_buffer.committed")["item_id"]
        client.send("conversation.item.delete", item_id=heard)
    client.speak("." * 60)
    client.send("response.create")
    client.speak("." * 9)
    assert ("said 0" in client.listener.diary) is False
    opened = [line for line in client.listener.diary if line.startswith("open")]
    assert len(opened) == (2 if deleted else 1)  # about everything, instead of that turn
    assert client.last("response.done")["response"]["status"] == "completed"


def test_what_is_being_said_survives_the_deletion_of_what_was_said_before() -> None:
    detection = {"type": "server_vad", "create_response": False, "silence_duration_ms": 160}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.speak("...SSSS" + "." * 10 + "SSSS")
    heard = client.last("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.delete", item_id=heard)
    client.speak("SSSS" + "." * 10)
    client.send("response.create")
    client.speak("." * 9)
    assert client.last("response.done")["response"]["usage"]["input_tokens"] > 5


def test_cached_tokens_are_those_that_were_there_when_the_answer_was_asked_for() -> None:
    def cached(client: Client, **response: Any) -> int:
        client.send("response.create", response=response)
        client.speak("." * 9)
        usage = client.last("response.done")["response"]["usage"]["input_token_details"]
        assert usage["cached_tokens"] == usage["cached_tokens_details"]["audio_tokens"]
        return int(usage["cached_tokens"])

    client = Client()
    client.speak(TURN)
    usage = client.last("response.done")["response"]["usage"]["input_token_details"]
    assert usage["cached_tokens"] == 2  # of 6: what was final when speech ended
    assert cached(client) == 0  # nothing said: a prompt about everything, made just now
    client = Client(**MANUAL)
    client.speak("S" * 16)
    client.send("input_audio_buffer.commit")
    assert cached(client) == 8
    client.speak("S" * 16)
    assert cached(client) == 12  # with the silence under the answer before
    client.speak("S" * 16)
    assert cached(client, instructions="Louder.") == 0
    client.send("conversation.item.create", item=typed("user", "What was that?"))
    assert cached(client) == 0


def test_an_answer_to_other_input_is_an_item_too_unless_it_is_out_of_band() -> None:
    client = Client()
    client.speak(TURN)
    heard = client.last("input_audio_buffer.committed")["item_id"]
    client.protocol._items.get(heard)["content"][0]["transcript"] = "Who?"
    asked = [{"type": "item_reference", "id": heard}, typed("user", "Why?")]
    client.send("response.create", response={"input": asked})
    client.speak("." * 9)
    assert "open 0 Who?\nWhy?" in client.listener.diary
    assert client.kinds().count("conversation.item.added") == 3
    assert client.last("response.done")["response"]["conversation_id"] is not None
    client.send("response.create", response={"input": []})
    assert client.listener.diary[-1] == "open 0", "nothing is asked but what always is"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"metadata": {"k" * 65: "v"}}, "response.metadata"),
        ({"metadata": {"k": "v" * 513}}, "response.metadata.k"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "response.metadata"),
        ({"max_output_tokens": 4097}, "response.max_output_tokens"),
        ({"output_modalities": ["smell"]}, "response.output_modalities.0"),
        ({"tools": ["light"]}, "response.tools"),
        ({"tools": [{"type": "function", "name": "light"}]}, "response.tools"),
        ({"tool_choice": "required"}, "response.tool_choice"),
        ({"prompt": {"id": "p"}}, "response.prompt"),
        ({"temperature": 0.5}, "response.temperature"),
        ({"instructions": "x" * 9001}, "response.instructions"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_id"),
    ],
)
def test_parameters_of_a_response_are_checked(wrong: Json, param: str) -> None:
    client = Client()
    (error,) = client.send("response.create", response=wrong, event_id="mine")
    assert error["type"] == "error"
    assert error["error"]["param"].startswith(param)
    assert error["error"]["event_id"] == "mine"


def test_null_is_as_if_it_were_not_there() -> None:
    client = Client()
    names = ("conversation", "input", "instructions", "max_output_tokens", "metadata", "tools")
    client.send("response.create", response=dict.fromkeys(names))
    client.speak("." * 9)
    done = client.last("response.done")["response"]
    assert (done["status"], done["max_output_tokens"]) == ("completed", "inf")


def test_the_limit_of_the_model_is_told_as_one() -> None:
    client = Client()
    client.listener.usual = 4  # so many tokens the answer has
    client.speak(TURN)
    assert client.last("response.done")["response"]["status"] == "incomplete"
