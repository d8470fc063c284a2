"""How a socket is opened: whose it is, which dialect it speaks, which session it asks for. Knows no socket.

OpenAI's service lets everybody in and refuses afterwards, with an event and a code of its own; so does this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.access import NotAllowed, NotInScope
from serving.rate_limit import RateLimited
from serving.realtime.beta import BetaDialect
from serving.realtime.client_secrets import Grant, granted
from serving.realtime.faults import RATE_LIMIT, RATE_LIMIT_EXCEEDED, Fault
from serving.realtime.settings import MODEL, OWN_MODELS, RealtimeSettings, Settings, TranscriptionSettings, is_served
from serving.web.gate import Gate

SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."  # browsers cannot send a header, and put the key behind this
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
BETA_HEADER = "realtime=v1"

# Codes of a close, OpenAI's: clients do not connect again after these.
NO_KEY, WRONG_OPENING = 3000, 4000
TRY_AGAIN = 1013  # clients do, after a while


class Refused(Exception):
    """Told as an error event; then the socket is closed."""

    def __init__(self, fault: Fault, close_code: int, reason: str) -> None:
        super().__init__(fault.message)
        self.fault, self.close_code, self.reason = fault, close_code, reason


@dataclass(frozen=True)
class Opening:
    """What a client brings: the query, the headers in small letters, the subprotocols it offers."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    subprotocols: Sequence[str]

    @property
    def accepted_subprotocol(self) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in self.subprotocols else None

    @property
    def authorization(self) -> str | None:
        """The header, or the key of a browser as one."""
        keys = [name for name in self.subprotocols if name.startswith(KEY_SUBPROTOCOL)]
        return self.headers.get("authorization") or (f"Bearer {keys[0][len(KEY_SUBPROTOCOL) :]}" if keys else None)

    @property
    def dialect(self) -> BetaDialect | None:
        asked = BETA_HEADER in self.headers.get("openai-beta", "") or BETA_SUBPROTOCOL in self.subprotocols
        return BetaDialect() if asked else None

    @property
    def names_model(self) -> bool:
        return "model" in self.query

    def settings(self) -> Settings:
        """What it asks for in its query. No model stands for ours. Raises Refused."""
        if self.query.get("intent") == "transcription":
            return TranscriptionSettings(type="transcription")
        if "call_id" in self.query:
            raise _wrong("invalid_value", "There are no calls here: connect without call_id.", "call_id")
        model = self.query.get("model", MODEL)
        if not is_served(model):
            listed = ", ".join((*OWN_MODELS, "gpt-realtime"))
            raise _wrong("invalid_model", f"The model '{model[:64]}' is none of ours: there are {listed}.", "model")
        return RealtimeSettings(type="realtime", model=model)


def let_in(opening: Opening, gate: Gate, secret: bytes) -> Grant:
    """By a token or by an ephemeral key, which says what the session is. secret: of these keys. Raises Refused."""
    authorization = opening.authorization
    try:
        if (grant := granted(authorization, secret)) is not None:
            gate.requests.count(grant.owner)
            return grant
        owner = gate.converse(authorization)
    except NotAllowed as error:
        code = "invalid_api_key" if authorization else None
        reason = "invalid_request_error" + (f".{code}" if code else "")
        raise Refused(Fault(code, str(error)), NO_KEY, reason) from error
    except NotInScope as error:
        raise Refused(Fault("insufficient_permissions", str(error)), NO_KEY, "invalid_request_error") from error
    except RateLimited as error:
        raise too_many(error) from error
    return Grant(owner, 0, opening.settings(), opening.names_model)


def too_many(error: Exception) -> Refused:
    return Refused(Fault(RATE_LIMIT_EXCEEDED, str(error), kind=RATE_LIMIT), TRY_AGAIN, RATE_LIMIT)


def _wrong(code: str, message: str, param: str) -> Refused:
    return Refused(Fault(code, message, param), WRONG_OPENING, f"invalid_request_error.{code}")
