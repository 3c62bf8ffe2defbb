"""What listening costs, as a part of one core: speech, room noise, digital silence.

    python -m bench.listening [--seconds 60] [--json FILE]

Each kind of audio goes through a whole session (endpointing, encoders, Q-Former, prefill) as fast
as it will; CPU seconds, of all threads, per second of audio. Replies are one token long.
"""

import time

import numpy as np
import torch

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from bench.common import keep, lengthened, parser, read_clips, show
from streaming.build import build_session
from streaming.config import Config
from streaming.config_file import load_config
from streaming.dialogue.session import one_each
from streaming.dialogue.work import NEED_DATA


def cost(model: Salmonn, config: Config, samples: Samples) -> float:
    """CPU seconds per second of audio."""
    session = build_session(model, config, "Transcribe the speech.", pace=one_each)
    begin = time.process_time()
    pcm = recording.to_pcm16(samples)
    for at in range(0, len(pcm), 640):
        session.receive(pcm[at : at + 640])
        while session.step() is not NEED_DATA:
            pass
    return (time.process_time() - begin) / (len(samples) / SAMPLE_RATE)


def main() -> None:
    options = parser(__doc__, clips=20)
    options.add_argument("--seconds", type=float, default=60.0, help="of each kind of audio")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config())
    once = config.model.generation.model_copy(update={"max_new_tokens": 1})
    model = load(config.model.model_copy(update={"generation": once}))
    n = int(chosen.seconds * SAMPLE_RATE)
    noise = np.random.default_rng(0).standard_normal(n).astype(np.float32) * 0.01
    kinds = {
        "speech": lengthened(read_clips(chosen), chosen.seconds),
        "room noise": noise,
        "digital silence": np.zeros(n, np.float32),
    }
    cost(model, config, kinds["speech"][: 5 * SAMPLE_RATE])  # warm up
    rows = [
        {"audio": name, "CPU seconds per second": cost(model, config, samples)}
        for name, samples in kinds.items()
    ]
    show("What listening costs", rows)
    keep(chosen, {"rows": rows})


if __name__ == "__main__":
    main()
