"""How much a client may send, whatever it is."""

PER_S = 500.0
"""Messages per second that are taken in the long run."""

BURST = 2000.0
"""Messages that are taken at once, after a while of silence."""

BYTES = 16 * 2**10
"""A message counts once, and once more for so many bytes of it."""


SHARE = 0.25
"""Of the event loop's time that one client's messages may take in the long run."""


class Allowance:
    """Fills up as time goes by, and is spent on messages."""

    def __init__(self, now: float) -> None:
        """`now`: seconds of any clock, here and below."""
        self._left, self._at = BURST, now

    def spend(self, size: int, now: float, seconds: float = 0.0) -> float:
        """Take a message.

        Args:
            size: bytes or characters of it and of its answer.
            now: seconds of the clock.
            seconds: of work that it took.

        Returns:
            Seconds until the next one may be taken.
        """
        cost = 1 + size / BYTES + PER_S * seconds / SHARE
        self._left = min(BURST, self._left + PER_S * (now - self._at)) - cost
        self._at = now
        return max(0.0, -self._left / PER_S)
