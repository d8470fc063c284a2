"""Names that nobody can guess."""

import base64
import re
import secrets

BYTES = 16

_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


def new_id() -> str:
    """26 letters and digits of a random 128-bit number, in lower case."""
    return base64.b32encode(secrets.token_bytes(BYTES)).decode().rstrip("=").lower()


def may_be_id(text: str) -> bool:
    """False for what no table has: PostgreSQL takes no NUL, and nothing long need be looked for."""
    return _ID.fullmatch(text) is not None
