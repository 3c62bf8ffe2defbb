"""The events about the audio of answers that goes by a track of its own, beside the messages."""

from streaming.realtime.shapes import Json, Shapes
from streaming.realtime.speech import Spoken


class OutputBuffer:
    """What is played, as the client is told of it."""

    def __init__(self, shapes: Shapes) -> None:
        """`shapes`: makes events."""
        self._shapes = shapes
        self._playing: str | None = None  # the answer whose audio is played
        self.spoken: Spoken | None = None
        """The last answer that is spoken."""

    def started(self, response_id: str) -> list[Json]:
        """Audio of this answer is given to the track."""
        if self._playing == response_id:
            return []
        stopped, self._playing = self.stopped(), response_id
        about = {"response_id": response_id}
        return [*stopped, self._shapes.event("output_audio_buffer.started", **about)]

    def stopped(self) -> list[Json]:
        """All of it was played."""
        response_id, self._playing = self._playing, None
        if response_id is None:
            return []
        return [self._shapes.event("output_audio_buffer.stopped", response_id=response_id)]

    def heard_until(self, milliseconds: int) -> None:
        """So much of the last answer was played, and no more of it ever will be."""
        if self.spoken is not None:
            self.spoken.truncate(milliseconds)

    def cleared(self) -> list[Json]:
        """The rest of it never will be played."""
        response_id, self._playing = self._playing, None
        if response_id is None:
            return []
        return [self._shapes.event("output_audio_buffer.cleared", response_id=response_id)]
