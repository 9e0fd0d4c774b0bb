"""Keys of Spaces, which open buckets by grants."""

import secrets

from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account, Record, public

routes = Routes()
routes.lists("/v2/spaces/keys", "spaces_keys", "keys")

PERMISSIONS = ("", "read", "readwrite", "fullaccess")
# What a permission lets do: reading, writing objects, and buckets themselves.
READ, WRITE, ADMINISTER = "read", "write", "administer"
_ALLOWED = {"read": {READ}, "readwrite": {READ, WRITE}, "fullaccess": {READ, WRITE, ADMINISTER}}


def allows(account: Account, access_key: str, bucket: str, what: str) -> bool:
    """Tell whether a key opens a bucket for something. The one that the operators hold opens everything."""
    if access_key == account.secrets.get("spaces_access_key"):
        return True
    key = account.tables["spaces_keys"].get(access_key)
    return key is not None and any(
        what in _ALLOWED.get(grant["permission"], set()) and grant.get("bucket") in ("", bucket)
        for grant in key["grants"]
    )


def known(account: Account, access_key: str) -> bool:
    """Tell whether there is such a key."""
    return access_key in account.tables["spaces_keys"] or access_key == account.secrets.get(
        "spaces_access_key"
    )


def _grants(request: Request) -> list[Record]:
    grants: list[Record] = request.body.get("grants") or []
    for grant in grants:
        if grant.get("permission") not in PERMISSIONS:
            raise unprocessable(f"invalid permission: {grant.get('permission')}")
        if grant["permission"] == "fullaccess":
            if grant.get("bucket"):
                raise unprocessable("a grant of full access names no bucket")
        else:
            request.account.referred(
                "buckets", grant.get("bucket"), f"bucket {grant.get('bucket')} not found"
            )
    return grants


def _key(request: Request) -> Record:
    return request.account.get("spaces_keys", request.parts["access_key"])


@routes.add("POST", "/v2/spaces/keys")
def _create(request: Request) -> Answer:
    request.need("name")
    account = request.account
    key = {
        "name": request.body["name"],
        "grants": _grants(request),
        "access_key": "LOCAL" + secrets.token_hex(8).upper(),
        "created_at": account.clock.stamp(),
        "_secret": secrets.token_urlsafe(32),
    }
    account.tables["spaces_keys"][key["access_key"]] = key
    return 201, {"key": {**public(key), "secret_key": key["_secret"]}}  # shown this once


@routes.add("GET", "/v2/spaces/keys/{access_key}")
def _get(request: Request) -> Answer:
    key = public(_key(request))
    # The document says "keys", a list; the provider's client reads "key".
    return 200, {"key": key, "keys": [key]}


@routes.add("PUT", "/v2/spaces/keys/{access_key}")
@routes.add("PATCH", "/v2/spaces/keys/{access_key}")
def _update(request: Request) -> Answer:
    key = _key(request)
    key["name"] = request.body.get("name") or key["name"]
    if "grants" in request.body:
        key["grants"] = _grants(request)
    return 200, {"key": public(key)}


@routes.add("DELETE", "/v2/spaces/keys/{access_key}")
def _delete(request: Request) -> Answer:
    del request.account.tables["spaces_keys"][_key(request)["access_key"]]
    return 204, None
