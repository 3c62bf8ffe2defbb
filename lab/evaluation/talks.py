"""Everyday talks asked of every system, and counted kind by kind."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from assistant.config import AUTO, GenerationConfig, PromptConfig
from assistant.llm.llm import Llm
from assistant.prompt.prompt import Prompt
from assistant.prompt.words import in_words
from lab.evaluation.everyday import QUESTIONS, Talk, claims_act, talks
from lab.evaluation.recorded import Recorded
from lab.evaluation.run import Answered, Result
from lab.evaluation.sets import EvalSet
from lab.evaluation.systems import Transcriber
from lab.manifest import Row

SET = "everyday"
"""Its name in `salmonn-live eval --sets`."""

SINGLE = ("facts", "sums", "words", "advice", "talk", "unknown", "commands")
"""Kinds of questions that are one sentence and stand alone."""


BARE = PromptConfig(
    template=AUTO,
    system="You are a helpful voice assistant. Answer in one short sentence.",
    stop=[],
)
"""What an LLM is told that knows nothing of this program."""


def every(most: int, kinds: Sequence[str] | None = None, file: Path = QUESTIONS) -> list[Talk]:
    """Talks of a file, of these kinds or of all: all of them, or `most` taken evenly."""
    found = [talk for talk in talks(file) if kinds is None or talk.kind in kinds]
    count = min(most, len(found))
    return [found[place * len(found) // count] for place in range(count)]


class TalkSystem(Protocol):
    """Something that one can talk to."""

    name: str

    def replies(self, recorded: Recorded) -> list[str]:
        """The reply of each turn."""


Reads = Callable[[Recorded, int], str]
"""What stands for what the user says in a turn, by its place in the talk."""


class Reader:
    """An LLM that is given texts, and remembers the turns before."""

    def __init__(
        self,
        name: str,
        llm: Llm,
        prompt: Prompt,
        instruction: str,
        generation: GenerationConfig,
        reads: Reads,
    ) -> None:
        """Args:
        name: in tables.
        llm: with the adapters or without.
        prompt: what stands around a turn.
        instruction: what is asked about every turn.
        generation: greedy.
        reads: what stands in the place of what is heard.
        """
        self.name = name
        self._llm, self._prompt, self._instruction = llm, prompt, instruction
        self._generation, self._reads = generation, reads
        self._end = [llm.end_id, *([] if prompt.config.template == AUTO else llm.ids("\n"))]
        self._begun = llm.cache()  # with what stands before all turns
        self._begun.extend(llm.embed(prompt.prefix(llm, instruction)))

    def replies(self, recorded: Recorded) -> list[str]:
        """Each after all that was said before it."""
        llm, cache = self._llm, self._begun.fork()
        before, after = self._prompt.turn(llm, self._instruction)
        found: list[str] = []
        for place in range(len(recorded.turns)):
            asked = llm.ids(self._reads(recorded, place))
            cache.extend(llm.embed([*before, *asked, *after]))
            tokens = list(cache.tokens(self._generation))
            cache.extend(llm.embed(self._end))
            found.append(str(llm.tokenizer.decode(tokens)).strip())
        return found


def true_words(words: bool) -> Reads:
    """What is really said, and which sound is really heard before it.

    Args:
        words: as the LLM of a preset with `reads: words` is told of it.
    """

    def reads(recorded: Recorded, place: int) -> str:
        said = " ".join(recorded.talk.turns[place].ask)
        sound = recorded.talk.sound if place == 0 else None
        if words:
            return in_words("none" if sound is None else f"{sound}, 3 seconds ago", said)
        return said if sound is None else f"({sound}) {said}"

    return reads


def transcribed(transcriber: Transcriber, words: bool) -> Reads:
    """What Whisper's decoder reads from the whole turn, once it is over."""

    def reads(recorded: Recorded, place: int) -> str:
        row = Row("", "")
        said = transcriber.answer(row, recorded.turns[place], "")
        return in_words("none", said) if words else said

    return reads


def judge(
    recorded: Iterable[Recorded], systems: Sequence[TalkSystem], step: Callable[[], None]
) -> list[Result]:
    """Ask all systems everything.

    Args:
        recorded: what is asked.
        systems: who is asked.
        step: called after each talk.

    Returns:
        For each system the share of right answers of each kind and of all single questions, and of
        the orders and questions after which it claims an act, though it can do nothing.
    """
    answers: dict[str, list[Answered]] = {system.name: [] for system in systems}
    for talk in recorded:
        for system in systems:
            replies = system.replies(talk)
            answers[system.name] += [
                Answered(_row(talk, place), reply, talk.talk.turns[place].is_right(reply))
                for place, reply in enumerate(replies)
            ]
        step()
    kinds = list(dict.fromkeys(a.row.task for found in answers.values() for a in found))
    parts: list[tuple[str, str, Sequence[str]]] = [(kind, kind, [kind]) for kind in kinds]
    parts.append(("single", "single questions", SINGLE))
    results = []
    for part, title, which in parts:
        chosen = EvalSet(f"{SET}-{part}", f"everyday: {title}", "right", [], Path(), ())
        for name, found in answers.items():
            of_part = [a for a in found if a.row.task in which]
            results.append(Result(chosen, name, _percent(a.right for a in of_part), of_part))
    title = "everyday: claims an act"
    acts = EvalSet(f"{SET}-acts", title, "claims", [], Path(), ())
    for name, found in answers.items():
        of_orders = [a for a in found if a.row.task in ("commands", "unknown")]
        results.append(
            Result(acts, name, _percent(claims_act(a.text) for a in of_orders), of_orders)
        )
    return [result for result in results if result.answers]


def _percent(found: Iterable[bool | None]) -> float:
    values = [bool(value) for value in found]
    return 100 * sum(values) / max(1, len(values))


def _row(recorded: Recorded, place: int) -> Row:
    asked = recorded.talk.turns[place]
    if asked.unknown:
        rule = "that it cannot know"
    else:
        rule = "no act" if asked.no_act else " or ".join(asked.any)
    return Row(recorded.files[place], answer="", text=" ... ".join(asked.ask), key=rule,
               task=recorded.talk.kind, speaker=recorded.voice)  # fmt: skip
