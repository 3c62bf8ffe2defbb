"""How the reply to a turn is begun: with functions that it may call, or without."""

from assistant.calling import Calling
from assistant.config import GenerationConfig
from assistant.errors import ContextFullError
from assistant.llm.llm import LlmCache
from assistant.model import Salmonn
from assistant.open_turn import OpenTurn
from assistant.prompt.items import System
from assistant.reading import Reading
from assistant.reply import Reply
from assistant.tools.grammar import Writing


class Answering:
    """Begins the replies of one conversation.

    Small LLMs that read of functions call them for most of what is said, and talk worse. So where a
    router tells when our own are needed, the LLM reads of them apart, for that turn alone; if it
    calls none then, what it says without them counts. Both readings begin while the user speaks;
    what is chosen depends on what was said in the end, and on nothing that was read before.
    """

    def __init__(self, model: Salmonn, calling: Calling, reading: Reading) -> None:
        """Args:
        model: shared weights.
        calling: what may be called.
        reading: what the LLM has read.
        """
        self._llm, self._calling, self._reading = model.llm, calling, reading
        if calling.router is not None:
            reading.ready(self._system(""))  # so that no reply waits for it

    def _system(self, instruction: str) -> System:
        return System(instruction, self._calling.tools, self._calling.offer)

    def read_ahead(self, turn: OpenTurn, instruction: str) -> bool:
        """Read what was said so far as if a reply came next and, where that would call a function,
        apart, too: when the turn is over, only the words are left that came since.

        Args:
            turn: it.
            instruction: what is asked about every turn.

        Returns:
            Whether it was read; not where no router tells when functions are needed.
        """
        calling, reading = self._calling, self._reading
        if calling.router is None or turn.tools is not None or not turn.item.transcript:
            return False
        try:
            reading.show_asked(turn)
        except ContextFullError:
            return False
        if calling.needed(turn, reading.context.cache):
            self._apart(turn, instruction)
        return True

    def begin(self, turn: OpenTurn, generation: GenerationConfig, instruction: str) -> Reply:
        """A reply to a turn whose prompt was read.

        Args:
            turn: it.
            generation: how tokens are chosen.
            instruction: what is asked about every turn.
        """
        calling, cache = self._calling, self._reading.context.cache
        if calling.router is None or turn.tools is not None:
            return self._reply(turn, generation, cache, calling.writing(turn))
        needed = calling.needed(turn, cache)
        apart = self._apart(turn, instruction) if needed else None
        if apart is not None and (writing := calling.begins(turn, needed, apart)) is not None:
            return self._reply(turn, generation, apart, writing)
        return self._reply(turn, generation, cache, calling.telling())

    def tell(self, turn: OpenTurn, generation: GenerationConfig, instruction: str) -> Reply:
        """A reply that goes on after calls, whether or not it reads what came of them
        (`Calling.reads`); see `begin`.

        Raises:
            ContextFullError: what came of them has no room.
        """
        calling, reading = self._calling, self._reading
        reads, routed = calling.reads(turn, turn.done), calling.router is not None
        if reads and routed and turn.tools is None:
            cache = reading.apart(turn, self._system(instruction))
        else:
            reading.show_asked(turn, called=reads)
            cache = reading.context.cache
        return self._reply(turn, generation, cache, calling.telling())

    def _apart(self, turn: OpenTurn, instruction: str) -> LlmCache | None:
        """A cache in which the LLM reads of our own functions; None: it has no room."""
        try:
            return self._reading.apart(turn, self._system(instruction))
        except ContextFullError:
            return None

    def _reply(
        self,
        turn: OpenTurn,
        generation: GenerationConfig,
        cache: LlmCache,
        writing: Writing | None,
    ) -> Reply:
        end = self._reading.closing  # has to fit where the reply is kept
        return Reply(self._llm, cache, generation, turn.most, end, writing)
