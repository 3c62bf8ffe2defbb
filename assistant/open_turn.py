"""The turn that a conversation hears or answers now."""

from dataclasses import dataclass, field, replace

import torch

from assistant.captions.captioner import Captioner
from assistant.ear.hearing import Window
from assistant.llm.detokenizer import Detokenizer
from assistant.prompt.items import Spoken


@dataclass(slots=True)
class OpenTurn:
    """A turn that is not over."""

    item: Spoken
    """What is known of it; its windows are those that are final and in the context."""

    most: int
    """Tokens that the reply may have."""

    waiting: list[Window] = field(default_factory=list)
    """Final windows that are not in the context yet."""

    ahead: tuple[Window, ...] | None = None
    """While paused: provisional windows of the block that was open."""

    later: list[Window] = field(default_factory=list)
    """Windows that became final while paused."""

    captioner: Captioner | None = None
    spoken_from: int = 0
    """Windows before this sample are not read."""

    text: Detokenizer | None = None
    """Of the reply, once it was asked for."""

    random: torch.Generator | None = None
    said: list[int] = field(default_factory=list)
    """Tokens of the reply."""

    done: bool = False
    """The reply has come to its end."""

    cut_short: bool = False
    """The reply had as many tokens as it may."""

    @property
    def whole(self) -> Spoken:
        """With the windows that are provisional."""
        return replace(self.item, windows=(*self.item.windows, *(self.ahead or ())))

    def take(self, windows: list[Window]) -> None:
        """Windows of this turn became final."""
        self.waiting += windows
        if self.captioner is not None:
            self.captioner.hear(self.spoken(windows))

    def settle(self) -> None:
        """The windows that waited go into the context."""
        self.item = replace(self.item, windows=(*self.item.windows, *self.waiting))
        self.waiting = []

    def spoken(self, windows: list[Window]) -> list[Window]:
        """Those of the utterance, not of what was heard before it."""
        return [window for window in windows if window.at >= self.spoken_from]

    def forget_reply(self) -> None:
        """A reply that was begun is not made."""
        self.text, self.said, self.done, self.cut_short = None, [], False, False
