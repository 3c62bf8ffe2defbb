"""One answer, as clients see it."""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]

REASONS = {
    "limit": "max_output_tokens",
    "interrupted": "turn_detected",
    "cancelled": "client_cancelled",
}
"""Why an answer was not completed, by how it ended."""


UNASKED = "unasked"
"""The `ref` of cancels that belong to something else: where there is nothing left to cancel, that
is not told."""


@dataclass(slots=True)
class Response:
    """An answer that was asked for, or is being given."""

    id: str
    item_id: str
    in_conversation: bool
    metadata: dict[str, str] | None
    limit: int | Literal["inf"]
    """Of its tokens, as the client has it."""

    asked_by: str | None = None
    """The client event that asked for it."""

    about: list[str] = field(default_factory=list)
    """Items whose text it answers."""

    aloud: bool | None = None
    """Whether it is spoken; None: as the session has it when it begins."""

    told: bool = False
    """The client knows that it was asked for."""

    turn: int | None = None
    """What the session numbers its turn with, once it is being given."""

    windows: int = 0
    text_tokens: int = 0
    cached: int = 0
    """Windows that were in the KV cache before speech ended, or when it was asked for."""

    def usage(self, output_tokens: int, per_window: int) -> Json:
        """Tokens that went in and came out; `per_window`: audio tokens of a window."""
        audio, text = self.windows * per_window, self.text_tokens
        cached = self.cached * per_window
        return {
            "total_tokens": audio + text + output_tokens,
            "input_tokens": audio + text,
            "output_tokens": output_tokens,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": cached,
                "cached_tokens_details": {
                    "text_tokens": 0,
                    "audio_tokens": cached,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": output_tokens, "audio_tokens": 0},
        }

    def resource(
        self,
        status: str,
        conversation: str,
        details: Json | None = None,
        output: list[Json] | None = None,
        usage: Json | None = None,
    ) -> Json:
        """The `response` of server events; `conversation` is the session's."""
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": output or [],
            "output_modalities": ["audio" if self.aloud else "text"],
            "conversation_id": conversation if self.in_conversation else None,
            "max_output_tokens": self.limit,
            "metadata": self.metadata,
            "usage": usage,
        }
