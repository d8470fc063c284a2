"""Speech → turns, words and less noise. Audio is float32 mono [L] within ±1; knows no torch, no codec and no socket.

vad.py         samples → probabilities of speech → the samples where turns start and stop (Silero)
turns.py       how likely a turn is over, from how it sounds (Smart Turn); a hint, and optional
denoise.py     24 kHz in, 24 kHz out with less noise and no delay (RNNoise, DeepFilterNet)
transcribe.py  samples → words (Whisper)
whisper.py     the folder of Whisper's weights: from packages, or by name from the manifest
resample.py    another sample rate, in pieces
packaged.py    where a package keeps the file that one of these needs

What hears in pieces gives the same for any cut of its input: chunked equals whole.
"""
