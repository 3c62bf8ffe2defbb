"""What the server and its replicas say to each other: messages on a socket of this machine's user.

A message is a tuple that begins with its name, pickled. The model, which both have, is not sent: a
message only says that it is meant.
"""

import io
import pickle
import struct
from typing import Any

from assistant.model import Salmonn

HEAD = struct.Struct("!I")
"""Before each message: its length."""

MODEL = "model"

Message = tuple[Any, ...]


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> str | None:
        """The name of what both sides have."""
        return MODEL if isinstance(obj, Salmonn) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, model: Salmonn | None) -> None:
        super().__init__(io.BytesIO(data))
        self._model = model

    def persistent_load(self, pid: object) -> Salmonn:
        """What both sides have, by its name."""
        if pid != MODEL or self._model is None:
            raise pickle.UnpicklingError(f"there is no {pid} here")
        return self._model


def packed(*message: Any) -> bytes:
    """The bytes of a message, with their length before them."""
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(message)
    return HEAD.pack(file.tell()) + file.getvalue()


def unpacked(data: bytes, model: Salmonn | None = None) -> Message:
    """The message that was packed; `model`: the one that is meant in it."""
    message: Message = _Unpickler(data, model).load()
    return message
