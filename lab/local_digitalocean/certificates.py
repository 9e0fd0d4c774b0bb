"""Certificates: from Let's Encrypt, and custom ones."""

import hashlib
from datetime import UTC

from cryptography import x509

from lab.local_digitalocean.errors import FORBIDDEN, ApiError, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account

routes = Routes()
routes.shows("/v2/certificates/{certificate_id}", "certificates", "certificate")

LETS_ENCRYPT_SECONDS = 90 * 24 * 3600


@routes.add("GET", "/v2/certificates")
def _list_certificates(request: Request) -> Answer:
    name = request.query.get("name")
    found = [one for one in request.account.all("certificates") if not name or one["name"] == name]
    return 200, request.page("certificates", found)


@routes.add("POST", "/v2/certificates")
def _create_certificate(request: Request) -> Answer:
    request.need("name")
    account, body = request.account, request.body
    kind = body.get("type") or "custom"
    account.unique("certificates", body["name"], 422, "Certificate name already exists")
    if kind == "lets_encrypt":
        request.need("dns_names")
        names = body["dns_names"]
        for name in names:
            _zone(account, name)
        expiry = account.clock.stamp(LETS_ENCRYPT_SECONDS)
    elif kind == "custom":
        request.need("private_key", "leaf_certificate")
        names, expiry = _custom(body["leaf_certificate"])
    else:
        raise unprocessable(f"type is invalid: {kind}")
    identifier = account.uuid()
    certificate = {
        "id": identifier,
        "name": body["name"],
        "type": kind,
        "dns_names": names,
        "state": "pending" if kind == "lets_encrypt" else "verified",
        "created_at": account.clock.stamp(),
        "not_after": expiry,
        "sha1_fingerprint": hashlib.sha1(identifier.encode(), usedforsecurity=False).hexdigest(),
    }
    account.tables["certificates"][identifier] = certificate
    if kind == "lets_encrypt":
        account.schedule(account.durations.certificate, "certificates", identifier, state="verified")
    return 201, {"certificate": certificate}


def _zone(account: Account, name: str) -> None:
    """Refuse a name without a zone in the account: Let's Encrypt needs its DNS."""
    bare = name.removeprefix("*.")
    if not any(bare == zone or bare.endswith(f".{zone}") for zone in account.tables["domains"]):
        raise unprocessable(f"domain {bare} is not managed by DigitalOcean DNS in this account")


def _custom(pem: str) -> tuple[list[str], str]:
    try:
        leaf = x509.load_pem_x509_certificate(pem.encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        raise unprocessable("leaf_certificate is invalid") from None
    expiry = leaf.not_valid_after_utc.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [str(name) for name in names.get_values_for_type(x509.DNSName)], expiry


@routes.add("DELETE", "/v2/certificates/{certificate_id}")
def _delete_certificate(request: Request) -> Answer:
    account = request.account
    certificate = account.get("certificates", request.parts["certificate_id"])
    for balancer in account.all("load_balancers"):
        if any(rule.get("certificate_id") == certificate["id"] for rule in balancer["forwarding_rules"]):
            # Status and wording as the provider's certificate/resource_certificate.go waits for them.
            raise ApiError(FORBIDDEN, "Make sure the certificate is not in use before deleting it")
    del account.tables["certificates"][certificate["id"]]
    return 204, None
