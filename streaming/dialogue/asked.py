"""What asks for a reply, and what it tells the model's side of a conversation."""

from streaming.controls import Ask, Commit
from streaming.dialogue.listener import Listener

Asked = Ask | Commit
"""What asks for a reply."""


def open_turn(listener: Listener, since: int, spoken_from: int | None, asked: Asked | None) -> int:
    """Begin a turn; windows that wait to be put into the KV cache.

    Args:
        listener: hears and answers.
        since: first sample that it is about.
        spoken_from: first sample of its utterance; None: nobody spoke.
        asked: what asked for it, in which words; None: someone spoke.

    Raises:
        ContextFullError: the LLM's context has no room for it.
    """
    match asked:
        case Ask(text=text, alone=alone):
            return listener.open(since, text, spoken_from, typed=True, alone=alone)
        case Commit(instruction=instruction):
            return listener.open(since, instruction, spoken_from)
        case None:
            return listener.open(since, spoken_from=spoken_from)


def require(listener: Listener, asked: Asked) -> None:
    """Have the open turn's reply made as was asked, where that is not as the session has it."""
    if not asked.is_plain:
        most, tools, choice = asked.max_new_tokens, asked.tools, asked.tool_choice
        listener.require(most, kept=asked.kept, tools=tools, tool_choice=choice)
