"""Questions that are not answered yet, and when they are asked."""

from collections import deque
from dataclasses import dataclass, replace

from clients.realtime import Json, Session

TOO_EARLY = "conversation_already_has_active_response"
"""Code of the error about a question that met an answer which began at the same time."""

CANCEL = "cancel"
"""`event_id` of what takes a question back: an error about it says that it is over."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to be answered."""

    text: str | None = None
    """As it was typed; None: what was said."""

    item: str | None = None
    """Id of its message in the conversation, once it was sent."""


class Questions:
    """Those of one session. One answer of a conversation is under way at a time: what is asked
    meanwhile waits here. What is asked while someone speaks waits at the server, until they were
    answered.
    """

    def __init__(self, session: Session) -> None:
        """`session`: where they are asked."""
        self._session = session
        self._waiting: deque[Question] = deque()
        self._sent: Question | None = None  # and no answer to it is under way yet
        self._count = 0  # of questions that were sent
        self._under_way: dict[str, Question] = {}  # by the ids of their responses
        self._given: str | None = None  # of these, the one whose answer is being given
        self._held = False
        self._unasked: set[str] = set()  # numbers of questions that were refused

    @property
    def waiting(self) -> list[str]:
        """Typed questions whose answers have not begun, the next one first."""
        asked = [question for name, question in self._under_way.items() if name != self._given]
        sent = [] if self._sent is None else [self._sent]
        return _texts(*asked, *sent, *self._waiting)

    async def ask(self, text: str) -> None:
        """Ask a typed question, after those before it."""
        self._waiting.append(Question(text))
        await self._next()

    async def hold(self) -> None:
        """The user talks until `release`: cancel what is being answered, and ask nothing. What was
        typed is asked after it.
        """
        self._held = True
        for name in [*self._under_way]:  # which changes meanwhile
            await self._cancel(name)

    async def release(self) -> None:
        """What the user said is the next question."""
        self._held = False
        self._waiting.appendleft(Question())
        await self._next()

    async def take(self, event: Json) -> list[str]:
        """Follow an event of the session.

        Returns:
            Typed questions that wait no longer: they are answered now, or never.
        """
        match event:
            case {"type": "response.created", "response": {"id": str(name), **about}}:
                await self._created(name, about.get("metadata") or {})
            case {"type": "response.output_item.added", "response_id": str(name)}:
                self._given = name
                return _texts(self._under_way.get(name, Question()))
            case {"type": "response.done", "response": {"id": str(name), **about}}:
                return await self._done(name, about.get("status"))
            case {"type": "error", "error": {"event_id": str(name), "code": code}}:
                return await self._refused(name, code)
            case {"type": "salmonn.restarted"}:
                return self._forget()
        return []

    async def _created(self, name: str, metadata: object) -> None:
        number = metadata.get("question") if isinstance(metadata, dict) else None
        if number in self._unasked:  # its message was refused, so this would be about nothing
            await self._cancel(name)
        question = Question()
        if self._sent is not None and metadata == {"question": str(self._count)}:
            question, self._sent = self._sent, None
        self._under_way[name] = question
        if self._held:
            await self._cancel(name)  # it began as the user did

    async def _done(self, name: str, status: object) -> list[str]:
        question = self._under_way.pop(name, Question())
        over = _texts(question)
        if name == self._given:
            self._given, over = None, []
        elif over and status == "cancelled":
            await self._take_back(question)  # by `hold`
            over = []
        await self._next()
        return over

    async def _refused(self, event_id: str, code: object) -> list[str]:
        question = self._sent
        if question is None or event_id != f"ask_{self._count}":
            return []
        self._sent = None
        if code == TOO_EARLY:
            await self._take_back(question)
            return []
        self._unasked.add(str(self._count))
        await self._next()
        return _texts(question)

    def _forget(self) -> list[str]:
        """The session is another one, where nothing was asked."""
        forgotten = self.waiting
        self._waiting.clear()
        self._under_way.clear()
        self._sent = self._given = None
        return forgotten

    async def _next(self) -> None:
        if self._held or self._sent is not None or self._under_way or not self._waiting:
            return
        question = self._waiting.popleft()
        self._count += 1
        name, number = f"ask_{self._count}", str(self._count)
        self._sent = (
            question if question.text is None else replace(question, item=f"typed_{number}")
        )
        if question.text is not None:
            content = [{"type": "input_text", "text": question.text}]
            item = {"type": "message", "role": "user", "content": content, "id": self._sent.item}
            await self._session.send("conversation.item.create", event_id=name, item=item)
        response: Json = {"metadata": {"question": number}}
        await self._session.send("response.create", event_id=name, response=response)

    async def _take_back(self, question: Question) -> None:
        """It is asked again, after what comes before it now."""
        self._waiting.appendleft(Question(question.text))
        if question.item is not None:
            item = {"item_id": question.item}
            await self._session.send("conversation.item.delete", event_id=CANCEL, **item)

    async def _cancel(self, name: str) -> None:
        await self._session.send("response.cancel", event_id=CANCEL, response_id=name)


def _texts(*questions: Question) -> list[str]:
    return [question.text for question in questions if question.text is not None]
