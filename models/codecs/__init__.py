"""Codes ↔ waveform. Knows tensors and samples; knows no language model, no file format and no caller."""
