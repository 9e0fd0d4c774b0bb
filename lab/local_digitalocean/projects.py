"""Projects and what belongs to them."""

from lab.local_digitalocean.errors import CONFLICT, PRECONDITION_FAILED, ApiError
from lab.local_digitalocean.routes import Answer, Request, Routes, choice
from lab.local_digitalocean.store import Account, Record, public

routes = Routes()

ENVIRONMENTS = ("Development", "Staging", "Production", "")
# Kinds that belong to a project, by what stands in their URN, and the field that identifies one.
_KINDS = {
    "droplet": ("droplets", "id"),
    "dbaas": ("clusters", "id"),
    "loadbalancer": ("load_balancers", "id"),
    "domain": ("domains", "name"),
    "space": ("buckets", "name"),
    "volume": ("volumes", "id"),
}
_ALREADY, _NEWLY, _MISSING = "already_assigned", "assigned", "not_found"


def default(account: Account) -> Record:
    """Return the account's default project; every account has one."""
    for project in account.all("projects"):
        if project["is_default"]:
            return project

    first = {"name": "first-project", "purpose": "Just trying out DigitalOcean", "environment": "Development"}
    return _make(account, first, is_default=True)


def _make(account: Account, body: Record, *, is_default: bool = False) -> Record:
    project = {
        "id": account.uuid(),
        "owner_uuid": account.secrets.setdefault("owner", account.uuid()),
        "owner_id": 1,
        "name": body["name"],
        "description": body.get("description", ""),
        "purpose": body.get("purpose", ""),
        **({"environment": body["environment"]} if body.get("environment") else {}),
        "is_default": is_default,
        "created_at": account.clock.stamp(),
        "updated_at": account.clock.stamp(),
    }
    account.tables["projects"][project["id"]] = project
    return project


def _exists(account: Account, urn: str) -> bool:
    _, kind, identifier = urn.split(":", 2)
    return kind in _KINDS and identifier in account.tables[_KINDS[kind][0]]


def _record(account: Account, urn: str) -> Record:
    _, kind, identifier = urn.split(":", 2)
    return account.tables[_KINDS[kind][0]][identifier]


def check(account: Account, project_id: str | None) -> None:
    """Refuse a project that does not exist, before anything is made for it.

    Raises:
        ApiError: 422.
    """
    if project_id:
        account.referred("projects", project_id, f"project {project_id} not found")


def assign(account: Account, urn: str, project_id: str | None) -> None:
    """Put something into a project, or into the default one."""
    _record(account, urn)["_project"] = project_id or default(account)["id"]


def project_of(account: Account, urn: str) -> str:
    """Return the id of the project that something belongs to."""
    known = _record(account, urn).get("_project")
    return str(known if known in account.tables["projects"] else default(account)["id"])


def _resources(account: Account, project_id: str) -> list[Record]:
    found = []
    for urn_kind, (kind, key) in _KINDS.items():
        for record in account.all(kind):
            urn = f"do:{urn_kind}:{record[key]}"
            if project_of(account, urn) == project_id:
                assigned = record.get("_assigned_at") or record.get("created_at") or account.clock.stamp()
                found.append(
                    {"urn": urn, "assigned_at": assigned, "status": "ok", "links": {"self": _link(urn)}}
                )
    return found


def _link(urn: str) -> str:
    _, kind, identifier = urn.split(":", 2)
    return f"https://api.digitalocean.com/v2/{_KINDS[kind][0]}/{identifier}"


@routes.add("GET", "/v2/projects")
def _list(request: Request) -> Answer:
    default(request.account)
    return 200, request.page("projects", request.account.all("projects"))


@routes.add("POST", "/v2/projects")
def _create(request: Request) -> Answer:
    request.need("name", "purpose")
    choice(request.body, "environment", ENVIRONMENTS)
    default(request.account)
    request.account.unique("projects", request.body["name"], CONFLICT, "name is already in use")
    return 201, {"project": _make(request.account, request.body)}


def _project(request: Request) -> Record:
    identifier = request.parts.get("project_id")
    return default(request.account) if identifier is None else request.account.get("projects", identifier)


@routes.add("GET", "/v2/projects/default", "/v2/projects/{project_id}")
def _get(request: Request) -> Answer:
    return 200, {"project": public(_project(request))}


@routes.add("PUT", "/v2/projects/{project_id}")
@routes.add("PATCH", "/v2/projects/{project_id}")
def _update(request: Request) -> Answer:
    account, project = request.account, _project(request)
    choice(request.body, "environment", ENVIRONMENTS)
    if "name" in request.body:
        account.unique(
            "projects", request.body["name"], CONFLICT, "name is already in use", but=project["id"]
        )
    if request.body.get("is_default"):
        default(account)["is_default"] = False
        project["is_default"] = True
    changed = ("name", "description", "purpose", "environment")
    project.update({key: request.body[key] for key in changed if request.body.get(key) is not None})
    project["updated_at"] = account.clock.stamp()
    return 200, {"project": public(project)}


@routes.add("DELETE", "/v2/projects/{project_id}")
def _delete(request: Request) -> Answer:
    project = _project(request)
    if project["is_default"] or _resources(request.account, project["id"]):
        # Status and wording as the provider's project/resource_project.go waits for them.
        raise ApiError(PRECONDITION_FAILED, "cannot delete a project with resources")
    del request.account.tables["projects"][project["id"]]
    return 204, None


@routes.add("GET", "/v2/projects/{project_id}/resources")
def _list_resources(request: Request) -> Answer:
    return 200, request.page("resources", _resources(request.account, _project(request)["id"]))


@routes.add("POST", "/v2/projects/{project_id}/resources")
def _assign(request: Request) -> Answer:
    account, project = request.account, _project(request)
    answered = []
    for urn in request.body.get("resources") or []:
        status = _MISSING
        if _exists(account, urn):
            status = _ALREADY if project_of(account, urn) == project["id"] else _NEWLY
            record = _record(account, urn)
            record |= {"_project": project["id"], "_assigned_at": account.clock.stamp()}
        links = {"links": {"self": _link(urn)}} if status != _MISSING else {}
        answered.append({"urn": urn, "assigned_at": account.clock.stamp(), "status": status, **links})
    return 200, {"resources": answered}
