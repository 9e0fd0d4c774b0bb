"""Client of DigitalOcean's API that reads: the one place with its address, time limits, retries, pages and size limit.

Terraform runs a program that needs this with any Python (ops/wait_until_serving.py), so it is written with the standard
library alone. Nothing here writes, and no message holds the token.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

ADDRESS = "https://api.digitalocean.com"
PAGE = 200
"""The most entries that a page holds (API documentation, "Links & Pagination")."""
MOST_PAGES = 1_000
"""A list that goes on longer is an error of the server's; no account of ours has 200,000 of anything."""
LARGEST = 16 * 1024 * 1024
"""In bytes. Ours, with a margin: a droplet is described in 3 to 5 KB, a page of 200 in 1 MB."""

REQUEST_SECONDS = 30
TRIES = 3
"""How often a request is made that gets no answer, for callers that do not ask again by themselves."""
PAUSE_SECONDS = 2
LONGEST_PAUSE_SECONDS = 30
"""The rate limit of a minute (250 requests, API documentation, "Rate Limit") asks for longer pauses than are waited."""

_PASSING = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class ApiError(Exception):
    """The API did not answer, or refused.

    Attributes:
        status: HTTP's; None if there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_unknown_token(self) -> bool:
        """Whether the token is not known."""
        return self.status == HTTPStatus.UNAUTHORIZED


class Client:
    """GET requests with a token.

    Attributes:
        seconds: how long an answer is waited for.
        tries: how often a request is made at most.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        seconds: float = REQUEST_SECONDS,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if urllib.parse.urlsplit(address).scheme not in {"http", "https"}:
            raise ApiError(f"DIGITALOCEAN_API_URL is not an address: {address!r}")
        self._address, self._token = address.rstrip("/"), token
        self.seconds, self.tries, self._sleep = seconds, tries, sleep

    @classmethod
    def of(cls, environ: Mapping[str, str], **options: Any) -> "Client":
        """Return the client with the address and the token that the provider reads; the token may be empty.

        Raises:
            ApiError: the address is none.
        """
        token = environ.get("DIGITALOCEAN_TOKEN") or environ.get("DIGITALOCEAN_ACCESS_TOKEN") or ""
        return cls(environ.get("DIGITALOCEAN_API_URL") or ADDRESS, token, **options)

    def get(self, path: str, **query: object) -> Any:
        """Return an answer.

        Raises:
            ApiError: there was none, or it was a refusal.
        """
        address = self._address + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(  # noqa: S310 (the scheme is checked above)
            address, headers={"Authorization": f"Bearer {self._token}"}
        )
        for left in range(self.tries - 1, -1, -1):
            pause: float = PAUSE_SECONDS
            try:
                return json.loads(read(request, self.seconds))
            except urllib.error.HTTPError as error:
                if error.code not in _PASSING or not left:
                    raise ApiError(f"the API answered {error.code} to {path}", error.code) from None
                pause = _asked(error.headers.get("Retry-After"))
            except (OSError, ValueError, RecursionError) as error:
                if not left:
                    # urllib wraps what went wrong: "<urlopen error [Errno 111] Connection refused>".
                    why = getattr(error, "reason", error)
                    raise ApiError(
                        f"the API did not answer {path}: {getattr(why, 'strerror', None) or why}"
                    ) from None
            self._sleep(pause)
        raise AssertionError("a request is made once at least")

    def pages(self, path: str, key: str, **query: object) -> Iterator[dict[str, Any]]:
        """Yield every entry of a list, page by page.

        Raises:
            ApiError: a page was not answered.
        """
        for page in range(1, MOST_PAGES + 1):
            answer = self.get(path, per_page=PAGE, page=page, **query)
            yield from answer.get(key) or []
            # Databases and users of a cluster have no pages, and answer every page with all of them.
            if not ((answer.get("links") or {}).get("pages") or {}).get("next"):
                return

    def all(self, path: str, key: str, **query: object) -> list[dict[str, Any]]:
        """Return every entry of a list."""
        return list(self.pages(path, key, **query))

    def count(self, path: str, key: str) -> int:
        """Return how many a list has."""
        answer = self.get(path, per_page=1)
        total = answer.get("meta", {}).get("total")
        return int(total) if total is not None else len(self.all(path, key))


def read(request: urllib.request.Request, seconds: float) -> bytes:
    """Return the body of an answer.

    Raises:
        urllib.error.HTTPError: the answer is a refusal.
        OSError: there is none, or it is larger than `LARGEST`.
    """
    # Not urlopen, which keeps the proxies of the first request for the life of the process.
    opener = urllib.request.build_opener()
    try:
        with opener.open(request, timeout=seconds) as response:
            content: bytes = response.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    if len(content) > LARGEST:
        raise OSError(f"the answer has more than {LARGEST:,} bytes")
    return content


def _asked(seconds: str | None) -> float:
    """Return for how long the server asks to wait (RFC 9110, section 10.2.3); a date is not understood."""
    asked = float(seconds) if seconds and seconds.isascii() and seconds.isdigit() else PAUSE_SECONDS
    return min(asked, LONGEST_PAUSE_SECONDS)
