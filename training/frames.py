"""The time grid of everything that is trained on."""

SAMPLE_RATE = 44100  # Hz
FRAME = 512  # samples: one row of codes
