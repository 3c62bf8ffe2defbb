"""From stored encoder features to audio tokens, as the ear does it."""

import torch
from torch import Tensor

from assistant.aligner import Aligner


def audio_tokens(aligner: Aligner, features: list[Tensor]) -> list[Tensor]:
    """Audio tokens of a batch of utterances.

    Args:
        aligner: of the model.
        features: per utterance (n, speech width + audio width), the encoders' own output.

    Returns:
        Per utterance (windows * queries, LLM width).
    """
    speech = aligner.ln_speech.normalized_shape[0]
    windows = []
    for utterance in features:
        audio = None if aligner.ln_audio is None else utterance[:, speech:]
        windows.append(aligner.windows(aligner.fuse(utterance[:, :speech], audio)))
    tokens: Tensor = aligner(torch.cat(windows))
    return list(tokens.flatten(0, 1).split([len(w) * aligner.config.queries for w in windows]))
