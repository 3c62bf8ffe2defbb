"""One replica, at the end of a socket."""

import gc
import socket
import threading
import time
import weakref
from typing import cast

from assistant.model import Salmonn
from streaming.audio.frames import FRAME_BYTES, Frame
from streaming.dialogue.session import Session
from streaming.server.replicas.kept import Kept
from streaming.server.replicas.link import HEAD, packed, unpacked
from streaming.server.replicas.replica import Replica
from tests.streaming.fakes import session

MADE: list[weakref.ref[Session]] = []


def noticed() -> Session:
    made = session(pace=None)
    MADE.append(weakref.ref(made))
    return made


def another() -> Kept:
    """Of a session that had given out more than this one can."""
    kept = Kept()
    kept.put([Frame(0, bytes(FRAME_BYTES))])
    kept.taken, kept.released = 1, 5
    return kept


def test_a_session_that_cannot_go_on_leaves_nothing_behind() -> None:
    ours, theirs = socket.socketpair()
    replica = threading.Thread(target=Replica(theirs, 0, cast(Salmonn, None)).run)
    replica.start()
    try:
        ours.sendall(packed("add", "a", noticed, another()))
        with ours.makefile("rb") as link:
            (length,) = HEAD.unpack(link.read(HEAD.size))
            what, name, *_ = unpacked(link.read(length))
        assert (what, name) == ("failed", "a")
        for _ in range(100):  # its thread is about to forget it
            gc.collect()
            if MADE[0]() is None:
                break
            time.sleep(0.01)
        assert MADE[0]() is None
    finally:
        ours.close()
        replica.join()
        theirs.close()
