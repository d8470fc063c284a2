"""Links that open without a token, for a while: "{owner} {id} {expiry}" under HMAC-SHA256, as Replicate signs files.

Whoever has the link has the file. The secret is the deployment's; changing it closes all links.
"""

import hashlib
import hmac


def signature(secret: bytes, owner: str, file_id: str, expiry: int) -> str:
    """64 hexadecimal digits. expiry: seconds since 1970."""
    return hmac.new(secret, f"{owner} {file_id} {expiry}".encode(), hashlib.sha256).hexdigest()


def opens(secret: bytes, owner: str, file_id: str, expiry: int, given: str, now: float) -> bool:
    """Whether the link is ours and still good."""
    expected = signature(secret, owner, file_id, expiry)
    return hmac.compare_digest(expected.encode(), given.encode()) and now < expiry
