"""The addresses of this service as its callers see them, signed where they open without a token. Knows no route.

A signed link is "{owner} {id} {expiry}" under HMAC-SHA256, as Replicate signs files: whoever has it has what it stands
for, until it expires. The secret is the deployment's; changing it closes all links.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qs, urlencode, urlsplit

from serving.storage.files import File

LINK_SECONDS = 3600.0  # how long a signed link is good, unless its file goes earlier

_DOWNLOAD = re.compile(r"/v1/files/([a-z0-9]{26})/download")
_EXPIRY = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Links:
    """base: where callers reach us, such as https://speech.example.org, without a slash at its end."""

    base: str
    secret: bytes

    def prediction(self, prediction_id: str, part: str = "") -> str:
        return f"{self.base}/v1/predictions/{prediction_id}{part}"

    def download(self, file: File) -> str:
        """Signed: whoever has it has the file, until it expires."""
        expiry = self.expiry(file)
        signed = self.signature(file.owner, file.id, expiry)
        query = urlencode({"owner": file.owner, "expiry": expiry, "signature": signed})
        return f"{self.base}/v1/files/{file.id}/download?{query}"

    def expiry(self, file: File) -> int:
        """Until when a link to it that is made now is good."""
        return int(min(time.time() + LINK_SECONDS, file.expires_at or float("inf")))

    def stream(self, prediction_id: str, owner: str, expiry: int) -> str:
        """Signed too: browsers' event sources send no token."""
        signed = self.signature(owner, prediction_id, expiry)
        return self.prediction(prediction_id, f"/stream?{urlencode({'expiry': expiry, 'signature': signed})}")

    def file_of(self, url: str) -> str | None:
        """The id of a file that this link of ours opens now; None for any other URL."""
        signed = self._signed(url)
        return signed[0] if signed is not None and time.time() < signed[1] else None

    def has_expired(self, url: str) -> bool:
        """Whether this is a link of ours to a file that opens nothing any more."""
        signed = self._signed(url)
        return signed is not None and time.time() >= signed[1]

    def _signed(self, url: str) -> tuple[str, int] | None:
        """(the file, until when) of a link of ours, whenever that was; None for any other URL."""
        if not url.startswith(f"{self.base}/"):
            return None
        parts = urlsplit(url)
        found = _DOWNLOAD.search(parts.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        told = {"owner", "expiry", "signature"} <= asked.keys() and _EXPIRY.fullmatch(asked["expiry"])
        if found is None or not told:
            return None
        file_id, expiry = found[1], int(asked["expiry"])
        return (file_id, expiry) if self._is_ours(asked["owner"], file_id, expiry, asked["signature"]) else None

    def signature(self, owner: str, subject: str, expiry: int) -> str:
        """64 hexadecimal digits. subject: the id of a file or prediction; expiry: seconds since 1970."""
        return hmac.new(self.secret, f"{owner} {subject} {expiry}".encode(), hashlib.sha256).hexdigest()

    def opens(self, owner: str, subject: str, expiry: int, given: str) -> bool:
        """Whether a link with this signature is ours and still good."""
        return self._is_ours(owner, subject, expiry, given) and time.time() < expiry

    def _is_ours(self, owner: str, subject: str, expiry: int, given: str) -> bool:
        expected = self.signature(owner, subject, expiry)
        return hmac.compare_digest(expected.encode(), given.encode())

    def page_of(self, path: str, cursor: str, also: Mapping[str, str] = MappingProxyType({})) -> str:
        """also: further parameters of the list."""
        return f"{self.base}{path}?{urlencode({**also, 'cursor': cursor})}"
