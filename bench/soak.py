"""One stream for an hour, as fast as it will: does it get slower, does it grow?

    python -m bench.soak [--minutes 60] [--plot FILE] [--json FILE]

Speech, pauses and noise in turn. Per minute of audio: CPU seconds per second, and resident memory.
"""

import statistics
import time
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from assistant.files.presets import shipped_config
from assistant.model import load
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from bench.common import Clip, keep, parser, read_clips, show
from streaming.build import build_session
from streaming.config_file import load_config
from streaming.dialogue.session import one_each
from streaming.dialogue.work import NEED_DATA

MANY = 10
"""Minutes that are compared."""


def minute(clips: list[Clip], seed: int) -> Samples:
    """A minute of utterances with pauses and noise between them."""
    rng = np.random.default_rng(seed)
    parts: list[Samples] = []
    while sum(map(len, parts)) < 60 * SAMPLE_RATE:
        pause = rng.standard_normal(int(rng.uniform(0.8, 4.0) * SAMPLE_RATE)) * 0.003
        parts += [clips[rng.integers(len(clips))].samples, pause.astype(np.float32)]
    return np.concatenate(parts)[: 60 * SAMPLE_RATE]


def resident_mb() -> float:
    """Memory of this process now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each column."""
    return {name: statistics.mean(row[name] for row in rows) for name in rows[0]}


def draw(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    for axis, name in zip(axes, ("CPU seconds per second", "resident, MB"), strict=True):
        axis.plot([row["minute"] for row in rows], [row[name] for row in rows])
        axis.set(ylabel=name, ylim=(0, None))
    axes[1].set_xlabel("minute of the stream")
    figure.savefig(path)


def main() -> None:
    options = parser(__doc__, clips=60)
    options.add_argument("--minutes", type=int, default=60)
    options.add_argument("--plot", type=Path, help="draw the curves to this SVG or PNG")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config())
    model = load(config.model)
    clips = read_clips(chosen)
    session = build_session(model, config, "Transcribe the speech.", pace=one_each)
    rows = []
    for number in track(range(1, chosen.minutes + 1), "minutes"):
        pcm = recording.to_pcm16(minute(clips, number))
        begin = time.process_time()
        for at in range(0, len(pcm), 640):
            session.receive(pcm[at : at + 640])
            while session.step() is not NEED_DATA:
                pass
        spent = (time.process_time() - begin) / 60
        rows.append(
            {"minute": number, "CPU seconds per second": spent, "resident, MB": resident_mb()}
        )
    # the first minute warms up, and no minute has as much speech as another
    early, late = mean(rows[1 : 1 + MANY]), mean(rows[-MANY:])
    ratios = {
        f"late / early, {name}": late[name] / early[name] for name in early if name != "minute"
    }
    show(f"{chosen.minutes} minutes of one stream: its first and its last {MANY}", [early, late])
    show("ratios", [ratios])
    if chosen.plot is not None:
        draw(rows, chosen.plot)
    keep(chosen, {"rows": rows, **ratios})


if __name__ == "__main__":
    main()
