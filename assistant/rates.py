"""Rates and sizes from samples to features, each derived from those before it.

Every division is exact, so that a frame, a feature and a patch column always stand for a whole
number of samples. Windows, blocks and audio tokens count in features, and depend on the preset.
"""

SAMPLE_RATE = 16_000
"""Sample rate in Hz of all sound, after it was read."""

HOP = SAMPLE_RATE // 100
"""Samples between two spectral frames, 10 ms, in both front ends."""

ANALYSIS = SAMPLE_RATE // 40
"""Samples that a spectral frame covers, 25 ms, in both front ends."""

MARGIN = ANALYSIS - HOP
"""Samples after a stretch that its last spectral frame covers, too."""

FEATURE_SAMPLES = 2 * HOP
"""Samples per encoder feature, 20 ms: the Whisper convolutions halve the frame rate."""

FEATURE_S = FEATURE_SAMPLES / SAMPLE_RATE

PATCH_FRAMES = 16
"""Spectral frames per BEATs patch column."""

PATCH_SAMPLES = PATCH_FRAMES * HOP
"""Samples per BEATs patch column, 160 ms."""

PATCH_S = PATCH_SAMPLES / SAMPLE_RATE

CLIP_S = 30
"""Length of Whisper's input, in seconds."""

CLIP_SAMPLES = CLIP_S * SAMPLE_RATE

CLIP_FEATURES = CLIP_SAMPLES // FEATURE_SAMPLES
"""Number of Whisper's positions: 1,500."""
