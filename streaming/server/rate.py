"""Limits the rate of a client's messages, whatever their contents."""

PER_S = 500.0
"""Most messages per second in the long run."""

BURST = 2000.0
"""Most messages in a burst, after a while without any."""

BYTES = 16 * 2**10
"""A message counts once, and once more for each so many bytes of it."""


SHARE = 0.25
"""Largest share of the event loop's time for one client's messages in the long run."""


class Allowance:
    """A token bucket: it fills up as time goes by, and messages spend it."""

    def __init__(self, now: float) -> None:
        """`now`: seconds of any clock, the same one in all methods."""
        self._left, self._at = BURST, now

    def spend(self, size: int, now: float, seconds: float = 0.0) -> float:
        """Count a message.

        Args:
            size: bytes or characters of the message and of its answer.
            now: seconds of the clock.
            seconds: time of work that the message took.

        Returns:
            Seconds until the next message may be taken.
        """
        cost = 1 + size / BYTES + PER_S * seconds / SHARE
        self._left = min(BURST, self._left + PER_S * (now - self._at)) - cost
        self._at = now
        return max(0.0, -self._left / PER_S)


class Comers:
    """Counts new connections of the last second."""

    def __init__(self, per_s: float) -> None:
        """`per_s`: most of them."""
        self._per_s = per_s
        self._came: list[float] = []

    def are_too_many(self, now: float) -> bool:
        """Count one more, which came at `now` seconds of any clock; whether it is one too many,
        and then it does not count: some of those who try again get in."""
        self._came = [t for t in self._came if t > now - 1]
        if len(self._came) >= self._per_s:
            return True
        self._came.append(now)
        return False
