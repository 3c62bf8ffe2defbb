"""A caller: aiortc as a client, with a microphone that says what a test wants, and an ear."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from numpy.typing import NDArray

from assistant.rates import SAMPLE_RATE
from streaming.audio.frames import FRAME_SAMPLES
from streaming.server.rtc.hearing import Hearing
from tests.streaming.server.test_http import asking, http

Json = dict[str, Any]
CALLS = "/v1/realtime/calls"


def tone(script: str) -> bytes:
    """`"..SSS.."` as `pcm` has it, with a tone for speech: Opus takes away what is constant."""
    at = np.arange(len(script) * FRAME_SAMPLES)
    loud = np.repeat([mark == "S" for mark in script], FRAME_SAMPLES)
    made = 16_000 * np.sin(2 * np.pi * 400 * at / SAMPLE_RATE) * loud
    return bytes(made.astype("<i2").tobytes())


class Microphone(MediaStreamTrack):
    """Says what it is given, at 16 kHz, and is silent otherwise."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.said = bytearray()
        self._sent = 0
        self._begun = asyncio.get_running_loop().time()

    def say(self, script: str) -> None:
        self.said += tone(script)

    async def recv(self) -> av.AudioFrame:
        wait = self._begun + 0.02 * self._sent - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, wait))
        pcm = bytes(self.said[: 2 * FRAME_SAMPLES]).ljust(2 * FRAME_SAMPLES, b"\0")
        del self.said[: 2 * FRAME_SAMPLES]
        frame = av.AudioFrame("s16", "mono", FRAME_SAMPLES)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.pts = SAMPLE_RATE, FRAME_SAMPLES * self._sent
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._sent += 1
        return frame


class Caller:
    def __init__(self, host: str, headers: dict[str, str] | None = None) -> None:
        self.host, self.headers = host, headers or {}
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.peer.addTrack(self.microphone)
        self.channel = self.peer.createDataChannel("oai-events")
        self.channel.on("message", self._take)
        self.opened = asyncio.Event()
        self.channel.on("open", self.opened.set)
        self.over = asyncio.Event()
        self.channel.on("close", self.over.set)
        self.events: asyncio.Queue[Json] = asyncio.Queue()
        self.heard: list[NDArray[np.int16]] = []
        """At 48 kHz, since the call began."""

        self.location = ""

    def _take(self, message: str) -> None:
        self.events.put_nowait(json.loads(message))

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return str(self.peer.localDescription.sdp)

    async def call(self) -> None:
        offer = await self.offer()
        status, head, body = await posted(self.host, offer.encode(), **self.headers)
        assert (status, head["content-type"]) == (201, "application/sdp"), body
        self.location = head["location"]
        await self.connect(body.decode())

    async def connect(self, answer: str) -> None:
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        receiver: Any = self.peer.getTransceivers()[0].receiver
        # sooner than aiortc's own would give it
        receiver._RTCRtpReceiver__jitter_buffer = Hearing(self._hear)
        await self.opened.wait()

    def _hear(self, audio: bytes) -> None:
        self.heard.append(np.frombuffer(audio, "<i2"))

    @property
    def sound(self) -> NDArray[np.int16]:
        return np.concatenate([np.zeros(0, np.int16), *self.heard])

    def say(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> list[Json]:
        events: list[Json] = []
        while not events or events[-1]["type"] != kind:
            events.append(await self.events.get())
        return events

    async def configure(self, **changes: Any) -> Json:
        created = (await self.until("session.created"))[-1]["session"]
        detection = {"type": "server_vad", "silence_duration_ms": 160}
        audio = {"input": {"turn_detection": detection}}
        self.say("session.update", session={"type": "realtime", "audio": audio, **changes})
        await self.until("session.updated")
        return created  # type: ignore[no-any-return]


@asynccontextmanager
async def calling(host: str, **headers: str) -> AsyncIterator[Caller]:
    caller = Caller(host, headers)
    try:
        await caller.call()
        yield caller
    finally:
        await caller.peer.close()


async def offered() -> str:
    """An offer of a peer that is gone."""
    caller = Caller("")
    offer = await caller.offer()
    await caller.peer.close()
    return offer


async def posted(
    host: str, body: bytes, path: str = CALLS, kind: str = "application/sdp", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    size = str(len(body))
    head = asking("POST", path, **{"Content_Type": kind, "Content_Length": size, **headers})
    return await http(host, head + body)


def form(**parts: str) -> tuple[bytes, str]:
    """A form, and its `Content-Type`."""
    made = "".join(
        f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in parts.items()
    )
    return f"{made}--cut--\r\n".encode(), "multipart/form-data; boundary=cut"
