"""Answers that are spoken, on the wire."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.tools.tool import ToolCall
from assistant.voice.voice import SpokenWord
from streaming.audio.wire_audio import InputFormat
from streaming.events import ReplyAudio, ReplyDelta, ReplyEnded, ReplyStarted, ToolCalled
from streaming.realtime.speech import Spoken, pieces
from tests.streaming.fakes import CHARACTER
from tests.streaming.realtime.client import TURN, Client

Json = dict[str, Any]
ANSWER = "I heard 3 windows"
WHOLE = TURN + "." * 12
"""Until it was played."""


def audio_of(client: Client) -> bytes:
    deltas = [e["delta"] for e in client.sent if e["type"] == "response.output_audio.delta"]
    return b"".join(map(base64.b64decode, deltas))


def transcript_of(client: Client) -> str:
    kind = "response.output_audio_transcript.delta"
    return "".join(e["delta"] for e in client.sent if e["type"] == kind)


def answered(**changes: Any) -> Client:
    client = Client(aloud=True, **changes)
    client.speak(WHOLE)
    return client


def test_an_answer_as_the_specification_orders_it() -> None:
    client = answered()
    kinds = client.kinds()
    assert kinds[kinds.index("response.created") :] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    numbers = [int(event["event_id"].rpartition("_")[2]) for event in client.sent]
    assert numbers == sorted(numbers)
    done = client.last("response.done")["response"]
    assert done["output_modalities"] == ["audio"]
    content = [{"type": "output_audio", "transcript": ANSWER}]
    assert done["output"][0]["content"] == content
    part = client.last("response.content_part.done")["part"]
    assert part == {"type": "audio", "transcript": ANSWER}
    assert client.last("response.output_audio_transcript.done")["transcript"] == ANSWER
    assert (transcript_of(client), len(audio_of(client))) == (ANSWER, 2 * CHARACTER * len(ANSWER))
    item = client.last("conversation.item.done")["item"]
    told = client.send("conversation.item.retrieve", item_id=item["id"])[0]["item"]
    assert told["content"] == content


def test_the_session_says_that_it_speaks() -> None:
    client = Client(aloud=True)
    told = client.protocol.begin().events[0]["session"]
    assert told["output_modalities"] == ["audio"]
    output = told["audio"]["output"]
    assert (output["voice"], output["speed"]) == ("speaker", 1.0)
    assert output["format"] == {"type": "audio/pcm", "rate": 24000}


@pytest.mark.parametrize("voice", ["alloy", "marin", "speaker", {"id": "ash"}])
def test_whoever_is_wished_there_is_one_voice(voice: object) -> None:
    client = Client(aloud=True)
    (told,) = client.update({"audio": {"output": {"voice": voice, "speed": 1.25}}})
    output = told["session"]["audio"]["output"]
    assert (output["voice"], output["speed"]) == ("speaker", 1.25)


def test_a_voice_that_nobody_has_is_an_error() -> None:
    client = Client(aloud=True)
    (told,) = client.update({"audio": {"output": {"voice": "nobody"}}})
    assert told["error"]["param"] == "session.audio.output.voice"
    assert "there is speaker" in told["error"]["message"]


def test_without_a_voice_answers_are_text_whatever_is_wished() -> None:
    client = Client()
    wish = {"output_modalities": ["audio"], "audio": {"output": {"voice": "alloy"}}}
    (told,) = client.update(wish)
    assert told["session"]["output_modalities"] == ["text"]
    assert told["session"]["audio"]["output"]["voice"] == "none"
    client.speak(TURN)
    client.send("response.create", response={"output_modalities": ["audio"]})
    assert client.last("response.done")["response"]["output_modalities"] == ["text"]
    assert not audio_of(client)


def test_a_session_can_ask_for_text() -> None:
    client = Client(aloud=True, output_modalities=["text"])
    client.speak(WHOLE)
    assert not audio_of(client)
    assert client.last("response.output_text.done")["text"] == ANSWER
    assert client.last("response.done")["response"]["output_modalities"] == ["text"]


@pytest.mark.parametrize("modalities", [["audio"], ["text", "audio"]])
def test_one_answer_can_be_what_the_session_is_not(modalities: list[str]) -> None:
    client = Client(aloud=True, output_modalities=["text"])
    client.speak("...")
    client.send("response.create", response={"output_modalities": modalities})
    client.speak("." * 40)
    assert transcript_of(client)
    assert client.last("response.done")["response"]["output_modalities"] == ["audio"]
    client = Client(aloud=True)
    client.speak("...")
    client.send("response.create", response={"output_modalities": ["text"]})
    assert not audio_of(client)
    assert client.last("response.created")["response"]["output_modalities"] == ["text"]


@pytest.mark.parametrize(
    ("name", "size"), [("audio/pcmu", 1 / 3), ("audio/pcma", 1 / 3), ("audio/pcm", 2)]
)
def test_audio_comes_in_the_format_that_is_wished(name: str, size: float) -> None:
    client = Client(aloud=True)
    client.update({"audio": {"output": {"format": {"type": name}}}})
    client.speak(WHOLE)
    assert len(audio_of(client)) == size * CHARACTER * len(ANSWER)


@pytest.mark.parametrize(("name", "size"), [("pcm16", 2), ("g711_ulaw", 1 / 3)])
def test_the_beta_s_names_mean_the_same(name: str, size: float) -> None:
    client = Client(aloud=True)
    client.update({"modalities": ["audio", "text"], "voice": "alloy", "output_audio_format": name})
    client.speak(WHOLE)
    assert len(audio_of(client)) == size * CHARACTER * len(ANSWER)


def truncated(client: Client, item_id: str, ms: int) -> list[Json]:
    place = {"item_id": item_id, "content_index": 0, "audio_end_ms": ms}
    return client.send("conversation.item.truncate", **place)


@pytest.mark.parametrize(
    ("ms", "left"),
    [(0, ""), (1, "I "), (15, "I "), (20, "I "), (21, "I heard "), (80, "I heard "),
     (90, "I heard 3 "), (101, ANSWER), (170, ANSWER)],
)  # fmt: skip
def test_an_answer_is_cut_at_the_word_that_was_being_spoken(ms: int, left: str) -> None:
    client = answered()
    item = client.last("response.output_item.done")["item"]["id"]
    (told,) = truncated(client, item, ms)
    assert (told["type"], told["audio_end_ms"]) == ("conversation.item.truncated", ms)
    assert client.listener.diary[-1] == f"truncated 0 to {len(left)}"
    (told,) = client.send("conversation.item.retrieve", item_id=item)
    assert told["item"]["content"] == [{"type": "output_audio", "transcript": left}]
    truncated(client, item, 170)
    assert client.listener.diary[-1] == f"truncated 0 to {len(left)}"  # it does not come back


def test_more_than_there_is_cannot_be_cut_off() -> None:
    client = answered()
    item = client.last("response.output_item.done")["item"]["id"]
    (told,) = truncated(client, item, 171)
    assert told["error"]["message"] == "the message has 170 ms of audio"
    assert told["error"]["param"] == "audio_end_ms"


def test_who_cuts_an_answer_that_is_being_given_hears_no_more_of_it() -> None:
    client = Client(aloud=True)
    client.speak("...SSSS" + "." * 15)
    item = client.last("response.output_item.added")["item"]["id"]
    assert client.last("response.output_audio.delta")
    truncated(client, item, 30)
    done = client.last("response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert done["output"][0]["content"][0]["transcript"] == "I heard "
    assert client.listener.diary[-1] == "truncated 0 to 8"


def test_an_answer_that_is_cancelled_and_cut_at_once_is_over_once_and_without_an_error() -> None:
    client = Client(aloud=True)
    client.speak("...SSSS" + "." * 15)
    item = client.last("response.output_item.added")["item"]["id"]
    cut = {"item_id": item, "content_index": 0, "audio_end_ms": 30}
    sent = [{"type": "response.cancel"}, {"type": "conversation.item.truncate", **cut}]
    for output in [client.protocol.receive(json.dumps(event)) for event in sent]:
        client.put(output)
    assert client.kinds().count("response.done") == 1
    assert "error" not in client.kinds()


def test_an_answer_out_of_band_is_spoken_and_kept_nowhere() -> None:
    client = Client(aloud=True)
    client.speak("...")
    client.send("response.create", response={"conversation": "none"})
    client.speak("." * 40)
    assert transcript_of(client)
    (told,) = truncated(client, client.last("response.output_item.done")["item"]["id"], 0)
    assert told["type"] == "error"
    assert not client.protocol._told._aloud


def test_an_answer_that_is_deleted_while_it_is_given_is_given_to_its_end() -> None:
    client = Client(aloud=True)
    client.speak("...SSSS" + "." * 8)
    item = client.last("response.output_item.added")["item"]["id"]
    client.send("conversation.item.delete", item_id=item)
    client.speak("." * 20)
    assert client.last("response.done")["response"]["status"] == "completed"
    assert not client.protocol._told._aloud


WORDS = st.lists(st.integers(1, 900), min_size=0, max_size=8)


@given(WORDS, st.integers(1, 700))
def test_pieces_are_the_whole_again(lengths: list[int], samples: int) -> None:
    begins = [sum(lengths[:n]) for n in range(len(lengths))]
    words = tuple(SpokenWord(begin, 2 * n + 2) for n, begin in enumerate(begins))
    whole = ReplyAudio("ab" * len(lengths), bytes(2 * sum(lengths)), words)
    found = [*pieces(whole, samples)]
    assert b"".join(piece.pcm for piece in found) == whole.pcm
    assert "".join(piece.text for piece in found) == whole.text
    assert all(len(piece.pcm) <= 2 * samples for piece in found)
    spoken, cut = Spoken(InputFormat("pcm16", 24_000)), Spoken(InputFormat("pcm16", 24_000))
    spoken.take(whole)
    for piece in found:
        cut.take(piece)
    assert (cut._begins, cut._ends, cut.transcript) == (
        spoken._begins, spoken._ends, spoken.transcript,
    )  # fmt: skip


CALL = ToolCall("call_0_0", "tell_time", "{}")


def calling(*text: str) -> Client:
    """A client that is answered with text and a call."""
    client = Client(aloud=True)
    client.listener.declared = (CALL.name,)
    ask = client.listener.ask

    def asked() -> int:
        windows = ask()
        client.listener.reply = [*text, CALL]
        return windows

    client.listener.ask = asked  # type: ignore[method-assign]
    return client


def test_a_function_is_called_when_what_comes_before_the_call_was_spoken() -> None:
    client = calling("Let me see. ", "I look at the clock. ")
    client.speak(TURN + "." * 40)
    kinds = [kind for kind in client.kinds() if kind.startswith("response.")]
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_audio_transcript.delta", "response.output_audio.delta"] * 2,
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
    ]
    message, call = client.last("response.done")["response"]["output"]
    text = "Let me see. I look at the clock. "
    assert message["content"] == [{"type": "output_audio", "transcript": text}]
    assert (call["name"], call["call_id"]) == ("tell_time", "call_0_0")
    assert client.last("response.function_call_arguments.done")["output_index"] == 1


def test_a_function_is_called_at_once_where_nothing_is_said() -> None:
    client = calling()
    client.speak(TURN)
    (call,) = client.last("response.done")["response"]["output"]
    assert call["type"] == "function_call"
    assert audio_of(client) == b""


def test_a_call_is_told_where_the_words_before_it_were_interrupted() -> None:
    client = Client(aloud=True)
    told: list[Json] = []
    for event in (
        ReplyStarted(1, 1, 0, tools=(CALL.name,)),
        ReplyDelta("Let me see."),
        ToolCalled(CALL.id, CALL.name, CALL.arguments),
        ReplyEnded(2, "interrupted"),
    ):
        told += client.protocol.translate(event)
    message, call = told[-1]["response"]["output"]
    assert (message["type"], message["status"]) == ("message", "incomplete")
    assert message["content"] == [{"type": "output_audio", "transcript": ""}]
    assert (call["type"], call["status"]) == ("function_call", "completed")
