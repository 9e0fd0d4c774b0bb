"""Zones and their records."""

from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account, Record

routes = Routes()
routes.lists("/v2/domains", "domains", "domains")
routes.shows("/v2/domains/{domain_name}", "domains", "domain")

NAME_SERVERS = ("ns1.digitalocean.com", "ns2.digitalocean.com", "ns3.digitalocean.com")
USUAL_TTL, SHORTEST_TTL = 1800, 30
# Values of these are names, and end in a dot (API documentation, "Domain Records").
_NAMES = frozenset({"CNAME", "MX", "NS", "SRV"})
_TYPES = frozenset({"A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"})
_NUMBERS = ("priority", "port", "weight", "flags")


@routes.add("POST", "/v2/domains")
def _create_domain(request: Request) -> Answer:
    request.need("name")
    account, name = request.account, request.body["name"]
    # Zones are unique among all customers; here, in the account.
    account.unique("domains", name, 422, "Name already exists")
    domain = {"name": name, "ttl": USUAL_TTL, "zone_file": f"$ORIGIN {name}.\n$TTL {USUAL_TTL}\n"}
    account.tables["domains"][name] = domain
    _add(account, name, {"type": "SOA", "name": "@", "data": str(USUAL_TTL)})
    for server in NAME_SERVERS:
        _add(account, name, {"type": "NS", "name": "@", "data": server})
    if request.body.get("ip_address"):
        _add(account, name, {"type": "A", "name": "@", "data": request.body["ip_address"]})
    return 201, {"domain": domain}


@routes.add("DELETE", "/v2/domains/{domain_name}")
def _delete_domain(request: Request) -> Answer:
    account, name = request.account, request.parts["domain_name"]
    account.get("domains", name)
    del account.tables["domains"][name]
    for record in _records(account, name):
        del account.tables["records"][str(record["id"])]
    return 204, None


def _records(account: Account, domain: str) -> list[Record]:
    return [record for record in account.all("records") if record["_domain"] == domain]


def _add(account: Account, domain: str, asked: Record) -> Record:
    number = account.number()
    record = {
        "id": number,
        "type": asked["type"],
        "name": asked.get("name") or "@",
        "data": asked["data"],
        "ttl": asked.get("ttl") or USUAL_TTL,
        **{key: asked.get(key) for key in _NUMBERS},
        "tag": asked.get("tag"),
        "_domain": domain,
    }
    account.tables["records"][str(number)] = record
    return record


@routes.add("GET", "/v2/domains/{domain_name}/records")
def _list_records(request: Request) -> Answer:
    domain = request.account.get("domains", request.parts["domain_name"])
    wanted = {key: request.query[key] for key in ("name", "type") if request.query.get(key)}
    if "name" in wanted:  # asked for by the whole name
        wanted["name"] = wanted["name"].removesuffix(domain["name"]).removesuffix(".") or "@"
    records = [
        record
        for record in _records(request.account, domain["name"])
        if all(record[key] == value for key, value in wanted.items())
    ]
    return 200, request.page("domain_records", records)


@routes.add("POST", "/v2/domains/{domain_name}/records")
def _create_record(request: Request) -> Answer:
    account, domain = request.account, request.account.get("domains", request.parts["domain_name"])["name"]
    request.need("type", "data")
    asked = _checked(request.body)
    for other in _records(account, domain):
        if other["name"] != (asked.get("name") or "@"):
            continue
        if "CNAME" in (other["type"], asked["type"]):
            raise unprocessable("CNAME records cannot share a name with other records")
        if (other["type"], other["data"], other["tag"]) == (asked["type"], asked["data"], asked.get("tag")):
            raise unprocessable("Record already exists")
    return 201, {"domain_record": _shown(_add(account, domain, asked))}


def _checked(body: Record) -> Record:
    """Check a record; return it as the API stores it: names without their dot (the provider puts it back)."""
    if body["type"] not in _TYPES:
        raise unprocessable("Type is invalid")
    if body.get("ttl") is not None and body["ttl"] < SHORTEST_TTL:
        raise unprocessable(f"TTL must be at least {SHORTEST_TTL}")
    named = body["type"] in _NAMES or (body["type"] == "CAA" and body.get("tag") != "iodef")
    if body["type"] == "CAA" and not body.get("tag"):
        raise unprocessable("Tag can't be blank")
    data = str(body["data"])
    if named and data != "@" and not data.endswith("."):
        raise unprocessable("Data needs to end with a dot (.)")
    flags = {"flags": body.get("flags") or 0} if body["type"] == "CAA" else {}
    return {**body, **flags, "data": data.removesuffix(".") if named else data}


def _shown(record: Record) -> Record:
    return {key: value for key, value in record.items() if not key.startswith("_")}


def _record(request: Request) -> Record:
    domain = request.account.get("domains", request.parts["domain_name"])["name"]
    record = request.account.get("records", request.parts["domain_record_id"])
    return record if record["_domain"] == domain else request.account.get("records", "")


@routes.add("GET", "/v2/domains/{domain_name}/records/{domain_record_id}")
def _get_record(request: Request) -> Answer:
    return 200, {"domain_record": _shown(_record(request))}


@routes.add("PUT", "/v2/domains/{domain_name}/records/{domain_record_id}")
@routes.add("PATCH", "/v2/domains/{domain_name}/records/{domain_record_id}")
def _update_record(request: Request) -> Answer:
    record = _record(request)
    asked = {**_shown(record), **request.body, "type": record["type"]}  # the provider's edit says no type
    if "data" in request.body:
        asked = _checked(asked)
    record.update({key: asked[key] for key in asked if key in record and key != "id"})
    return 200, {"domain_record": _shown(record)}


@routes.add("DELETE", "/v2/domains/{domain_name}/records/{domain_record_id}")
def _delete_record(request: Request) -> Answer:
    del request.account.tables["records"][str(_record(request)["id"])]
    return 204, None
