"""How long the first sound of an answer takes over WebRTC, and over the socket.

    python -m bench.webrtc [--preset tiny] [--rounds 10]

On loopback, with a server of its own: a question of the demo is said in real time, over one and the
other in turn. The time runs from the last sample of speech until the first sound of the answer
could be heard, if it was played when it came. A browser holds back some of what comes over either.
"""

import argparse
import asyncio
import base64
import json
import statistics
import time
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from numpy.typing import NDArray

from bench.target import Target, server
from bench.wires import client, speech
from streaming.server.rtc.hearing import RATE, Hearing

FRAME, IN_RATE, OUT_RATE = 320, 16_000, 24_000
LOUD = 600
"""Of samples: louder ones are speech, and not the noise of a codec."""

QUESTION_S, TAIL_S = 3, 4.0
"""Seconds of the recording that are said, and of silence after them."""

SESSION = {
    "type": "realtime",
    "max_output_tokens": 8,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": IN_RATE},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 320},
        }
    },
}


class Question:
    """The recording, frame by frame at its pace."""

    def __init__(self) -> None:
        samples = np.frombuffer(speech(), "<i2")[: QUESTION_S * IN_RATE]
        last = int(np.flatnonzero(np.abs(samples) > LOUD)[-1])
        self._pcm = samples[:last].tobytes() + bytes(2 * round(TAIL_S * IN_RATE))
        self._said_s = last / IN_RATE
        self._begun = time.monotonic()
        self._given = 0

    @property
    def over_at(self) -> float:
        """When the last sample of speech was said."""
        return self._begun + self._said_s

    async def frame(self) -> bytes:
        """The next frame, when all of it was said; silence after the end."""
        self._given += 1
        await asyncio.sleep(max(0.0, self._begun + 0.02 * self._given - time.monotonic()))
        at = 2 * FRAME * (self._given - 1)
        return self._pcm[at : at + 2 * FRAME].ljust(2 * FRAME, b"\0")


class Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.question: Question | None = None
        self._sent = 0

    async def recv(self) -> av.AudioFrame:
        if self.question is None:
            await asyncio.sleep(0.02)
        pcm = bytes(2 * FRAME) if self.question is None else await self.question.frame()
        frame = av.AudioFrame("s16", "mono", FRAME)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.pts = IN_RATE, FRAME * self._sent
        frame.time_base = Fraction(1, IN_RATE)
        self._sent += 1
        return frame


def first_sound(samples: NDArray[np.int16], rate: int) -> float | None:
    """Seconds until the first loud sample."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
    return float(loud[0]) / rate if len(loud) else None


async def over_socket(target: Target) -> float:
    async with client(target.port) as socket:
        await socket.recv()
        await socket.send(json.dumps({"type": "session.update", "session": SESSION}))
        await socket.recv()
        question = Question()

        async def say() -> None:
            while True:
                audio = base64.b64encode(await question.frame()).decode()
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

        saying = asyncio.create_task(say())
        try:
            while True:
                event = json.loads(await socket.recv())
                if event["type"] != "response.output_audio.delta":
                    continue
                samples = np.frombuffer(base64.b64decode(event["delta"]), "<i2")
                if (after := first_sound(samples, OUT_RATE)) is not None:
                    return time.monotonic() + after - question.over_at
        finally:
            saying.cancel()


async def over_webrtc(target: Target) -> float:
    peer, microphone = RTCPeerConnection(RTCConfiguration(iceServers=[])), Microphone()
    peer.addTrack(microphone)
    channel = peer.createDataChannel("oai-events")
    events: asyncio.Queue[Any] = asyncio.Queue()
    channel.on("message", lambda message: events.put_nowait(json.loads(message)))
    heard_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def hear(audio: bytes) -> None:
        after = first_sound(np.frombuffer(audio, "<i2"), RATE)
        if microphone.question is not None and after is not None and not heard_at.done():
            heard_at.set_result(time.monotonic() + after - microphone.question.over_at)

    await peer.setLocalDescription(await peer.createOffer())
    answer = await asyncio.to_thread(_posted, target.port, peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    receiver: Any = peer.getTransceivers()[0].receiver
    receiver._RTCRtpReceiver__jitter_buffer = Hearing(hear)  # sooner than aiortc's own gives it
    await events.get()
    channel.send(json.dumps({"type": "session.update", "session": SESSION}))
    await events.get()
    microphone.question = Question()
    try:
        return await heard_at
    finally:
        await peer.close()


def _posted(port: int, offer: str) -> str:
    address = f"http://127.0.0.1:{port}/v1/realtime/calls"
    headers = {"Content-Type": "application/sdp"}
    request = urllib.request.Request(address, offer.encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return str(answer.read().decode())


async def measure(target: Target, rounds: int) -> None:
    ways: dict[str, Callable[[Target], Any]] = {"socket": over_socket, "WebRTC": over_webrtc}
    found: dict[str, list[float]] = {way: [] for way in ways}
    for n in range(-1, rounds):  # the first one is not counted: everything is new to the server
        for way, ask in ways.items():
            took = 1000 * await asyncio.wait_for(ask(target), 60)
            if n >= 0:
                found[way].append(took)
    print("| | speech end to first sound, ms: median | lowest | highest |\n|---|---|---|---|")
    for way, took in found.items():
        print(f"| {way} | {statistics.median(took):.0f} | {min(took):.0f} | {max(took):.0f} |")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--preset", default="tiny")
    options.add_argument("--rounds", type=int, default=10)
    given = options.parse_args()
    with server(given.preset, "server: { resume_s: 0.0 }") as target:
        asyncio.run(measure(target, given.rounds))


if __name__ == "__main__":
    main()
