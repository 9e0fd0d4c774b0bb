"""Requests and answers, checked against DigitalOcean's OpenAPI document; and that every endpoint was called at all."""

import os
from functools import cache
from pathlib import Path

import pytest

from lab.local_digitalocean.app import ROUTES
from lab.local_digitalocean.routes import Route
from tests.lab.local_digitalocean.client import Api, Exchange
from tests.lab.local_digitalocean.openapi import Document, matches
from tests.lab.local_digitalocean.tour import TOURS

VARIABLE = "DIGITALOCEAN_OPENAPI"
HOW = (
    f"{VARIABLE} names no file: clone github.com/digitalocean/openapi, run `npx @apidevtools/swagger-cli bundle "
    "specification/DigitalOcean-public.v2.yaml --outfile digitalocean.json`, and set it to that file"
)
# What the document says and cannot mean: nobody sends it, the provider's client included.
SLIPS = frozenset(
    {"request : 'method' is a required property"}
)  # of an uptime check, which has no such property


@cache
def exchanges() -> tuple[Exchange, ...]:
    found: list[Exchange] = []
    for tour in TOURS:
        api = Api()
        tour(api)
        found += api.exchanges
    return tuple(found)


@cache
def document() -> Document:
    file = Path(os.environ.get(VARIABLE, ""))
    if not file.is_file():
        pytest.skip(HOW)
    return Document(file)


def route_of(exchange: Exchange) -> Route:
    """The most literal of the templates that match: /projects/default before /projects/{project_id}."""
    found = [one for one in ROUTES if one.method == exchange.method and matches(one.template, exchange.path)]
    return min(found, key=lambda route: route.template.count("{"))


def name(route: Route) -> str:
    return f"{route.method} {route.template}"


def test_every_endpoint_is_called_and_succeeds() -> None:
    called = {name(route_of(exchange)) for exchange in exchanges() if exchange.status < 300}
    assert {name(route) for route in ROUTES} == called


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_an_endpoint_is_what_the_document_says(route: Route) -> None:
    found = document()
    assert found.has(route.method, route.template), "the document has no such endpoint"
    wrong = []
    for exchange in exchanges():
        if route_of(exchange) != route:
            continue
        wrong += [
            f"request {one}" for one in found.request_errors(route.method, route.template, exchange.body)
        ]
        answered = found.answer_errors(route.method, route.template, exchange.status, exchange.answer)
        wrong += [f"answer {exchange.status} {one}" for one in answered]
    assert not set(wrong) - SLIPS


def test_refusals_are_what_the_document_says() -> None:
    found, api = document(), Api()
    api.refused(404, "GET", "/v2/droplets/1")
    api.refused(422, "POST", "/v2/vpcs", {"name": "x"})
    for exchange in api.exchanges:
        route = route_of(exchange)
        assert found.answer_errors(route.method, route.template, exchange.status, exchange.answer) == []


def test_a_wrong_answer_is_found_by_the_check() -> None:
    """The check itself can fail: a droplet without a status, and one with a status that there is not."""
    found = document()
    droplet = next(one for one in exchanges() if one.path == "/v2/droplets" and one.method == "POST").answer[
        "droplet"
    ]
    template = "/v2/droplets/{droplet_id}"
    assert found.answer_errors("GET", template, 200, {"droplet": droplet}) == []
    without = {key: value for key, value in droplet.items() if key != "status"}
    assert found.answer_errors("GET", template, 200, {"droplet": without})
    assert found.answer_errors("GET", template, 200, {"droplet": {**droplet, "status": "asleep"}})
