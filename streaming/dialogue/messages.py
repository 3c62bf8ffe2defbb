"""Messages that were spoken and not answered yet; a client may forget them one by one."""


class Messages:
    """Spans of speech and recordings that wait to be answered."""

    def __init__(self) -> None:
        self.fresh: int | None = None
        """First sample given since the last message, recordings apart; None: none was."""

        self._waiting: list[tuple[int, int]] = []
        self._recorded: dict[str, tuple[int, int]] = {}

    def given(self, at: int) -> None:
        """A frame came that is no recording's; `at`: its first sample."""
        if self.fresh is None:
            self.fresh = at

    def said(self, since: int, until: int) -> None:
        """Samples [since, until) wait to be answered."""
        self._waiting.append((since, until))
        self.fresh = None

    def recorded(self, since: int, until: int, ref: str | None) -> None:
        """Samples [since, until) are a recording, known by `ref`, and wait to be answered."""
        self._waiting.append((since, until))
        if ref is not None:
            self._recorded[ref] = since, until

    def recording(self, ref: str) -> tuple[int, int] | None:
        """The samples of a recording; it is known by that no longer."""
        return self._recorded.pop(ref, None)

    def answered(self) -> None:
        """All of them were answered."""
        self._waiting.clear()

    def clear(self) -> None:
        """None of them will be answered, nor what was given since."""
        self._waiting.clear()
        self.fresh = None

    def forget(self, since: int, until: int) -> bool:
        """Take out a message, samples [since, until); whether it was the last that waited."""
        if (since, until) not in self._waiting:
            return False
        self._waiting.remove((since, until))
        return not self._waiting
