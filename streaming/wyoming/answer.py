"""Answers to questions in text, about what was heard when they were asked aloud."""

from collections.abc import Awaitable, Callable

from wyoming.event import Eventable
from wyoming.handle import Handled, HandledChunk, HandledStart, HandledStop, NotHandled

from streaming.controls import Ask, Commit, Control, Write
from streaming.events import Refused, ReplyDelta, ReplyEnded
from streaming.wyoming.place import Place

REF = "question"
NOTHING = "I have nothing to say to that."


def about_heard() -> Control:
    """Asks a session about the utterance that it has read."""
    return Commit(ref=REF, or_ring=True)


def about_text(text: str) -> Control:
    """Asks a session that heard nothing."""
    return Ask(text, REF)


def before(said: list[tuple[str, str]]) -> list[Control]:
    """Puts questions and answers into a session's conversation, before the open turn."""
    pairs = [(Write(question), Write(answer, "assistant")) for question, answer in said]
    return [text for pair in pairs for text in pair]


async def answer(
    place: Place, asked: list[Control], send: Callable[[Eventable], Awaitable[None]]
) -> str:
    """Ask a session, and tell its client the answer: piece by piece, and whole at the end.

    Args:
        place: the session's.
        asked: what asks it.
        send: to the client.

    Returns:
        The answer; empty if there is none.

    Raises:
        WyomingError: the session failed.
    """
    place.give(*asked)
    raw = told = ""
    while True:
        match await place.next():
            case ReplyDelta(text=text):
                raw += text
                if piece := raw.strip()[len(told) :]:
                    if not told:
                        await send(HandledStart())
                    told += piece
                    await send(HandledChunk(piece))
            case ReplyEnded():
                break
            case Refused(why=why):
                await send(NotHandled(why))
                return ""
            case _:
                pass
    if not told:
        await send(NotHandled(NOTHING))
        return ""
    await send(Handled(told))
    await send(HandledStop())
    return told
