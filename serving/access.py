"""Who is calling: bearer tokens, kept as hashes. Knows no route and no limit.

Tokens are long random strings, so one round of SHA-256 hides them well; what people choose themselves is refused.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from models.errors import InvalidRequest

ANYONE = "anyone"  # the owner of everything where no tokens are asked for
TOKEN_PREFIX = "pk_"
SHORTEST_TOKEN = 20  # characters
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HASH = re.compile(r"[0-9a-f]{64}")


class NotAllowed(Exception):
    """No token, or none of ours."""


@dataclass(frozen=True)
class Keys:
    """Names of callers and hashes of their tokens; a name may have several. None at all: everybody is `anyone`."""

    entries: tuple[tuple[str, str], ...] | None

    @classmethod
    def of(cls, tokens: str, tokens_file: str, no_auth: bool) -> Self:
        """tokens: "name:token,…". tokens_file: lines of "name hash". Raises InvalidRequest, also without any."""
        if no_auth:
            return cls(None)
        listed = [_from_text(part.strip()) for part in tokens.split(",") if part.strip()]
        if tokens_file:
            listed += _from_file(Path(tokens_file))
        if not listed:
            raise InvalidRequest(
                "tokens", "are not given. Set PARLEY_TOKENS=name:token or PARLEY_TOKENS_FILE, or ask for --no-auth."
            )
        return cls(tuple(listed))

    def caller(self, authorization: str | None) -> str:
        """The name behind an Authorization header. Raises NotAllowed."""
        if self.entries is None:
            return ANYONE
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or not token:
            raise NotAllowed("Send your token: Authorization: Bearer …")
        given, found = hash_token(token.strip()), None
        for name, known in self.entries:  # all of them, always: time tells nothing
            if hmac.compare_digest(given, known):
                found = name
        if found is None:
            raise NotAllowed("This token is not known here.")
        return found


def new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def check_name(name: str) -> str:
    """A caller's name. Raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest("name", f"is {name!r}; use up to 32 of a-z, 0-9 and -, a letter or digit first.")
    return name


def _from_text(part: str) -> tuple[str, str]:
    name, separator, token = part.partition(":")
    if not separator:
        raise InvalidRequest("tokens", "hold an entry without a colon. Write name:token,name:token.")
    if len(token) < SHORTEST_TOKEN:
        raise InvalidRequest(
            "tokens",
            f"hold one for {name!r} of {len(token)} characters; at least {SHORTEST_TOKEN} are needed. "
            "`python -m serving token NAME` draws one.",
        )
    return check_name(name), hash_token(token)


def _from_file(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise InvalidRequest("tokens_file", f"is {str(path)!r}; there is no such file.")
    lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    for number, line in enumerate(lines, 1):
        if len(line) != 2 or not _HASH.fullmatch(line[1]):
            raise InvalidRequest("tokens_file", f"has no name and hash in entry {number}; `serving token` writes them.")
    return [(check_name(name), hashed) for name, hashed in lines]
