"""Reader of DigitalOcean's API, with the token and the address that the provider takes from the environment."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

ADDRESS = "https://api.digitalocean.com"
REQUEST_SECONDS = 30
PAGE = 200
"""The most that a page holds (API documentation, "Links & Pagination")."""


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


class Api:
    """GET requests. Nothing is changed."""

    def __init__(self, address: str, token: str) -> None:
        if urllib.parse.urlsplit(address).scheme not in {"http", "https"}:
            raise ApiError(f"DIGITALOCEAN_API_URL is not an address: {address!r}")
        self._address, self._token = address.rstrip("/"), token

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Api":
        """Return the API with the variables that the provider reads."""
        token = environ.get("DIGITALOCEAN_TOKEN") or environ.get("DIGITALOCEAN_ACCESS_TOKEN") or ""
        return cls(environ.get("DIGITALOCEAN_API_URL") or ADDRESS, token)

    def get(self, path: str, **query: object) -> Any:
        """Return an answer.

        Raises:
            ApiError: there was none, or it was a refusal.
        """
        address = f"{self._address}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(  # noqa: S310  (the scheme is checked above)
            address, headers={"Authorization": f"Bearer {self._token}"}
        )
        try:
            with urllib.request.build_opener().open(request, timeout=REQUEST_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(f"the API answered {error.code} to {path}", error.code) from None
        except (OSError, ValueError) as error:
            raise ApiError(f"the API did not answer {path}: {error}") from None

    def all(self, path: str, key: str, **query: object) -> list[dict[str, Any]]:
        """Return every entry of a list, page by page."""
        found: list[dict[str, Any]] = []
        for page in range(1, 1_000):
            answer = self.get(path, per_page=PAGE, page=page, **query)
            found += answer.get(key) or []
            # Databases and users of a cluster have no pages, and answer every page with all of them.
            if not ((answer.get("links") or {}).get("pages") or {}).get("next"):
                break
        return found

    def count(self, path: str, key: str) -> int:
        """Return how many a list has."""
        answer = self.get(path, per_page=1)
        total = answer.get("meta", {}).get("total")
        return int(total) if total is not None else len(self.all(path, key))
