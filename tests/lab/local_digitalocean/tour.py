"""Every endpoint that the stand-in serves, called at least once as the provider or our tools call it."""

from collections.abc import Callable
from typing import Any

from lab.local_digitalocean.monitoring import HEALTH
from tests.lab.local_digitalocean.client import KEY, Api

PAGES = "?page=1&per_page=200"
POSTGRES_CONFIG = {
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": 60000,
    "temp_file_limit": 5242880,
}


def networking(api: Api) -> None:
    vpc = api.vpc()
    other = api.vpc("other", "10.61.0.0/24")
    api.do("GET", f"/v2/vpcs{PAGES}")
    api.do("GET", f"/v2/vpcs/{vpc['id']}")
    api.do("PUT", f"/v2/vpcs/{vpc['id']}", {"name": "renamed", "description": "a network"})
    api.do("GET", f"/v2/vpcs/{vpc['id']}/members")
    api.do("DELETE", f"/v2/vpcs/{other['id']}")
    api.do("POST", "/v2/tags", {"name": "staging"})
    api.do("GET", "/v2/tags")
    api.do("GET", "/v2/tags/staging")
    droplet = api.droplet(tags=["staging"])
    resource = {"resources": [{"resource_id": str(droplet["id"]), "resource_type": "droplet"}]}
    api.do("POST", "/v2/tags/staging/resources", resource)
    api.do("DELETE", "/v2/tags/staging/resources", resource)
    key = api.do("POST", "/v2/account/keys", {"name": "ops", "public_key": KEY})
    api.do("GET", "/v2/account/keys")
    api.do("GET", f"/v2/account/keys/{key['id']}")
    api.do("PUT", f"/v2/account/keys/{key['fingerprint']}", {"name": "others"})
    api.do("DELETE", f"/v2/account/keys/{key['id']}")
    api.do("GET", "/v2/account")
    api.do("GET", "/v2/regions")
    api.do("GET", "/v2/sizes")
    firewalls(api)
    api.do("DELETE", "/v2/tags/staging")


def firewalls(api: Api) -> None:
    rule = {
        "protocol": "tcp",
        "ports": "443",
        "sources": {"addresses": ["192.0.2.0/24"], "tags": ["staging"]},
    }
    everywhere = {"protocol": "udp", "ports": "all", "destinations": {"addresses": ["0.0.0.0/0", "::/0"]}}
    wanted = {"name": "web", "inbound_rules": [rule], "outbound_rules": [everywhere], "tags": ["staging"]}
    firewall = api.do("POST", "/v2/firewalls", wanted)
    api.do("GET", "/v2/firewalls")
    api.do("GET", f"/v2/firewalls/{firewall['id']}")
    api.do("PUT", f"/v2/firewalls/{firewall['id']}", {**wanted, "outbound_rules": []})
    api.wait()
    api.do("GET", f"/v2/firewalls/{firewall['id']}")
    api.do("DELETE", f"/v2/firewalls/{firewall['id']}")


def edge(api: Api) -> None:
    api.vpc()
    api.do("POST", "/v2/domains", {"name": "example.com"})
    api.do("GET", "/v2/domains")
    api.do("GET", "/v2/domains/example.com")
    records = "/v2/domains/example.com/records"
    caa = {"type": "CAA", "name": "@", "data": "letsencrypt.org.", "flags": 0, "tag": "issue", "ttl": 1800}
    api.do("POST", records, caa)
    record = api.do("POST", records, {"type": "A", "name": "*", "data": "192.0.2.1", "ttl": 300})
    api.do("GET", records)
    api.do("GET", f"{records}/{record['id']}")
    api.do("PUT", f"{records}/{record['id']}", {"type": "A", "name": "*", "data": "192.0.2.2", "ttl": 60})
    api.do("PATCH", f"{records}/{record['id']}", {"type": "A", "ttl": 90})
    certificate = api.certificate("edge", "example.com", "*.example.com")
    api.do("GET", f"/v2/certificates/{certificate['id']}")
    api.wait()
    api.do("GET", "/v2/certificates?name=edge")
    balancer = api.balancer(certificate["id"], tag="web", size_unit=1)
    api.do("GET", f"/v2/load_balancers/{balancer['id']}")
    api.wait()
    api.do("GET", "/v2/load_balancers")
    change = {key: balancer[key] for key in ("name", "forwarding_rules", "algorithm", "health_check")}
    api.do(
        "PUT",
        f"/v2/load_balancers/{balancer['id']}",
        {**change, "region": "fra1", "tag": "web", "redirect_http_to_https": True},
    )
    api.droplet(tags=["web"])
    api.wait()
    api.do("GET", f"{HEALTH}?lb_id={balancer['id']}&start=1&end=2")
    api.do("DELETE", f"/v2/load_balancers/{balancer['id']}")
    api.do("DELETE", f"/v2/certificates/{certificate['id']}")
    api.do("DELETE", f"{records}/{record['id']}")
    api.do("DELETE", "/v2/domains/example.com")


def droplets(api: Api) -> None:
    vpc = api.vpc()
    droplet = api.droplet(vpc_uuid=vpc["id"], monitoring=True, user_data="#cloud-config\n", tags=["web"])
    path = f"/v2/droplets/{droplet['id']}"
    api.do("GET", path)
    api.wait()
    api.do("GET", f"/v2/droplets{PAGES}")
    action = api.do("POST", f"{path}/actions", {"type": "shutdown"})
    api.do("GET", f"{path}/actions/{action['id']}")
    api.wait()
    api.do("GET", f"/v2/actions/{action['id']}")
    api.do("GET", f"{path}/actions")
    api.do("DELETE", path)
    autoscale(api)


def autoscale(api: Api) -> None:
    key = api.do("POST", "/v2/account/keys", {"name": "ops", "public_key": KEY})
    template = {
        "region": "fra1",
        "size": "s-1vcpu-1gb",
        "image": "debian-13-x64",
        "ssh_keys": [key["fingerprint"]],
    }
    config = {"min_instances": 1, "max_instances": 3, "target_cpu_utilization": 0.6}
    pool = api.do(
        "POST", "/v2/droplets/autoscale", {"name": "web", "config": config, "droplet_template": template}
    )
    path = f"/v2/droplets/autoscale/{pool['id']}"
    api.do("GET", path)
    api.do("GET", "/v2/droplets/autoscale")
    api.do("GET", f"{path}/members")
    api.do(
        "PUT", path, {"name": "web", "config": {"target_number_instances": 2}, "droplet_template": template}
    )
    api.do("DELETE", path)
    pool = api.do(
        "POST", "/v2/droplets/autoscale", {"name": "web", "config": config, "droplet_template": template}
    )
    api.do("DELETE", f"/v2/droplets/autoscale/{pool['id']}/dangerous", X_Dangerous="true")


def clusters(api: Api) -> None:
    vpc = api.vpc()
    cluster = api.cluster(private_network_uuid=vpc["id"], tags=["staging"])
    path = f"/v2/databases/{cluster['id']}"
    api.do("GET", path)
    api.wait()
    api.do("GET", "/v2/databases")
    api.do("PUT", f"{path}/maintenance", {"day": "tuesday", "hour": "02:00"})
    api.do("PUT", f"{path}/resize", {"size": "db-s-2vcpu-4gb", "num_nodes": 2})
    api.do("GET", path)
    api.wait()
    api.do("GET", f"{path}/ca")
    api.do("GET", f"{path}/config")
    api.do("PATCH", f"{path}/config", {"config": POSTGRES_CONFIG})
    api.do(
        "PUT",
        f"{path}/firewall",
        {"rules": [{"type": "tag", "value": "staging"}, {"type": "ip_addr", "value": "192.0.2.1"}]},
    )
    api.do("GET", f"{path}/firewall")
    inside(api, path)
    backups = api.do("GET", f"{path}/backups")["backups"]
    restore = {"database_name": "main-db", "backup_created_at": backups[0]["created_at"]}
    other = api.cluster(name="restored", size="db-s-2vcpu-4gb", backup_restore=restore)
    api.do("DELETE", f"/v2/databases/{other['id']}")
    old = api.cluster(name="old", version="15")
    api.wait()
    api.do("PUT", f"/v2/databases/{old['id']}/upgrade", {"version": "17"})
    api.do("GET", "/v2/databases/metrics/credentials")
    api.do("DELETE", path)
    valkey(api)


def inside(api: Api, path: str) -> None:
    api.do("POST", f"{path}/dbs", {"name": "tenant_a"})
    api.do("GET", f"{path}/dbs")
    api.do("GET", f"{path}/dbs/tenant_a")
    api.do("POST", f"{path}/users", {"name": "tenant_a_g1"})
    api.do("GET", f"{path}/users")
    api.do("GET", f"{path}/users/tenant_a_g1")
    api.do("POST", f"{path}/users/tenant_a_g1/reset_auth", {})
    api.do(
        "POST",
        f"{path}/pools",
        {"name": "pool", "mode": "transaction", "size": 5, "db": "tenant_a", "user": "tenant_a_g1"},
    )
    api.do("GET", f"{path}/pools")
    api.do("GET", f"{path}/pools/pool")
    api.do(
        "PUT", f"{path}/pools/pool", {"mode": "session", "size": 6, "db": "tenant_a", "user": "tenant_a_g1"}
    )
    api.do("DELETE", f"{path}/pools/pool")
    api.do("DELETE", f"{path}/users/tenant_a_g1")
    api.do("DELETE", f"{path}/dbs/tenant_a")


def valkey(api: Api) -> None:
    cluster = api.cluster(name="cache", engine="valkey", version="8", size="db-s-1vcpu-1gb")
    path = f"/v2/databases/{cluster['id']}"
    api.wait()
    api.do("GET", path)
    api.do("PUT", f"{path}/eviction_policy", {"eviction_policy": "noeviction"})
    api.do("GET", f"{path}/eviction_policy")
    api.do("PATCH", f"{path}/config", {"config": {"valkey_ssl": True, "valkey_persistence": "rdb"}})
    api.do("GET", f"{path}/config")
    server = {"server": "logs.example.org", "port": 6514, "tls": True, "format": "rfc5424"}
    wanted = {"sink_name": "staging-logs", "sink_type": "rsyslog", "config": server}
    sink = f"{path}/logsink/{api.ask('POST', f'{path}/logsink', wanted).answer['sink']['sink_id']}"
    api.do("GET", f"{path}/logsink")
    api.do("GET", sink)
    api.do("PUT", sink, {"config": {**server, "port": 601}})
    api.do("DELETE", sink)


def projects(api: Api) -> None:
    wanted = {"name": "staging", "purpose": "Web Application", "environment": "Staging"}
    project = api.do("POST", "/v2/projects", wanted)
    path = f"/v2/projects/{project['id']}"
    api.do("GET", f"/v2/projects{PAGES}")
    api.do("GET", path)
    api.do("GET", "/v2/projects/default")
    api.do("PUT", path, {**wanted, "description": "Test data only", "is_default": False})
    api.do("PATCH", path, {"name": "renamed"})
    droplet = api.droplet()
    api.do("POST", f"{path}/resources", {"resources": [f"do:droplet:{droplet['id']}", "do:droplet:1"]})
    api.do("GET", f"{path}/resources{PAGES}")
    default = api.do("GET", "/v2/projects/default")["project"]
    api.do("POST", f"/v2/projects/{default['id']}/resources", {"resources": [f"do:droplet:{droplet['id']}"]})
    api.do("DELETE", path)


def spaces_keys(api: Api) -> None:
    api.account.tables["buckets"]["exports"] = {"name": "exports", "region": "fra1"}
    grant = {"bucket": "exports", "permission": "read"}
    key = api.do("POST", "/v2/spaces/keys", {"name": "reader", "grants": [grant]})
    path = f"/v2/spaces/keys/{key['access_key']}"
    api.do("GET", f"/v2/spaces/keys{PAGES}")
    api.do("GET", path)
    api.do("PUT", path, {"name": "renamed", "grants": [grant]})
    api.do("PATCH", path, {"name": "again"})
    api.do("DELETE", path)


def monitoring(api: Api) -> None:
    alert: dict[str, Any] = {
        "type": "v1/insights/droplet/cpu", "description": "CPU", "compare": "GreaterThan", "value": 90, "window": "5m",
        "entities": [], "tags": [], "enabled": True, "alerts": {"email": ["ops@example.com"], "slack": []},
    }  # fmt: skip
    policy = api.do("POST", "/v2/monitoring/alerts", alert)
    path = f"/v2/monitoring/alerts/{policy['uuid']}"
    api.do("GET", "/v2/monitoring/alerts")
    api.do("GET", path)
    api.do("PUT", path, {**alert, "value": 80})
    api.do("DELETE", path)
    wanted = {
        "name": "api",
        "type": "https",
        "target": "https://api.example.com/healthz",
        "regions": ["eu_west"],
        "enabled": True,
    }
    check = api.do("POST", "/v2/uptime/checks", wanted)
    path = f"/v2/uptime/checks/{check['id']}"
    api.do("GET", "/v2/uptime/checks")
    api.do("GET", path)
    api.do("PUT", path, {**wanted, "name": "renamed"})
    notifications = {"email": ["ops@example.com"], "slack": []}
    wanted_alert = {"name": "down", "type": "down", "period": "2m", "notifications": notifications}
    made = api.do("POST", f"{path}/alerts", wanted_alert)
    api.do("GET", f"{path}/alerts")
    api.do("GET", f"{path}/alerts/{made['id']}")
    api.do("PUT", f"{path}/alerts/{made['id']}", {**wanted_alert, "period": "5m"})
    api.do("DELETE", f"{path}/alerts/{made['id']}")
    api.do("DELETE", path)


def volumes(api: Api) -> None:
    api.vpc()
    droplet = api.droplet()
    api.wait()
    wanted = {"name": "metrics", "region": "fra1", "size_gigabytes": 20, "tags": ["staging"]}
    volume = api.do("POST", "/v2/volumes", wanted)
    path = f"/v2/volumes/{volume['id']}"
    api.do("GET", "/v2/volumes")
    api.do("GET", path)
    for one in (
        {"type": "attach", "droplet_id": droplet["id"]},
        {"type": "resize", "size_gigabytes": 30},
        {"type": "detach", "droplet_id": droplet["id"]},
    ):
        action = api.do("POST", f"{path}/actions", {**one, "region": "fra1"})
        api.wait()
        api.do("GET", f"{path}/actions/{action['id']}")
    api.do("DELETE", path)


TOURS: tuple[Callable[[Api], None], ...] = (
    networking, edge, droplets, clusters, projects, spaces_keys, monitoring, volumes,
)  # fmt: skip
