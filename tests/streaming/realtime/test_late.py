"""The wire as an event loop has it: the session works, and is heard of, whenever there is time.

Messages of the client are taken while the session has not looked at earlier ones, and while what it
told was not translated yet. None of that changes what the client is told, but for the moment.
"""

import random
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.audio.frames import Frame
from streaming.dialogue.work import NEED_DATA
from streaming.events import Event
from streaming.realtime.protocol import Output
from tests.streaming.fakes import drain
from tests.streaming.realtime.client import MANUAL, Client, Json, typed
from tests.streaming.realtime.test_answers import PATIENT, ids, recording
from tests.streaming.realtime.test_protocol import actions, speech


class Late(Client):
    """Takes messages at once, and gives the session and the translation time when it likes."""

    def __init__(self, **changes: Any) -> None:
        self.waiting: list[Event] = []
        self.late = False
        super().__init__(**changes)

    def put(self, output: Output) -> None:
        if not self.late:
            super().put(output)
            return
        self.sent += output.events
        for piece in output.inputs:
            if isinstance(piece, Frame):
                self.session.hear([piece])
            else:
                self.session.control(piece)
        self.spend_time()

    def spend_time(self) -> None:
        """The session does all there is to do; nobody hears of it."""
        self.waiting += drain(self.session)

    def tell(self, count: int) -> None:
        now, self.waiting = self.waiting[:count], self.waiting[count:]
        for event in now:
            self.sent += self.protocol.translate(event)

    def catch_up(self) -> None:
        self.waiting += drain(self.session)
        self.tell(len(self.waiting))


class Random(Late):
    """Some steps, and some of what was told, after each message: as many as chance has it."""

    def __init__(self, seed: int, **changes: Any) -> None:
        super().__init__(**changes)
        self.chance, self.late = random.Random(seed), True

    def spend_time(self) -> None:
        for _ in range(self.chance.choice([0, 1, 5, 40, 400])):
            if (events := self.session.step()) is NEED_DATA:
                break
            assert isinstance(events, list)
            self.waiting += events
        self.tell(self.chance.randint(0, len(self.waiting)))


def say(client: Client, script: list[str | tuple[str, Json]]) -> None:
    for action in script:
        if isinstance(action, str):
            client.speak(action)
        else:
            client.send(action[0], **action[1])
    client.speak("." * 60)


QUESTION = ("conversation.item.create", {"item": typed("user", "So?", id="so")})
RECORDED = ("conversation.item.create", {"item": recording("SSSSSSS", id="tape")})
more = st.sampled_from(
    [
        QUESTION, RECORDED,
        ("conversation.item.delete", {"item_id": "so"}),
        ("conversation.item.delete", {"item_id": "tape"}),
        ("response.create", {"response": {"conversation": "none", "input": [typed("user", "?")]}}),
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(speech, actions, more), max_size=12), st.integers(0, 2**16))
def test_whenever_it_is_told_every_response_and_every_item_is_done_once(
    script: list[str | tuple[str, Json]], seed: int
) -> None:
    client = Random(seed)
    say(client, script)
    client.catch_up()
    for begun, over, about in (
        ("response.created", "response.done", "response"),
        ("conversation.item.added", "conversation.item.done", "item"),
        ("response.output_item.added", "response.output_item.done", "item"),
    ):
        first = [e[about]["id"] for e in client.sent if e["type"] == begun]
        last = [e[about]["id"] for e in client.sent if e["type"] == over]
        assert sorted(first) == sorted(last)
        if about == "response":
            assert len(set(first)) == len(first)
    assert not client.protocol.answering


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(speech, actions, more), max_size=12), st.integers(0, 2**16))
def test_whenever_it_is_told_what_began_is_told_before_it_ends(
    script: list[str | tuple[str, Json]], seed: int
) -> None:
    client = Random(seed)
    say(client, script)
    client.catch_up()
    speaking: str | None = None
    begun: set[str] = set()
    for event in client.sent:
        match event["type"]:
            case "input_audio_buffer.speech_started":
                assert speaking is None
                speaking = event["item_id"]
            case "input_audio_buffer.speech_stopped":
                assert event["item_id"] == speaking
                speaking = None
            case "response.created":
                begun.add(event["response"]["id"])
            case "response.done":
                assert event["response"]["id"] in begun
            case kind if kind.startswith("response."):
                assert event["response_id"] in begun


def told(client: Client) -> list[str]:
    """What was sent, with ids in the order in which they turn up."""
    names: dict[str, str] = {}

    def numbered(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f"{found[1]}_{len(names)}")

    events = [{**event, "event_id": None} for event in client.sent]
    return [re.sub(r"(item|resp)_\d+", numbered, repr(event)) for event in events]


AT_ONCE = {"session.updated", "conversation.item.added", "conversation.item.done"}
"""Answered when a message is taken, or in part."""

orders = st.sampled_from(
    [
        ("input_audio_buffer.commit", {}), ("input_audio_buffer.clear", {}),
        ("session.update", {"session": MANUAL}),
        ("session.update", {"session": {"audio": {"input": {"transcription": {"model": "w"}}}}}),
        ("session.update", {"session": {"audio": {"input": {"turn_detection": PATIENT}}}}),
        ("session.update", {"session": {"audio": {"input": {"transcription": None,
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 160}}}}}),
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(speech, orders), max_size=12), st.integers(0, 2**16))
def test_what_the_session_tells_does_not_depend_on_when(
    script: list[str | tuple[str, Json]], seed: int
) -> None:
    prompt, late = Client(), Random(seed)
    for client in (prompt, late):
        say(client, script)
        client.sent = [e for e in client.sent if e["type"] not in AT_ONCE]
        if isinstance(client, Late):
            client.catch_up()
            client.sent = [e for e in client.sent if e["type"] not in AT_ONCE]
    assert told(late) == told(prompt)


def test_a_cancel_that_comes_too_late_stops_no_other_answer() -> None:
    client = Late()
    client.speak("...SSSS" + "." * 9)
    beside = {"conversation": "none", "input": [typed("user", "Colour?")]}
    client.send("response.create", response=beside)
    first, second = ids(client, "response.created")
    client.late = True
    client.speak("." * 3)  # the first one is over, the second begins: not told yet
    client.send("response.cancel", response_id=first, event_id="late")
    client.speak("." * 40)
    client.catch_up()
    done = {e["response"]["id"]: e["response"]["status"] for e in client.sent
            if e["type"] == "response.done"}  # fmt: skip
    assert done == {first: "completed", second: "completed"}


def test_a_cancel_that_comes_too_late_does_not_stop_the_answer_to_what_was_said_next() -> None:
    client = Late()
    client.speak("...SSSS" + "." * 9)
    (first,) = ids(client, "response.created")
    client.late = True
    client.speak("." * 20 + "SSSS" + "." * 9)
    client.send("response.cancel", response_id=first)
    client.speak("." * 40)
    client.catch_up()
    done = [e["response"]["status"] for e in client.sent if e["type"] == "response.done"]
    assert done == ["completed", "completed"]


def test_events_that_come_late_are_about_what_they_were_about() -> None:
    client = Late()
    client.speak("...SSSS")
    started = client.last("input_audio_buffer.speech_started")["item_id"]
    client.late = True
    client.update(MANUAL)
    client.send("input_audio_buffer.clear")
    client.speak("SSSS")
    client.catch_up()
    assert client.last("input_audio_buffer.speech_stopped")["item_id"] == started
    kinds = [e["type"] for e in client.send("input_audio_buffer.commit")]
    client.catch_up()
    assert [e["type"] for e in client.sent].count("input_audio_buffer.committed") == 2
    assert "error" not in kinds


def test_an_answer_is_told_of_after_the_message_it_is_about() -> None:
    client = Late(**MANUAL)
    client.late = True
    client.speak("SSSSSSSS")
    client.send("input_audio_buffer.commit")
    client.send("response.create")
    client.catch_up()
    kinds = client.kinds()
    assert kinds.index("input_audio_buffer.committed") < kinds.index("response.created")


def test_a_recording_that_is_deleted_before_it_was_heard_is_not_answered() -> None:
    client = Late()
    client.late = True
    client.send("conversation.item.create", item=RECORDED[1]["item"])
    client.send("conversation.item.delete", item_id="tape")
    client.catch_up()
    assert [line for line in client.listener.diary if line.startswith("unheard")] != []
    assert not client.listener.is_open
