"""One session's side of the model where everything said is written down, and nothing answered."""

from typing import Any

from assistant.conversation import Conversation
from assistant.model import Salmonn
from assistant.open_turn import OpenTurn
from assistant.prompt.items import Spoken


class Transcribing(Conversation):
    """Reads what is said in a stream. No reply can be asked for: the LLM is given nothing, and no
    sounds are named, which takes most of the work away."""

    def __init__(self, model: Salmonn, *, ring_s: float = 30.0, silence_db: float = -65.0) -> None:
        """Args:
        model: shared weights.
        ring_s: seconds of what was heard that are kept.
        silence_db: see `Hearing`.

        Raises:
            ComponentError: the preset's Whisper has no decoder.
        """
        super().__init__(model, "", captions=True, ring_s=ring_s, silence_db=silence_db)
        self._hearing.name_sounds(None)
        self.draft_samples = 0

    def open(
        self,
        since: int,
        instruction: str | None = None,
        spoken_from: int | None = None,
        *,
        typed: bool = False,
        alone: bool = False,
    ) -> int:
        """Begin a turn about what was heard from stream sample `since` on; see `Conversation`."""
        recent = self._listening.since(since)
        uttered = spoken_from is not None
        turn = OpenTurn(Spoken(self._answered, "", (), since), 0, uttered=uttered)
        turn.captioner, turn.spoken_from = self._listening.reader(since, spoken_from)
        turn.take(recent)
        self._turn = turn
        return len(recent)

    def prefill(self) -> int:
        """The waiting windows wait no longer; windows of this turn."""
        turn = self._open_turn()
        turn.settle()
        return len(turn.whole.windows)

    def pause(self) -> int:
        """The turn may be over: encode the open block as it is; its windows."""
        return self._open_turn().pause(self._hearing, read=False)

    def resume(self) -> int:
        """The turn goes on: take back what `pause` did; windows that wait."""
        turn = self._open_turn()
        turn.resume()
        return len(turn.waiting)

    def configure(self, *_: Any, **__: Any) -> None:
        """No other settings mean anything here."""

    def tidy(self) -> bool:
        """Nothing is left for later."""
        return False
