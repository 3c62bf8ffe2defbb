"""What of a sound's name is where: in each layer of Whisper, in BEATs, and in the audio tokens.

    python -m bench.sounds [--clips 16] [--data ../shared/data] [--json FILE]

A linear classifier is fitted to the mean features of at most `--clips` training recordings per
class, and asked about all held-out ones. The audio tokens are not fitted: a recording gets the
name whose embeddings its tokens are nearest to. Share of held-out recordings named, of ESC-10's
fold 4 and of all.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from assistant.config import ModelConfig
from assistant.ear.ear import Ear
from assistant.files.presets import load_preset, shipped_config
from assistant.model import Salmonn
from assistant.model import load as load_model
from assistant.numerics.half import fast_half
from assistant.parts.build import build_ear
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import load
from bench.common import keep, parser, show
from lab.corpora.scenes import heard
from lab.corpora.sounds import Sound, read_sounds
from lab.training.config import CTC_SCALE
from lab.training.ctc import CtcHead

SECONDS = 5
LAYERS = (1, 2, 3, 4, 5)
"""Of Whisper base, besides the last one."""

STEPS, LEARNING_RATE, WEIGHT_DECAY = 300, 0.02, 0.3
"""Of the linear classifiers; not tuned."""


def all_layers(config: ModelConfig) -> Ear:
    """The encoders of `config`, with every layer of Whisper joined."""
    encoder = config.speech_encoder.model_copy(update={"hidden_layers": list(LAYERS)})
    return build_ear(config.model_copy(update={"speech_encoder": encoder}))


@torch.no_grad()
def features(ear: Ear, sounds: list[Sound], label: str) -> Tensor:
    """Mean features of each recording's first seconds, (sounds, feature width)."""
    means = []
    for sound in track(sounds, label):
        samples = torch.from_numpy(load(sound.path)[: SECONDS * SAMPLE_RATE])
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_half()):
            speech, audio = ear.encode_blocks(samples)
        assert audio is not None
        means.append(torch.cat([speech.float().mean(0), audio.float().mean(0)]))
    return torch.stack(means)


def fit(train: Tensor, wanted: Tensor, asked: Tensor) -> Tensor:
    """Classes of `asked` by a linear classifier fitted to `train` (n, width) and `wanted` (n,)."""
    mean, spread = train.mean(0), train.std(0) + 1e-6
    layer = torch.nn.Linear(train.shape[1], int(wanted.max()) + 1)
    optimiser = torch.optim.AdamW(layer.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(STEPS):
        optimiser.zero_grad()
        F.cross_entropy(layer((train - mean) / spread), wanted).backward()
        optimiser.step()
    best: Tensor = layer((asked - mean) / spread).argmax(-1)
    return best


def by_tokens(model: Salmonn, sounds: list[Sound], labels: list[str]) -> list[str]:
    """The name that each recording's audio tokens are nearest to."""
    tokenizer = model.llm.tokenizer.backend_tokenizer
    embeddings = model.llm.embed(list(range(len(tokenizer.get_vocab())))).float()
    head = CtcHead(embeddings, tokenizer, [heard(label) for label in labels], CTC_SCALE)
    with torch.inference_mode():
        return [
            head.name(model.ear.hear(torch.from_numpy(load(s.path)[: SECONDS * SAMPLE_RATE])))
            for s in track(sounds, "audio tokens")
        ]


def main() -> None:
    arguments = parser(__doc__, clips=16)
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    _, config = load_preset(shipped_config(), "nano")
    of_class: dict[str, list[Sound]] = defaultdict(list)
    sounds = read_sounds(options.data / "sound")
    for i in np.random.default_rng(0).permutation(len(sounds)):
        if sounds[i].split == "train":
            of_class[sounds[i].label].append(sounds[i])
    labels = sorted(of_class)
    train = [s for label in labels for s in of_class[label][: options.clips]]
    asked = [s for s in sounds if s.split == "dev" and s.label in labels]
    esc10 = np.array([s.recording.startswith("esc10/") for s in asked])
    truth = np.array([s.label for s in asked])
    wanted = torch.tensor([labels.index(s.label) for s in train])

    ear = all_layers(config)
    known, new = features(ear, train, "training's"), features(ear, asked, "held out")
    width = ear.speech_encoder.own_width
    parts = [range(i * width, (i + 1) * width) for i in range(len(LAYERS) + 1)]
    last, *early = parts  # the last one's come first
    audio = range(ear.speech_encoder.width, known.shape[1])
    choices = {f"Whisper's layer {n}": [part] for n, part in zip(LAYERS, early, strict=True)}
    choices |= {"Whisper's last layer": [last], "BEATs": [audio]}
    choices |= {f"layers {n} and last": [part, last] for n, part in zip(LAYERS, early, strict=True)}
    choices |= {"layer 2, last and BEATs, as nano hears": [early[1], last, audio]}
    rows = []

    def note(what: str, named: list[str]) -> None:
        hits = np.array(named) == truth
        rows.append({"in %": what, "ESC-10 fold 4": 100 * float(hits[esc10].mean()),
                     "all classes": 100 * float(hits.mean())})  # fmt: skip

    for what, chosen in choices.items():
        columns = [i for part in chosen for i in part]
        classes = fit(known[:, columns], wanted, new[:, columns])
        note(what, [labels[i] for i in classes.tolist()])
    note("audio tokens, not fitted", by_tokens(load_model(config), asked, labels))
    show(f"{len(asked)} held-out recordings, {len(train)} fitted to", rows)
    keep(options, {"sounds": rows})


if __name__ == "__main__":
    main()
