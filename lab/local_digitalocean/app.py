"""The WSGI program: the API, Spaces, and the switches of the stand-in."""

import json
import re
import socket
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from werkzeug import Request as HttpRequest
from werkzeug import Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule

from lab.local_digitalocean import (
    autoscale,
    backups,
    certificates,
    cluster_settings,
    clusters,
    databases,
    dns,
    droplet_actions,
    droplets,
    firewalls,
    load_balancers,
    monitoring,
    offers,
    pools,
    projects,
    spaces_keys,
    ssh_keys,
    switches,
    tags,
    uptime,
    volumes,
    vpcs,
)
from lab.local_digitalocean.calls import Call, CallLog
from lab.local_digitalocean.errors import IDENTIFIERS, TOO_MANY, ApiError, not_found
from lab.local_digitalocean.faults import DROP, DROP_ANSWER, RETRY_SECONDS, Faults, Rate
from lab.local_digitalocean.routes import Request, Route
from lab.local_digitalocean.spaces import Spaces, is_for_spaces
from lab.local_digitalocean.store import Account

FAMILIES = (
    autoscale, backups, certificates, cluster_settings, clusters, databases, dns, droplet_actions, droplets, firewalls,
    load_balancers, monitoring, offers, pools, projects, spaces_keys, ssh_keys, tags, uptime, volumes, vpcs,
)  # fmt: skip
ROUTES: tuple[Route, ...] = tuple(route for family in FAMILIES for route in family.routes.found)

_READS = frozenset({"GET", "HEAD"})
_SUBJECTS = ("id", "uuid", "name", "access_key")
StartResponse = Callable[..., Any]


@cache
def _map() -> Map:
    rules = []
    for route in ROUTES:
        template = re.sub(r"\{(\w+)\}", r"<\1>", route.template)
        rules.append(Rule(template, methods=[route.method], endpoint=route, strict_slashes=False))
    return Map(rules)


class App:
    """A WSGI application.

    Attributes:
        account: what exists.
        spaces: its buckets.
        faults: what goes wrong on purpose.
        calls: the log.
        token: the one that is let in; None lets any in.
    """

    def __init__(
        self, account: Account, spaces: Spaces, faults: Faults, calls: CallLog, *, token: str | None = None
    ) -> None:
        self.account, self.spaces, self.faults, self.calls, self.token = account, spaces, faults, calls, token
        self._map = _map()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, and log it."""
        request = HttpRequest(environ)
        if request.path.startswith(switches.BELOW):
            return switches.answer(request, self.account, self.faults)(environ, start_response)
        begin = self.account.clock.now()
        service = "spaces" if is_for_spaces(request.host) else "api"
        fault = self.faults.hits(request.method, self._logged_path(request, service))
        if self.faults.latency:
            self.account.clock.sleep(self.faults.latency)
        if fault == DROP:
            response, route, subject = None, "", ""
        elif service == "spaces":
            response, route, subject = self._spaces(environ, fault)
        else:
            response, route, subject = self._api(request, fault)
        dropped = fault in (DROP, DROP_ANSWER)
        self.calls.add(
            Call(
                at=begin,
                seconds=round(self.account.clock.now() - begin, 4),
                service=service,
                method=request.method,
                path=self._logged_path(request, service),
                query=request.query_string.decode(),
                route=route,
                status=0 if dropped or response is None else response.status_code,
                subject=subject,
                fault=fault or "",
            )
        )
        if dropped or response is None:
            _hang_up(environ)
            # The server takes this for a caller who left, which is what it now looks like.
            raise ConnectionAbortedError
        return response(environ, start_response)

    @staticmethod
    def _logged_path(request: HttpRequest, service: str) -> str:
        if service == "api":
            return request.path
        bucket = request.host.split(".")[0] if request.host.count(".") > 2 else ""  # noqa: PLR2004
        return f"/{bucket}{request.path}" if bucket else request.path

    def _spaces(self, environ: dict[str, Any], fault: str | None) -> tuple[Response, str, str]:
        if fault and fault != DROP_ANSWER:
            body = "<Error><Code>InternalError</Code></Error>"
            return Response(body, int(fault), content_type="application/xml"), "", ""
        with self.account.lock:
            response, operation, path = self.spaces.answer(environ)
            if environ["REQUEST_METHOD"] not in _READS:
                self.account.save()
        return response, operation, path

    def _api(self, request: HttpRequest, fault: str | None) -> tuple[Response, str, str]:
        rate = self.faults.rate()
        template, subject = "", ""
        try:
            if rate.retry_after is not None:
                raise ApiError(TOO_MANY, "API Rate limit exceeded.")
            if fault and fault != DROP_ANSWER:
                raise ApiError(int(fault), "Server was unable to give you a response.")
            self._authenticate(request)
            route, parts = self._route(request)
            template = route.template
            with self.account.lock:
                self.account.settle()
                asked = self._request(request, parts)
                status, answer = route.handler(asked)
                # Written as bytes while the lock is held.
                body = b"" if answer is None else json.dumps(answer).encode()
                if request.method not in _READS:
                    self.account.save()
            subject = asked.notes.get("subject") or _subject(request.method, answer, parts)
            response = Response(body, status, content_type="application/json")
        except ApiError as error:
            response = _refusal(error)
            if error.status == TOO_MANY:
                response.headers["Retry-After"] = str(
                    RETRY_SECONDS if rate.retry_after is None else rate.retry_after
                )
        return _with_rate(response, rate), template, subject

    def _authenticate(self, request: HttpRequest) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token or self.token not in (None, token):
            raise ApiError(401, "Unable to authenticate you")

    def _route(self, request: HttpRequest) -> tuple[Route, dict[str, str]]:
        try:
            endpoint, parts = self._map.bind("localhost").match(request.path, request.method)
        except MethodNotAllowed:
            raise ApiError(405, "This method is not allowed here.") from None
        except HTTPException:
            raise not_found() from None
        return endpoint, dict(parts)

    def _request(self, request: HttpRequest, parts: dict[str, str]) -> Request:
        body: Any = {}
        if request.get_data():
            try:
                body = json.loads(request.get_data())
            except ValueError:
                raise ApiError(400, "Invalid JSON") from None
        if not isinstance(body, dict):
            raise ApiError(400, "A JSON object is needed")
        base = f"{request.scheme}://{request.host}"
        return Request(
            self.account, body, request.args.to_dict(), dict(request.headers), base, request.path, parts
        )


def _subject(method: str, answer: Any, parts: dict[str, str]) -> str:
    """Name what was asked for; or what was made, which is the answer's one object, by its id or name."""
    if method != "POST":
        return next(reversed(parts.values()), "")
    made = next((value for value in (answer or {}).values() if isinstance(value, dict)), {})
    return next((str(made[key]) for key in _SUBJECTS if key in made), next(reversed(parts.values()), ""))


def _json(answer: Any, status: int = 200) -> Response:
    return Response(json.dumps(answer), status, content_type="application/json")


def _refusal(error: ApiError) -> Response:
    request_id = str(uuid.uuid4())
    body = {
        "id": IDENTIFIERS.get(error.status, error.identifier),
        "message": error.message,
        "request_id": request_id,
    }
    response = _json(body, error.status)
    response.headers["x-request-id"] = request_id
    return response


def _with_rate(response: Response, rate: Rate) -> Response:
    response.headers["ratelimit-limit"] = str(rate.limit)
    response.headers["ratelimit-remaining"] = str(rate.remaining)
    response.headers["ratelimit-reset"] = str(rate.reset)
    return response


def _hang_up(environ: dict[str, Any]) -> None:
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was quicker
