"""Who is calling and what their token is for: bearer tokens, kept as hashes. Knows no route and no limit.

Tokens are long random strings, so one round of SHA-256 hides them well; what people choose themselves is refused.
Every token lets its caller look at what is theirs, cancel it and delete it; what more it lets them do are its scopes:

    create    start predictions, tasks, speech and sockets; keep files and voices
    metrics   see the numbers of all callers together: /metrics, and how often a model has run

A line of the tokens file is "name hash" for both of them, or "name hash scopes", such as "anna HASH create"; the word
"read" alone stands for neither.
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
CREATE, METRICS, READ = "create", "metrics", "read"
ALL = frozenset((CREATE, METRICS))
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HASH = re.compile(r"[0-9a-f]{64}")


class NotAllowed(Exception):
    """No token, or none of ours."""


class NotInScope(Exception):
    """A token of ours that is not for this."""


@dataclass(frozen=True)
class Key:
    """One token, by its hash: whose it is, and what it is for beyond looking at one's own."""

    name: str
    hash: str
    scopes: frozenset[str] = ALL


@dataclass(frozen=True)
class Keys:
    """The tokens that are known; a caller may have several. None at all: everybody is `anyone`, and may do all."""

    entries: tuple[Key, ...] | None

    @classmethod
    def of(cls, tokens: str, tokens_file: str, no_auth: bool) -> Self:
        """tokens: "name:token,…". tokens_file: lines of "name hash" and scopes. Raises InvalidRequest, also without
        any."""
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
        return self._key(authorization).name

    def caller_for(self, scope: str, authorization: str | None) -> str:
        """The same, of a token that is for this. Raises NotInScope too."""
        key = self._key(authorization)
        if scope not in key.scopes:
            has = ", ".join(sorted(key.scopes)) or READ
            raise NotInScope(
                f"This token is for {has}, and this takes one for {scope}. Ask whoever runs the service for one."
            )
        return key.name

    def _key(self, authorization: str | None) -> Key:
        if self.entries is None:
            return Key(ANYONE, "")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or not token:
            raise NotAllowed("Send your token: Authorization: Bearer …")
        given, found = hash_token(token.strip()), None
        for key in self.entries:  # all of them, always: time tells nothing
            if hmac.compare_digest(given, key.hash):
                found = key
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


def read_scopes(text: str) -> frozenset[str]:
    """Of "create,metrics", "create", "metrics" or "read". Raises InvalidRequest."""
    given = [word.strip() for word in text.split(",")]
    if unknown := [word for word in given if word not in (CREATE, METRICS, READ)]:
        raise InvalidRequest("scopes", f"hold {unknown[0]!r}; there are {CREATE}, {METRICS} and {READ}.")
    return frozenset(given) & ALL


def _from_text(part: str) -> Key:
    name, separator, token = part.partition(":")
    if not separator:
        raise InvalidRequest("tokens", "hold an entry without a colon. Write name:token,name:token.")
    if len(token) < SHORTEST_TOKEN:
        raise InvalidRequest(
            "tokens",
            f"hold one for {name!r} of {len(token)} characters; at least {SHORTEST_TOKEN} are needed. "
            "`python -m serving token NAME` draws one.",
        )
    return Key(check_name(name), hash_token(token))


def _from_file(path: Path) -> list[Key]:
    if not path.is_file():
        raise InvalidRequest("tokens_file", f"is {str(path)!r}; there is no such file.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest("tokens_file", f"is {str(path)!r}, which cannot be read as text: {error}.") from error
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for number, line in enumerate(lines, 1):
        if len(line) not in (2, 3) or not _HASH.fullmatch(line[1]):
            raise InvalidRequest(
                "tokens_file", f"has no name, hash and scopes in entry {number}; `serving token` writes them."
            )
    return [Key(check_name(name), hashed, *map(read_scopes, scopes)) for name, hashed, *scopes in lines]
