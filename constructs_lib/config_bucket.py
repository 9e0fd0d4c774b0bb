"""The private bucket through which a group's configuration travels to its droplets, and the group's key.

A release, a setting, a secret or a program changes an object here and nothing else: droplets fetch what changed and
apply it in turns. In user data the same edit would replace every droplet.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from cdktf import ITerraformDependable, TerraformLocal
from cdktf_cdktf_provider_digitalocean.spaces_bucket_object import SpacesBucketObject
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKey, SpacesKeyGrant
from constructs import Construct

from cloud_init.compose import render_compose
from cloud_init.grafana import render_grafana
from cloud_init.nginx import render_nginx
from cloud_init.observability import render_configuration
from cloud_init.programs import render_programs
from constructs_lib.control_plane import ControlPlane
from constructs_lib.data_layer import DataLayer
from constructs_lib.isolation import isolation_config
from constructs_lib.manifest import manifest, sha256
from constructs_lib.operator_secrets import OperatorSecrets
from constructs_lib.private_bucket import versioned_bucket
from constructs_lib.service_secrets import HEADING, secret_files
from constructs_lib.status_buckets import StatusBuckets
from constructs_lib.telemetry import telemetry_config
from constructs_lib.tenant_plane import TenantPlane
from constructs_lib.terraform_text import address, literal
from model import bucket_access
from model.addresses import config_object_id
from model.config import RegistryPlan
from model.droplets import TENANTS_KEY, DropletGroupPlan, answers_tenants
from model.env_file import env_file
from model.maintenance import MAINTENANCE_KEY
from model.migrations import MIGRATIONS_KEY
from model.naming import ENVIRONMENT_ISOLATION, isolation_key
from model.pool import PoolPlan
from model.runs import EXPIRE_DAYS, REQUESTS
from model.scheduled_jobs import JOBS_KEY, jobs_json
from model.services import Store
from model.status import ENVIRONMENT_MANIFEST, manifest_key
from model.telemetry import TELEMETRY_KEY

# How long the object before an edit stays, as a way back; a replaced secret stays readable as long.
NONCURRENT_DAYS = 30


class ConfigBucket(Construct):
    """A private, versioned bucket with one group's configuration, and the key that the group's droplets hold.

    It holds no data of people, but without it a group gets no release, and no new droplet that serves; so it is
    protected like data. A group that leaves the operators' file takes the protection along, and the bucket goes.

    Attributes:
        access_key: the id of the group's key.
        secret_key: its secret; sensitive.
        objects: what must exist before the first droplet asks for it.
        urn: what is assigned to the project.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        plan: DropletGroupPlan,
        secrets: OperatorSecrets,
        data: DataLayer,
        control_plane: ControlPlane,
        tenant_plane: TenantPlane,
        statuses: StatusBuckets,
        beside: Mapping[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        bucket = versioned_bucket(
            self,
            "bucket",
            name=plan.config.bucket,
            region=plan.config.region,
            noncurrent_days=NONCURRENT_DAYS,
            expire_folders={REQUESTS: EXPIRE_DAYS},
        )
        # Asked for once: each question to the framework costs a message to Node.
        self._bucket_name = bucket.name
        # Grants change in place (provider 2.99.1, spaces/resource_spaces_key.go, Update), so the key stays the same.
        own = SpacesKeyGrant(bucket=self._bucket_name, permission=bucket_access.OWN_CONFIGURATION)
        grants = [own, *statuses.grants(plan)]
        if plan.pool:
            grants.append(tenant_plane.credentials_grant())
        key = SpacesKey(self, "reader", name=plan.config.bucket, grant=grants)
        texts = _texts(plan)
        computed = {
            **secret_files(plan, secrets, data, control_plane, tenant_plane),
            "registry.json": _registry_login(plan.config.registry, secrets),
        }
        # Valkey's certificate may be of the same authority, and its metrics are taken over TLS.
        if plan.placement.connects_to(Store.POSTGRES) or plan.observability:
            computed["ca.pem"] = f"${{{data.certificate_authorities}}}"
        computed |= {name: f"${{jsonencode({known})}}" for name, known in beside.items()}
        if plan.isolation:
            clusters = [data.postgres[key].administration for key in plan.isolation.clusters]
            config = isolation_config(plan.isolation, clusters, tenant_plane.isolated)
            computed[isolation_key(ENVIRONMENT_ISOLATION)] = f"${{jsonencode({config})}}"
        if plan.telemetry:
            computed[TELEMETRY_KEY] = f"${{jsonencode({telemetry_config(plan.telemetry)})}}"
        digests = {name: sha256(text) for name, text in texts.items()}
        objects: list[ITerraformDependable] = [
            self._object(name, literal(text), _md5(text), plan) for name, text in texts.items()
        ]
        for name, template in computed.items():
            written, local = self._computed_object(name, template, plan)
            digests[name] = f"sha256({local})"
            objects.append(written)
        last, _ = self._computed_object(
            manifest_key(ENVIRONMENT_MANIFEST), f"${{jsonencode({manifest(digests)})}}", plan, after=objects
        )
        self.objects = [*objects, last]
        self.access_key = key.access_key
        self.secret_key = key.secret_key
        self.urn = bucket.urn

    def _computed_object(
        self,
        name: str,
        template: str,
        plan: DropletGroupPlan,
        *,
        after: Sequence[ITerraformDependable] = (),
    ) -> tuple[SpacesBucketObject, str]:
        """Return an object whose content Terraform computes, and an expression for that content."""
        local = address(TerraformLocal(self, f"{config_object_id(name)}-content", template))
        return self._object(name, f"${{{local}}}", f"${{md5({local})}}", plan, after=after), local

    def _object(
        self,
        name: str,
        content: str,
        md5: str,
        plan: DropletGroupPlan,
        *,
        after: Sequence[ITerraformDependable] = (),
    ) -> SpacesBucketObject:
        return SpacesBucketObject(
            self,
            config_object_id(name),
            bucket=self._bucket_name,
            region=plan.config.region,
            key=name,
            acl="private",
            content=content,
            content_type="application/json" if name.endswith(".json") else "text/plain",
            # The provider never reads a content back; by its digest a plan sees what was changed by hand
            # (provider documentation, spaces_bucket_object: the ETag is "an MD5 sum of the object content").
            etag=md5,
            depends_on=list(after) or None,
        )


def _texts(plan: DropletGroupPlan) -> dict[str, str]:
    """Return the objects whose content is known before Terraform runs, by key."""
    texts = {
        # Alone in its object: a release is the most frequent edit, and its plan shows it and nothing else.
        "release.json": _json({"images": plan.config.images}),
        "settings.env": HEADING + env_file(plan.config.settings),
        "compose.yaml": render_compose(plan),
        "nginx.conf": render_nginx(plan),
        "programs.json": render_programs(plan),
        MAINTENANCE_KEY: _json(plan.maintenance.as_json()),
    }
    if plan.jobs:
        texts[JOBS_KEY] = _json(jobs_json(plan.jobs))
    if answers_tenants(plan.placement):
        texts[TENANTS_KEY] = _json({"slugs": plan.tenant_slugs})
    if plan.pool:
        texts["pool.json"] = _pool(plan.pool)
    if plan.migrations:
        texts[MIGRATIONS_KEY] = _json({"version": 1, **asdict(plan.migrations)})
    if plan.observability:
        texts["observability.json"] = render_configuration(plan.observability)
        if plan.observability.grafana:
            texts["dashboards.json"] = render_grafana(plan.observability.grafana)
    return texts


def _pool(plan: PoolPlan) -> str:
    """Return what droplet/pool is told: where the credentials are, and what decides how large the pools are."""
    return _json(
        {
            "credentials": f"{plan.credentials}/{plan.folder}",
            "droplets": plan.droplets,
            "connections": plan.connections,
        }
    )


def _registry_login(registry: RegistryPlan, secrets: OperatorSecrets) -> str:
    """Return Docker's own configuration file, so that no password stands on a command line.

    The token is an operator's, read-only: `digitalocean_container_registry_docker_credentials` would be
    minted anew during refresh, and every plan would show a change.
    """
    token = secrets.expression(registry.token_variable)
    user = json.dumps(literal(registry.username)) if registry.username else token
    login = f'base64encode(format("%s:%s", {user}, {token}))'
    return f"${{jsonencode({{ auths = {{ {json.dumps(registry.host)} = {{ auth = {login} }} }} }})}}"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
