"""Draws a replay as a picture: what was heard, and when work was done.

Steps are laid out as one worker would do them live: each begins when its audio has arrived and the
step before it is done, and takes as long as it was measured to take.
"""

from dataclasses import dataclass
from html import escape

import numpy as np

from assistant.rates import SAMPLE_RATE
from streaming.dialogue.work import Work
from streaming.events import Caption, ReplyDelta, ReplyEnded, SpeechEnded, SpeechStarted
from streaming.instruments.replay import Step

PIXELS_PER_SECOND = 110
LEFT = 90
"""Pixels for the names of the lanes."""

LANES = {"sound": 0, "speech": 60, "listen": 100, "prefill": 130, "reply": 160, "captions": 190}
HEIGHT = 275
RIGHT = 250
"""Pixels for text after the end of the recording."""

LEAST_MS = 0.5
"""Duration of the shortest step that is drawn."""

COLOURS = {
    Work.LISTEN: ("listen", "#4477aa"),
    Work.CONTROL: ("listen", "#4477aa"),
    Work.ENCODE: ("listen", "#66ccee"),
    Work.PREFILL: ("prefill", "#228833"),
    Work.DRAFT: ("prefill", "#117733"),
    Work.ASK: ("prefill", "#228833"),
    Work.DECODE: ("reply", "#cc6677"),
    Work.VOICE: ("reply", "#aa4499"),
    Work.CAPTION: ("captions", "#bbbbbb"),
    Work.TIDY: ("prefill", "#bbbbbb"),
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A step with its begin and end, in seconds from the start of the recording."""

    step: Step
    begin: float
    end: float


def lay_out(steps: list[Step]) -> list[Placed]:
    """The times at which each step would have been done live."""
    placed, now = [], 0.0
    for step in steps:
        begin = max(now, step.at / SAMPLE_RATE)
        now = begin + step.seconds
        placed.append(Placed(step, begin, now))
    return placed


def draw(steps: list[Step], pcm: bytes) -> str:
    """The picture, as SVG.

    Args:
        steps: from `replay`.
        pcm: the recording, 16 kHz, 16-bit little-endian, mono.
    """
    placed = lay_out(steps)
    length = max([len(pcm) / 2 / SAMPLE_RATE, *(p.end for p in placed)])
    width = LEFT + round(length * PIXELS_PER_SECOND) + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
        *_grid(length),
        *_sound(pcm),
        *_speech(placed),
        *(_bar(p) for p in placed if 1000 * p.step.seconds >= LEAST_MS),
        *_texts(placed),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(seconds: float) -> float:
    return round(LEFT + seconds * PIXELS_PER_SECOND, 1)


def _grid(length: float) -> list[str]:
    names = [f'<text x="4" y="{y + 16}" fill="#444">{name}</text>' for name, y in LANES.items()]
    seconds = [
        f'<line x1="{_x(s)}" y1="0" x2="{_x(s)}" y2="{HEIGHT - 18}" stroke="#eee"/>'
        f'<text x="{_x(s)}" y="{HEIGHT - 4}" fill="#888" text-anchor="middle">{s} s</text>'
        for s in range(int(length) + 1)
    ]
    return names + seconds


def _sound(pcm: bytes) -> list[str]:
    samples = np.abs(np.frombuffer(pcm, "<i2").astype(np.float32)) / 32768
    hop = SAMPLE_RATE // PIXELS_PER_SECOND
    peaks = [float(samples[i : i + hop].max()) for i in range(0, len(samples), hop)]
    middle = LANES["sound"] + 28
    path = " ".join(
        f"M{_x(i * hop / SAMPLE_RATE)} {middle - 26 * p:.1f}v{52 * p:.1f}"
        for i, p in enumerate(peaks)
    )
    return [f'<path d="{path}" stroke="#999" stroke-width="1"/>']


def utterances(placed: list[Placed]) -> list[tuple[float, float, float]]:
    """Begin, end and decided endpoint of each utterance that ended, in seconds."""
    found, begun = [], 0
    for event in (e for p in placed for e in p.step.events):
        if isinstance(event, SpeechStarted):
            begun = event.at
        elif isinstance(event, SpeechEnded):
            begin, end, decided = (t / SAMPLE_RATE for t in (begun, event.at, event.decided_at))
            found.append((begin, end, decided))
    return found


def _speech(placed: list[Placed]) -> list[str]:
    found = []
    y = LANES["speech"] + 6
    for begun, end, decided in utterances(placed):
        for first, last, colour in ((begun, end, "#ddaa33"), (end, decided, "#f3e0b0")):
            x, width = _x(first), _x(last) - _x(first)
            found.append(f'<rect x="{x}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>')
    return found


def _bar(placed: Placed) -> str:
    lane, colour = COLOURS[placed.step.work]
    x, y = _x(placed.begin), LANES[lane] + 4
    width = max(1.0, (placed.end - placed.begin) * PIXELS_PER_SECOND)
    told = f"{placed.step.work.value} {1000 * placed.step.seconds:.1f} ms"
    return (
        f'<rect x="{x}" y="{y}" width="{width:.1f}" height="18" fill="{colour}" '
        f'fill-opacity="0.85"><title>{told}</title></rect>'
    )


def _texts(placed: list[Placed]) -> list[str]:
    """The text of replies, placed where their first text came, and captions above them."""
    found: list[str] = []
    reply, caption, begun = "", "", 0.0
    for place in placed:
        for event in place.step.events:
            match event:
                case ReplyDelta(text):
                    begun = begun if reply else place.end
                    reply += text
                case Caption(settled=text):
                    caption += text
                case ReplyEnded():
                    y, x = LANES["captions"] + 54, _x(begun)
                    found.append(f'<text x="{x}" y="{y}">{escape(reply)}</text>')
                    found.append(f'<text x="{x}" y="{y - 14}" fill="#777">{escape(caption)}</text>')
                    reply, caption = "", ""
                case _:
                    pass
    return found
