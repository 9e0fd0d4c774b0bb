"""Tags, and the resources that have them."""

import re

from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account, Record

routes = Routes()

_TAG_NAME = re.compile(r"^[a-zA-Z0-9_:-]{1,255}$")  # OpenAPI document, schema "tags"


def _tag(account: Account, name: str) -> Record:
    """Return a tag with the number of its resources."""
    resources: Record = {"count": 0}
    for key, kind in {"droplets": "droplets", "databases": "clusters", "images": "", "volumes": "",
                      "volume_snapshots": ""}.items():  # fmt: skip
        count = sum(1 for _ in account.tagged(kind, name)) if kind else 0
        resources[key] = {"count": count}
        resources["count"] += count
    return {"name": name, "resources": resources}


@routes.add("GET", "/v2/tags")
def _list_tags(request: Request) -> Answer:
    account = request.account
    return 200, request.page("tags", [_tag(account, name) for name in account.tables["tags"]])


@routes.add("POST", "/v2/tags")
def _create_tag(request: Request) -> Answer:
    request.need("name")
    name = request.body["name"]
    if not _TAG_NAME.match(name):
        raise unprocessable("Name can only contain letters, numbers, colons, dashes, and underscores")
    request.account.tag_all([name])  # an existing tag is no error
    return 201, {"tag": _tag(request.account, name)}


@routes.add("GET", "/v2/tags/{tag_id}")
def _get_tag(request: Request) -> Answer:
    request.account.get("tags", request.parts["tag_id"])
    return 200, {"tag": _tag(request.account, request.parts["tag_id"])}


@routes.add("DELETE", "/v2/tags/{tag_id}")
def _delete_tag(request: Request) -> Answer:
    account, name = request.account, request.parts["tag_id"]
    account.get("tags", name)
    for kind in ("droplets", "clusters", "firewalls"):
        for record in account.tagged(kind, name):
            record["tags"] = [tag for tag in record["tags"] if tag != name]
    del account.tables["tags"][name]
    return 204, None


@routes.add("POST", "/v2/tags/{tag_id}/resources")
def _tag_resources(request: Request) -> Answer:
    return _retag(request, add=True)


@routes.add("DELETE", "/v2/tags/{tag_id}/resources")
def _untag_resources(request: Request) -> Answer:
    return _retag(request, add=False)


def _retag(request: Request, *, add: bool) -> Answer:
    account, name = request.account, request.parts["tag_id"]
    account.get("tags", name)
    request.need("resources")
    kinds = {"droplet": "droplets", "database": "clusters"}
    for resource in request.body["resources"]:
        kind = kinds.get(str(resource.get("resource_type")))
        if kind is None:
            raise unprocessable("resource_type is invalid")
        record = account.get(kind, resource.get("resource_id"))
        others = [tag for tag in record["tags"] if tag != name]
        record["tags"] = [*others, name] if add else others
    return 204, None
