"""What stages promise: the decoder of input bytes and the endpointer are such."""

from typing import Protocol, TypeVar

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out")


class Stage(Protocol[In, Out]):
    """Turns a stream of `In` into a stream of `Out`.

    What comes out depends on what was pushed, never on how it was cut or when it came:

        chunking   push(a) + push(b) gives what push(a + b) gives
        flush      emits what is pending; then the stage is as new
        reset      drops what is pending; then the stage is as new

    Outputs are lists: a caller that stops reading early must not leave a stage half-updated.
    """

    def push(self, chunk: In, /) -> list[Out]:
        """Take the next piece of input; return what became certain."""

    def flush(self) -> list[Out]:
        """The input has ended: return what is pending."""

    def reset(self) -> None:
        """Forget everything."""
