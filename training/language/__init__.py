"""Training of the language model: text → codes. Knows codes and labels on disk; no audio, no codec."""
