"""Names that nobody can guess."""

import base64
import secrets

BYTES = 16


def new_id() -> str:
    """26 letters and digits of a random 128-bit number, in lower case."""
    return base64.b32encode(secrets.token_bytes(BYTES)).decode().rstrip("=").lower()
