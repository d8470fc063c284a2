"""URLs that callers give: whether they are any, whether they may be called, what of them may be shown. Calls none."""

import httpx

from models.errors import InvalidRequest
from serving.addresses import AddressRefused, resolve

MAX_URL_CHARACTERS = 2048
LOOK_UP_SECONDS = 5.0  # for a name, when a webhook is accepted


def check_public_url(url: str, field: str, *, allow_private: bool) -> None:
    """Refuse, as InvalidRequest, a URL that public_client could not call: for addresses to be called later.

    It must be an absolute http or https URL without user info, at most MAX_URL_CHARACTERS long, of a host with
    public addresses only (any, with allow_private). The check is repeated when the call is made.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidRequest(
            field, f"is {len(url)} characters long; at most {MAX_URL_CHARACTERS} are taken. Shorten it."
        )
    target = parse_url(url, field)
    if target.userinfo:
        raise InvalidRequest(field, "holds a user name or password, which is not taken. Put a token into the query.")
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        resolve(target.raw_host.decode(), port, allow_private=allow_private, seconds=LOOK_UP_SECONDS)
    except (OSError, AddressRefused) as error:
        kind = "no address" if allow_private else "no address on the public internet"
        raise InvalidRequest(
            field, f"names the host {target.host!r}, which has {kind}. Use one that can be reached from anywhere."
        ) from error


def parse_url(url: str, field: str) -> httpx.URL:
    """An absolute http or https URL with a host; InvalidRequest for anything else."""
    example = "Write it like https://example.com/path."
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:  # the second: it holds half a surrogate pair
        raise InvalidRequest(field, f"is no URL. {example}") from error
    if target.scheme not in ("http", "https"):
        raise InvalidRequest(field, f"has the scheme {target.scheme!r} where http or https is needed. {example}")
    if not target.host:
        raise InvalidRequest(field, f"names no host. {example}")
    if target.port is not None and not 1 <= target.port <= 65_535:  # the resolver would take it modulo 65,536
        raise InvalidRequest(field, f"has the port {target.port}; ports are 1 to 65535. {example}")
    return target


def without_secrets(url: httpx.URL) -> httpx.URL:
    """The part of a URL that may be shown and logged: no user info, no query, no fragment."""
    return url.copy_with(userinfo=b"", query=None, fragment=None)
