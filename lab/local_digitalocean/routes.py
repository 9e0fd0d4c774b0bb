"""Which function answers which request."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from lab.local_digitalocean.errors import ApiError, unprocessable
from lab.local_digitalocean.store import Account, Record, public

# API documentation, "Links & Pagination": 20 a page unless asked, at most 200.
USUAL_PAGE, LARGEST_PAGE = 20, 200


@dataclass(frozen=True)
class Request:
    """What a handler gets.

    Attributes:
        account: what exists.
        body: the request's JSON object.
        query: its query.
        headers: its headers.
        base: the API's address, for links.
        path: the path asked for.
        parts: what stands for the names in the path's template.
        notes: what a handler wants in the log: ``subject``.
    """

    account: Account
    body: Record
    query: Mapping[str, str]
    headers: Mapping[str, str]
    base: str
    path: str
    parts: Mapping[str, str]
    notes: dict[str, str] = field(default_factory=dict)

    def need(self, *names: str) -> None:
        """Refuse a body without these.

        Raises:
            ApiError: 422.
        """
        for name in names:
            if self.body.get(name) in (None, "", []):
                raise unprocessable(f"{name.replace('_', ' ').capitalize()} can't be blank")

    def page(self, key: str, records: Iterable[Record]) -> Record:
        """Answer a list, or the page of it that was asked for (API documentation, "Links & Pagination")."""
        everything = list(records)
        number, size = self._number("page", 1), min(self._number("per_page", USUAL_PAGE), LARGEST_PAGE)
        last = max(1, -(-len(everything) // size))
        pages: Record = {}
        if number > 1:
            pages |= {"first": self._link(1, size), "prev": self._link(number - 1, size)}
        if number < last:
            pages |= {"next": self._link(number + 1, size), "last": self._link(last, size)}
        shown = everything[(number - 1) * size : number * size]
        return {
            key: [public(record) for record in shown],
            "links": {"pages": pages} if pages else {},
            "meta": {"total": len(everything)},
        }

    def _number(self, name: str, usual: int) -> int:
        written = self.query.get(name, "")
        return max(1, int(written)) if written.isdigit() else usual

    def _link(self, page: int, size: int) -> str:
        others = {key: value for key, value in self.query.items() if key not in {"page", "per_page"}}
        return f"{self.base}{self.path}?{urlencode({**others, 'page': page, 'per_page': size})}"


Answer = tuple[int, Any]
Handler = Callable[[Request], Answer]


@dataclass(frozen=True)
class Route:
    """One endpoint.

    Attributes:
        method: the HTTP method.
        template: the path as the OpenAPI document writes it.
        handler: who answers.
    """

    method: str
    template: str
    handler: Handler


class Routes:
    """The endpoints of a family of resources."""

    def __init__(self) -> None:
        self.found: list[Route] = []

    def add(self, method: str, *templates: str) -> Callable[[Handler], Handler]:
        """Say that the decorated function answers these."""

        def decorate(handler: Handler) -> Handler:
            self.found += [Route(method, template, handler) for template in templates]
            return handler

        return decorate


def choice(body: Record, name: str, allowed: Iterable[str]) -> None:
    """Refuse a value that is none of these; one left out is fine.

    Raises:
        ApiError: 422.
    """
    value = body.get(name)
    if value is not None and value not in set(allowed):
        raise unprocessable(f"{name} is invalid: {value}")


def within(body: Record, name: str, low: float, high: float) -> None:
    """Refuse a number that is out of range; one left out is fine.

    Raises:
        ApiError: 422.
    """
    value = body.get(name)
    if value is not None and not (isinstance(value, int | float) and low <= value <= high):
        raise unprocessable(f"{name} must be between {low:g} and {high:g}")


__all__ = ["Answer", "ApiError", "Handler", "Request", "Route", "Routes", "choice", "within"]
