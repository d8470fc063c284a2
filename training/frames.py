"""What all that is trained on has in common: the grid of frames and books, and who speaks."""

SAMPLE_RATE = 44100  # Hz
FRAME = 512  # samples: one row of codes
FRAME_RATE = SAMPLE_RATE / FRAME  # a second
ALL_BOOKS = 9  # of a frame in the published formats, idle ones included; those in use are the first ones
VOICES = ("S1", "S2")  # in the order of their numbers: tags in texts, folders on disk
