"""The wire: what is asked for and must wait, and answers beside answers."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from streaming.audio.frames import FRAME_SAMPLES
from streaming.realtime.asking import MOST_WAITING
from streaming.realtime.protocol import Output
from streaming.realtime.wire import CLIENT_EVENT
from tests.streaming.fakes import pcm
from tests.streaming.realtime.client import MANUAL, TURN, Client, Json, typed

PATIENT = {"type": "server_vad", "create_response": False, "silence_duration_ms": 160}


def b64(script: str) -> str:
    return base64.b64encode(pcm(script)).decode()


def recording(script: str, **more: Any) -> Json:
    part = {"type": "input_audio", "audio": b64(script)}
    return {"type": "message", "role": "user", "content": [part], **more}


def ids(client: Client, kind: str) -> list[str]:
    return [e["response"]["id"] for e in client.sent if e["type"] == kind]


def answered(client: Client) -> Json:
    return client.last("response.done")["response"]  # type: ignore[no-any-return]


# --- typed questions


def test_a_question_typed_while_someone_speaks_is_answered_after_it_and_once() -> None:
    client = Client()
    client.speak("...SSSS")
    client.send("conversation.item.create", item=typed("user", "What was that?"))
    client.send("response.create", response={"metadata": {"mine": "yes"}})
    assert client.kinds()[-1] == "response.created"
    client.speak("S" + "." * 40)
    done = [e["response"] for e in client.sent if e["type"] == "response.done"]
    assert [(d["status"], d["metadata"]) for d in done] == [
        ("completed", None), ("completed", {"mine": "yes"}),
    ]  # fmt: skip
    opened = [line for line in client.listener.diary if line.startswith("open")]
    assert opened == ["open 0", "open 0 What was that?"]
    client.send("response.create")  # it was answered, so this one is about what was heard
    assert client.listener.diary[-1] == "open 0"


def test_a_question_the_model_has_no_room_for_keeps_no_other_from_being_asked() -> None:
    from assistant.errors import ContextFullError

    client = Client()
    client.speak("." * 9)
    client.send("conversation.item.create", item=typed("user", "What was that?"))
    opening, full = client.listener.open, [True]

    def refusing(
        since: int,
        instruction: str | None = None,
        spoken_from: int | None = None,
        *,
        typed: bool = False,
        alone: bool = False,
    ) -> int:
        if full.pop() if full else False:
            client.listener.written.clear()
            raise ContextFullError("too long")
        return opening(since, instruction, spoken_from, typed=typed, alone=alone)

    client.listener.open = refusing  # type: ignore[method-assign]
    events = client.send("response.create", event_id="mine")
    assert [e["type"] for e in events] == ["response.created", "response.done", "error"]
    assert events[1]["response"]["status"] == "failed"
    assert events[1]["response"]["status_details"]["error"]["code"] == "context_full"
    assert (events[2]["error"]["code"], events[2]["error"]["event_id"]) == ("context_full", "mine")
    client.send("conversation.item.create", item=typed("user", "Shorter?"))
    client.send("response.create")
    client.speak("." * 9)
    assert answered(client)["status"] == "completed"
    assert "open 0 Shorter?" in client.listener.diary


def test_a_question_that_waits_and_is_deleted_is_not_asked() -> None:
    client = Client()
    client.speak("...SSSS")
    client.send("conversation.item.create", item=typed("user", "Secret?", id="q"))
    client.send("response.create")
    client.send("conversation.item.delete", item_id="q")
    client.speak("S" + "." * 40)
    assert not any("Secret?" in line for line in client.listener.diary)
    done = [e["response"]["status"] for e in client.sent if e["type"] == "response.done"]
    assert done == ["cancelled", "completed"]


def test_create_and_cancel_in_one_go_is_one_answer_cancelled() -> None:
    for spoken in ("." * 9, "...SSSS"):
        client = Client()
        client.speak(spoken)
        client.send("conversation.item.create", item=typed("user", "What?"))
        pieces = [
            client.protocol.receive(json.dumps({"type": kind}))
            for kind in ("response.create", "response.cancel")
        ]
        for output in pieces:
            client.put(Output(output.events))
        for output in pieces:
            client.put(Output(inputs=output.inputs))
        asked = ids(client, "response.created")[0]
        client.speak("." * 40)
        done = [e["response"] for e in client.sent if e["type"] == "response.done"]
        assert [d["status"] for d in done if d["id"] == asked] == ["cancelled"]
        assert "error" not in client.kinds()


def test_the_answer_that_is_named_is_cancelled_and_no_other() -> None:
    client = Client()
    client.speak("...SSSS")
    client.send("conversation.item.create", item=typed("user", "What?"))
    client.send("response.create")
    asked = ids(client, "response.created")[0]
    client.speak("." * 9)  # the answer to what was said is being given
    (error,) = client.send("response.cancel", response_id="resp_x")
    assert error["error"]["code"] == "response_cancel_not_active"
    client.send("response.cancel", response_id=asked)
    client.speak("." * 40)
    done = {e["response"]["id"]: e["response"]["status"] for e in client.sent
            if e["type"] == "response.done"}  # fmt: skip
    assert done.pop(asked) == "cancelled"
    assert list(done.values()) == ["completed"]


# --- answers beside answers


def test_answers_out_of_band_run_beside_one_another() -> None:
    client = Client()
    client.speak("." * 9)
    client.send("response.create", response={"metadata": {"n": "0"}})
    for n in (1, 2):
        beside = {"conversation": "none", "input": [typed("user", "Colour?")]}
        events = client.send("response.create", response={**beside, "metadata": {"n": str(n)}})
        assert events[0]["type"] == "response.created"
    (error,) = client.send("response.create")
    assert error["error"]["code"] == "conversation_already_has_active_response"
    client.speak("." * 60)
    done = [e["response"] for e in client.sent if e["type"] == "response.done"]
    assert [(d["metadata"]["n"], d["status"]) for d in done] == [
        ("0", "completed"), ("1", "completed"), ("2", "completed"),
    ]  # fmt: skip
    assert [d["conversation_id"] is None for d in done] == [False, True, True]


def test_so_many_answers_may_wait_and_no_more() -> None:
    client = Client()
    beside = {"conversation": "none", "input": [typed("user", "Colour?")]}
    client.speak("...SSSS")
    for _ in range(MOST_WAITING + 1):
        assert client.send("response.create", response=beside)[0]["type"] == "response.created"
    (error,) = client.send("response.create", response=beside)
    assert error["error"]["code"] == "conversation_already_has_active_response"
    client.speak("." * 200)
    assert len(ids(client, "response.done")) == MOST_WAITING + 2


# --- what a question may cost


def test_too_long_a_question_is_refused_before_the_model_sees_it() -> None:
    client = Client()
    for n in range(3):
        client.send("conversation.item.create", item=typed("user", "x" * 3000, id=f"i{n}"))
    (error,) = client.send("conversation.item.create", item=typed("user", "x"), event_id="mine")
    assert error["error"]["code"] == "string_above_max_length"
    assert error["error"]["event_id"] == "mine"
    client.send("conversation.item.delete", item_id="i0")
    client.send("conversation.item.create", item=typed("user", "x"))
    (error,) = client.send("response.create", response={"instructions": "y" * 3000})
    assert error["error"]["code"] == "string_above_max_length"
    assert client.send("response.create")[0]["type"] == "response.created"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.create", "response": {"input": [0] * 5000}},
        {"type": "response.create", "response": {"output_modalities": [0] * 5000}},
        {"type": "conversation.item.create",
         "item": {"type": "message", "role": "user", "content": [0] * 5000}},
    ],
)  # fmt: skip
def test_of_a_long_list_the_first_mistake_is_all_that_is_looked_for(event: Json) -> None:
    with pytest.raises(ValidationError) as caught:
        CLIENT_EVENT.validate_json(json.dumps(event))
    assert caught.value.error_count() <= 2, "an item of a request may be of two kinds"


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        ("session.update", {"session": {"instructions": "@"}}, "session.instructions"),
        ("response.create", {"response": {"instructions": "@"}}, "response.instructions"),
        ("response.create", {"response": {"input": [typed("user", "@")]}}, "response.input"),
        ("conversation.item.create", {"item": typed("user", "@")}, "item.content[0].text"),
        ("conversation.item.create", {"item": {"type": "message", "role": "assistant", "content": [
            {"type": "output_audio", "transcript": "@"}]}}, "item.content[0].transcript"),
    ],
)  # fmt: skip
def test_the_longest_text_and_one_character_more(kind: str, fields: Json, param: str) -> None:
    client = Client()
    for length, wrong in ((9000, False), (9001, True)):
        sent = json.loads(json.dumps(fields).replace("@", "x" * length))
        events = client.send(kind, **sent)
        assert (events[0]["type"] == "error") is wrong, events[0]
        if wrong:
            assert events[0]["error"]["param"] == param
            assert "9000" in events[0]["error"]["message"]
        client.speak("." * 30)


# --- silence, interruptions, what is cleared


def test_silence_after_an_answer_triggers_another_one() -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 160, "idle_timeout_ms": 5000}
    client = Client(audio={"input": {"turn_detection": detection}})
    client.speak(TURN + "." * 260)
    kinds = client.kinds()
    at = kinds.index("input_audio_buffer.timeout_triggered")
    assert kinds[at : at + 5] == [
        "input_audio_buffer.timeout_triggered", "input_audio_buffer.committed",
        "conversation.item.added", "conversation.item.done", "response.created",
    ]  # fmt: skip
    told = client.sent[at]
    assert told["item_id"] == client.sent[at + 1]["item_id"]
    assert told["audio_end_ms"] - told["audio_start_ms"] == 5000
    assert answered(client)["status"] == "completed"


def test_what_is_said_under_an_answer_that_goes_on_is_a_message_and_answered() -> None:
    detection = {
        "type": "server_vad", "silence_duration_ms": 160, "interrupt_response": False,
    }  # fmt: skip
    transcription = {"model": "whisper-1"}
    client = Client(audio={"input": {"turn_detection": detection, "transcription": transcription}})
    client.speak("...SSSS" + "." * 8 + "S" * 30 + "." * 40)
    kinds = client.kinds()
    assert kinds.count("input_audio_buffer.committed") == 2
    assert kinds.count("response.done") == 2
    assert {e["response"]["status"] for e in client.sent if e["type"] == "response.done"} == {
        "completed"
    }
    completed = "conversation.item.input_audio_transcription.completed"
    said = [e["item_id"] for e in client.sent if e["type"] == completed]
    assert said == [e["item_id"] for e in client.sent
                    if e["type"] == "input_audio_buffer.committed"]  # fmt: skip


def test_what_was_cleared_is_forgotten() -> None:
    client = Client(**MANUAL)
    client.speak("S" * 8)
    client.send("input_audio_buffer.clear")
    assert client.listener.diary[-1] == f"unheard 0 {8 * FRAME_SAMPLES}"


def test_words_of_its_own_do_not_make_an_answer_about_what_came_later() -> None:
    def audio_tokens(**response: Any) -> int:
        client = Client(audio={"input": {"turn_detection": PATIENT}})
        client.speak("SSSS" + "." * 48)
        client.send("response.create", response=response)
        client.speak("." * 9)
        return int(answered(client)["usage"]["input_token_details"]["audio_tokens"])

    assert audio_tokens(instructions="Count.") == audio_tokens() == 4


# --- times and tails


def test_what_a_change_of_format_flushes_is_counted() -> None:
    client = Client(**MANUAL)
    for kind in ("audio/pcmu", "audio/pcma", "audio/pcmu", "audio/pcma"):
        client.send("input_audio_buffer.append", audio=base64.b64encode(bytes(500)).decode())
        client.update({"audio": {"input": {"format": {"type": kind}}}})
    assert client.session.heard > 0
    client.send("input_audio_buffer.append", audio=base64.b64encode(bytes(1600)).decode())
    client.send("input_audio_buffer.commit")
    item_id = client.last("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.delete", item_id=item_id)
    assert client.listener.diary[-1] == f"unheard 0 {client.session.heard}"


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (319, 1), (320, 1), (321, 2)])
def test_the_last_part_of_a_frame_belongs_to_what_is_committed(samples: int, frames: int) -> None:
    client = Client(**MANUAL)
    audio = base64.b64encode(np.full(samples, 9000, "<i2").tobytes()).decode()
    client.send("input_audio_buffer.append", audio=audio)
    kinds = [e["type"] for e in client.send("input_audio_buffer.commit")]
    assert kinds[0] == "input_audio_buffer.committed"
    assert client.session.heard == frames * FRAME_SAMPLES
    (error,) = client.send("input_audio_buffer.commit")
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"


def test_half_a_sample_is_no_noise_in_what_follows_a_commit() -> None:
    tone = (8000 * np.sin(np.arange(9600) / 12)).astype("<i2").tobytes()
    client = Client(**MANUAL)
    for part in (tone[:6401], tone[6401:]):
        client.send("input_audio_buffer.append", audio=base64.b64encode(part).decode())
        client.send("input_audio_buffer.commit")
    assert max(float(np.abs(piece).max()) for piece in client.listener.heard) < 8001 / 32768


def test_the_part_of_a_frame_that_was_cleared_is_in_no_message() -> None:
    client = Client(**MANUAL)
    client.send("input_audio_buffer.append", audio=base64.b64encode(bytes(600)).decode())
    client.send("input_audio_buffer.clear")
    client.send("input_audio_buffer.append", audio=base64.b64encode(bytes(1280)).decode())
    client.send("input_audio_buffer.commit")
    assert client.session.heard == 2 * FRAME_SAMPLES
