"""Transcripts of messages, made from a session's captions."""

from collections import deque

from streaming.events import Caption
from streaming.realtime.items import Items
from streaming.realtime.shapes import Json, Shapes

KIND = "conversation.item.input_audio_transcription"


class Transcripts:
    """Assigns captions to messages. Captions of a turn come after those of the turn before."""

    def __init__(self, shapes: Shapes, items: Items) -> None:
        """Args:
        shapes: makes events.
        items: the conversation.
        """
        self._shapes, self._items = shapes, items
        # Messages whose captions come, and the first sample of each; the next one first.
        self._expected: deque[tuple[str, int]] = deque()
        self._seconds: dict[str, float] = {}  # of those
        self._text = ""  # of the one that is being read

    def __contains__(self, item_id: str) -> bool:
        return item_id in dict(self._expected)

    def expect(self, item_id: str, begin: int) -> None:
        """Expect captions of a message, whose speech begins at sample `begin`."""
        self._expected.append((item_id, begin))

    def length(self, item_id: str, seconds: float) -> None:
        """Set the length of a message that captions are expected of."""
        if item_id in self:
            self._seconds[item_id] = seconds

    def drop(self, item_id: str) -> None:
        """Expect no captions of a message any more."""
        self._expected = deque(pair for pair in self._expected if pair[0] != item_id)

    def stop(self) -> None:
        """Expect no captions any more."""
        self._expected.clear()

    def begin_anew(self) -> None:
        """Discard captions that came so far: they belong to no message."""
        self._text = ""

    def about(self, caption: Caption) -> bool:
        """Whether a caption belongs to a message that is expected."""
        while self._expected and self._expected[0][1] < caption.since:
            self._expected.popleft()  # its turn was given up: this is about later speech
        return bool(self._expected)

    def add(self, caption: Caption) -> list[Json]:
        """Server events for a caption."""
        if not self.about(caption):
            return []
        item_id, _ = self._expected.popleft() if caption.last else self._expected[0]
        index = self._items.spoken_part(item_id)
        place = {"item_id": item_id, "content_index": index}
        self._text += caption.settled
        events = []
        if caption.settled:
            events.append(self._shapes.event(f"{KIND}.delta", **place, delta=caption.settled))
        if caption.last:
            text, self._text = self._text.strip(), ""
            if item_id in self._items:
                self._items.get(item_id)["content"][index]["transcript"] = text
            usage = {"type": "duration", "seconds": self._seconds.pop(item_id, 0.0)}
            told = {**place, "transcript": text, "usage": usage}
            events.append(self._shapes.event(f"{KIND}.completed", **told))
        return events
