"""How many live streams one worker keeps up with, every window on time.

    python -m bench.streams [--seconds 30] [--most 16] [--json FILE]

N sessions share a model and a scheduler, and are fed speech and pauses at the audio's pace by a
clock that is simulated: it moves by what each step took, so the figure is that of a machine with
nothing else to do. A window is on time when it is in the KV cache before the next block is due.
N grows until one is late. Replies are spoken, and count as work.
"""

import time
from dataclasses import dataclass, field

import numpy as np
import torch

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.prompt.prompt import tasks
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from bench.common import Clip, keep, parser, read_clips, show
from streaming.audio.frames import FRAME_SAMPLES
from streaming.build import build_session
from streaming.config import Config
from streaming.config_file import load_config
from streaming.dialogue.scheduler import Scheduler
from streaming.dialogue.session import Session
from streaming.events import AudioPrefilled, Event, ReplyDelta, ReplyStarted

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE


@dataclass(slots=True)
class Stream:
    """One speaker, who began `phase` seconds after the first."""

    session: Session
    pcm: bytes
    phase: float
    fed: int = 0
    """Frames."""

    asked: float | None = None
    """When the reply that has no text yet was asked for."""

    late: list[float] = field(default_factory=list)
    """Seconds from the moment a block was complete until its windows were in the KV cache."""

    first: list[float] = field(default_factory=list)
    """Seconds from the endpoint to the first text."""

    @property
    def due(self) -> float:
        """When the next frame is there."""
        return self.phase + (self.fed + 1) * FRAME_S

    @property
    def over(self) -> bool:
        return self.fed * FRAME_SAMPLES * 2 >= len(self.pcm)

    def note(self, event: Event, now: float) -> None:
        match event:
            case AudioPrefilled(at):
                self.late.append(now - self.phase - at / SAMPLE_RATE)
            case ReplyStarted():
                self.asked = self.phase + self.session.heard / SAMPLE_RATE
            case ReplyDelta() if self.asked is not None:
                self.first.append(now - self.asked)
                self.asked = None


def speech(clips: list[Clip], seconds: float, seed: int) -> Samples:
    """Utterances with pauses long enough for endpoints and answers."""
    rng = np.random.default_rng(seed)
    parts: list[Samples] = []
    while sum(map(len, parts)) < seconds * SAMPLE_RATE:
        pause = rng.standard_normal(int(rng.uniform(1.0, 4.0) * SAMPLE_RATE)) * 0.003
        parts += [clips[rng.integers(len(clips))].samples, pause.astype(np.float32)]
    whole = int(seconds * SAMPLE_RATE) // FRAME_SAMPLES * FRAME_SAMPLES
    return np.concatenate(parts)[:whole]


def run(model: Salmonn, config: Config, clips: list[Clip], n: int, seconds: float) -> list[Stream]:
    """`n` streams at once for so many seconds of audio each."""
    block_s = model.ear.spans.block / SAMPLE_RATE
    scheduler: Scheduler[int] = Scheduler(most=n)
    streams = []
    for i in range(n):  # blocks of different sessions end at different times
        session = build_session(model, config, tasks()["listen"])
        pcm = recording.to_pcm16(speech(clips, seconds, i))
        streams.append(Stream(session, pcm, phase=i * block_s / n))
        scheduler.add(i, session)
    now = 0.0
    while True:
        for stream in streams:
            while not stream.over and stream.due <= now:
                at = stream.fed * FRAME_SAMPLES * 2
                stream.session.receive(stream.pcm[at : at + FRAME_SAMPLES * 2])
                stream.fed += 1
        begin = time.perf_counter()
        chosen = scheduler.next()
        if chosen is not None:
            name, most_urgent = chosen
            events = most_urgent.step()
            now += time.perf_counter() - begin
            assert isinstance(events, list)
            for event in events:
                streams[name].note(event, now)
            continue
        coming = [stream.due for stream in streams if not stream.over]
        if not coming:
            return streams
        now = max(now, min(coming))


def main() -> None:
    options = parser(__doc__, clips=40)
    options.add_argument("--seconds", type=float, default=30.0, help="of audio per stream")
    options.add_argument("--most", type=int, default=16, help="streams at most")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config(), "nano")
    model = load(config.model)
    block_s = model.ear.spans.block / SAMPLE_RATE
    clips = read_clips(chosen)
    run(model, config, clips, 1, 8.0)  # warm up
    rows, largest = [], 0
    for n in range(1, chosen.most + 1):
        streams = run(model, config, clips, n, chosen.seconds)
        late = [x for stream in streams for x in stream.late]
        first = [x for stream in streams for x in stream.first]
        if not late:
            raise SystemExit("no window was heard; give more --seconds")
        rows.append(
            {"streams": n, "windows' blocks": len(late),
             "in the KV cache after, ms, median": 1000 * float(np.median(late)),
             "the latest, ms": 1000 * max(late),
             "first text, ms, median": 1000 * float(np.median(first)) if first else float("nan"),
             "on time": max(late) < block_s}
        )  # fmt: skip
        if max(late) >= block_s:
            break
        largest = n
    show(f"Live streams, {chosen.seconds:.0f} s each, blocks of {block_s:.2f} s", rows)
    show("", [{"streams with every window on time": largest}])
    keep(chosen, {"rows": rows, "largest": largest})


if __name__ == "__main__":
    main()
