"""Signals as numpy float32 [C, L]: read, cleaned, stretched, levelled, encoded. Knows no model and no torch."""
