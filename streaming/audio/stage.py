"""The protocol of stages, such as the decoder of input bytes and the endpointer."""

from typing import Protocol, TypeVar

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out")


class Stage(Protocol[In, Out]):
    """Turns a stream of `In` into a stream of `Out`.

    The output depends on the input, never on how that was cut or when it came:

        chunking   push(a) + push(b) gives what push(a + b) gives
        flush      emits what is pending; then the stage is as new
        reset      drops what is pending; then the stage is as new

    Outputs are lists: a caller that stops reading early must not leave a stage half-updated.
    """

    def push(self, chunk: In, /) -> list[Out]:
        """Take the next piece of input; returns the output that became certain."""

    def flush(self) -> list[Out]:
        """End the input; returns the pending output."""

    def reset(self) -> None:
        """Start anew, without the pending output."""
