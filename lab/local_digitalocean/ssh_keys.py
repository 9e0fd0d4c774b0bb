"""SSH keys."""

import base64
import binascii
import hashlib

from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account, Record

routes = Routes()

routes.lists("/v2/account/keys", "ssh_keys", "ssh_keys")


@routes.add("POST", "/v2/account/keys")
def _create_key(request: Request) -> Answer:
    request.need("name", "public_key")
    account = request.account
    fingerprint = _fingerprint(request.body["public_key"])
    if any(key["fingerprint"] == fingerprint for key in account.all("ssh_keys")):
        raise unprocessable("SSH Key is already in use on your account")
    number = account.number()
    key = {
        "id": number,
        "fingerprint": fingerprint,
        "public_key": request.body["public_key"],
        "name": request.body["name"],
    }
    account.tables["ssh_keys"][str(number)] = key
    return 201, {"ssh_key": key}


def _fingerprint(public_key: str) -> str:
    try:
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        raise unprocessable("Key invalid, key should be of the format `type key [comment]`") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


def ssh_key(account: Account, identifier: object) -> Record | None:
    """Return a key by its number or its fingerprint."""
    for key in account.all("ssh_keys"):
        if str(identifier) in (str(key["id"]), key["fingerprint"]):
            return key
    return None


def _key(request: Request) -> Record:
    key = ssh_key(request.account, request.parts["ssh_key_identifier"])
    if key is None:
        return request.account.get("ssh_keys", "")
    return key


@routes.add("GET", "/v2/account/keys/{ssh_key_identifier}")
def _get_key(request: Request) -> Answer:
    return 200, {"ssh_key": _key(request)}


@routes.add("PUT", "/v2/account/keys/{ssh_key_identifier}")
def _update_key(request: Request) -> Answer:
    key = _key(request)
    key["name"] = request.body.get("name", key["name"])
    return 200, {"ssh_key": key}


@routes.add("DELETE", "/v2/account/keys/{ssh_key_identifier}")
def _delete_key(request: Request) -> Answer:
    del request.account.tables["ssh_keys"][str(_key(request)["id"])]
    return 204, None
