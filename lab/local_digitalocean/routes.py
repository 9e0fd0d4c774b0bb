"""Requests, and the functions that answer them."""

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
    """A request to the API.

    Attributes:
        account: the account with its resources.
        body: the request's JSON object.
        query: its query.
        headers: its headers.
        base: the API's address, for links.
        path: the path.
        parts: the values of the names in the path's template, in their order.
        notes: what a handler adds to the log: ``subject``.
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
        """Refuse a body that lacks one of these fields.

        Raises:
            ApiError: 422.
        """
        for name in names:
            if self.body.get(name) in (None, "", []):
                raise unprocessable(f"{name.replace('_', ' ').capitalize()} can't be blank")

    def last(self, kind: str) -> Record:
        """Return the record of a kind whose id is the last part of the path.

        Raises:
            ApiError: 404.
        """
        return self.account.get(kind, self.last_id)

    @property
    def last_id(self) -> str:
        """The last id in the path."""
        return list(self.parts.values())[-1]

    def page(self, key: str, records: Iterable[Record]) -> Record:
        """Return the requested page of a list (API documentation, "Links & Pagination")."""
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
        handler: the function that answers.
    """

    method: str
    template: str
    handler: Handler


class Routes:
    """The endpoints of a family of resources."""

    def __init__(self) -> None:
        self.found: list[Route] = []

    def add(self, method: str, *templates: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for these endpoints."""

        def decorate(handler: Handler) -> Handler:
            self.found += [Route(method, template, handler) for template in templates]
            return handler

        return decorate

    def lists(self, template: str, kind: str, key: str) -> None:
        """Add the endpoint that lists a kind, below a key of the answer."""

        @self.add("GET", template)
        def _list(request: Request) -> Answer:
            return 200, request.page(key, request.account.all(kind))

    def shows(self, template: str, kind: str, key: str) -> None:
        """Add the endpoint that shows one of a kind; its id is the last part of the path."""

        @self.add("GET", template)
        def _show(request: Request) -> Answer:
            return 200, {key: public(request.last(kind))}

    def updates(self, template: str, kind: str, key: str, fields: Callable[[Request], Record]) -> None:
        """Add the endpoint that replaces the fields of one of a kind."""

        @self.add("PUT", template)
        def _update(request: Request) -> Answer:
            record = request.last(kind)
            record.update(fields(request))
            return 200, {key: public(record)}

    def deletes(self, template: str, kind: str) -> None:
        """Add the endpoint that deletes one of a kind."""

        @self.add("DELETE", template)
        def _delete(request: Request) -> Answer:
            request.last(kind)
            del request.account.tables[kind][request.last_id]
            return 204, None


def choice(body: Record, name: str, allowed: Iterable[str]) -> None:
    """Refuse a value that is not allowed; a missing one is fine.

    Raises:
        ApiError: 422.
    """
    value = body.get(name)
    if value is not None and value not in set(allowed):
        raise unprocessable(f"{name} is invalid: {value}")


def within(body: Record, name: str, low: float, high: float) -> None:
    """Refuse a number that is out of range; a missing one is fine.

    Raises:
        ApiError: 422.
    """
    value = body.get(name)
    if value is not None and not (isinstance(value, int | float) and low <= value <= high):
        raise unprocessable(f"{name} must be between {low:g} and {high:g}")


__all__ = ["Answer", "ApiError", "Handler", "Request", "Route", "Routes", "choice", "within"]
