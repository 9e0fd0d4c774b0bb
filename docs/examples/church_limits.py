"""A limit for each church that all droplets share, and a cache for each church, in Valkey and without EVAL.

limit = Limit(valkey, per_second=credentials["requests_per_second"])
if (wait := limit.wait(credentials["queue_prefix"])):      # 429, with Retry-After: `wait`
"""

import time
from dataclasses import dataclass
from typing import Any

import redis

WINDOW_SECONDS = 1


@dataclass(frozen=True)
class Limit:
    """So many requests in each second, of one church, on all droplets together.

    The second is that of the droplets' clocks, which are synchronized: where one is late, it counts the second before.

    Attributes:
        valkey: a client of redis-py.
        per_second: how many are let through.
    """

    valkey: "redis.Redis"
    per_second: int

    def wait(self, queue_prefix: str) -> int:
        """Count a request; return 0 if it may go on, and otherwise the seconds after which to try again.

        Valkey being away stops no request: a limit protects the service, and the service is not worth less than it.
        """
        key = f"{queue_prefix}requests:{int(time.time()) // WINDOW_SECONDS}"
        try:
            # One transaction, so that no key is left without its end. INCR counts for all droplets at once.
            with self.valkey.pipeline(transaction=True) as both:
                count, _ = both.incr(key).expire(key, 2 * WINDOW_SECONDS).execute()
        except redis.RedisError:
            return 0
        return 0 if count <= self.per_second else WINDOW_SECONDS


def remember(valkey: "redis.Redis", queue_prefix: str, name: str, value: bytes, seconds: int) -> None:
    """Cache a value of a church. Its end cannot be left out: Valkey evicts nothing, so what stays fills it."""
    if seconds < 1:
        raise ValueError(f"a cached value ends after at least 1 second, not {seconds}")
    valkey.set(f"{queue_prefix}cache:{name}", value, ex=seconds)


def recall(valkey: "redis.Redis", queue_prefix: str, name: str) -> Any:
    """Return a cached value of a church; None if there is none."""
    return valkey.get(f"{queue_prefix}cache:{name}")
