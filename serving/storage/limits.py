"""What one owner may have here at once. Knows no door."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    predictions: int = 100  # not over yet
    upload_bytes: int = 100 << 20  # of one file
    uploads: int = 500
    uploads_bytes: int = 4 << 30
