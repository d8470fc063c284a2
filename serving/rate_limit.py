"""How often a caller may call. Knows no route; counts in this process alone."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


class RateLimited(Exception):
    """Raised with the seconds after which the next call is answered."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Request was throttled. Your rate limit resets in ~{seconds}s.")
        self.seconds = seconds


class RateLimit:
    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, caller: str) -> None:
        """Count one call. Raises RateLimited instead where there were as many in the last minute."""
        if not self._limiter.hit(self._item, caller):
            reset = self._limiter.get_window_stats(self._item, caller).reset_time
            raise RateLimited(max(1, math.ceil(reset - time.time())))

    def state(self, caller: str) -> tuple[int, int, float]:
        """(calls a minute, how many of them are left, seconds until there are more)"""
        window = self._limiter.get_window_stats(self._item, caller)
        return self._item.amount, window.remaining, max(0.0, round(window.reset_time - time.time(), 3))
