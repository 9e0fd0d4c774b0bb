"""Two small stacks that keep every policy: an environment, and a cell of it. What `broken.py` edits."""

import copy
from typing import Any

Json = dict[str, Any]

TENANT = "10000000-0000-4000-8000-000000000001"
CELL_TENANT = "30000000-0000-4000-8000-000000000001"
RETIRED = "20000000-0000-4000-8000-000000000001"

USER_DATA = """#cloud-config
ssh_pwauth: false
write_files:
  - path: /etc/ssh/sshd_config.d/hardening.conf
    content: |
      PasswordAuthentication no
  - path: /etc/firewall.nft
    content: |
      table inet presence360 {
        chain forward {
          type filter hook forward priority filter;
          ip daddr 169.254.0.0/16 counter drop
        }
      }
"""
KEEP = {"prevent_destroy": True}
CHANNELS = {"email": ["operations@example.com"]}
EXPIRES = {
    "id": "old", "enabled": True, "abort_incomplete_multipart_upload_days": 1,
    "noncurrent_version_expiration": {"days": 30},
}  # fmt: skip
NAME_OF_VPC = "${digitalocean_vpc.main.id}"


def _ref(kind: str, name: str, attribute: str) -> str:
    return f"${{digitalocean_{kind}.{name}.{attribute}}}"


def _bucket(what: str, *rules: Json) -> Json:
    return {
        "name": f"presence360-staging-{what}", "region": "fra1", "acl": "private", "force_destroy": False,
        "versioning": {"enabled": True}, "lifecycle_rule": [EXPIRES, *rules], "lifecycle": KEEP,
    }  # fmt: skip


def _cluster(name: str, engine: str, version: str, **more: Any) -> Json:
    return {
        "name": f"staging-{name}", "engine": engine, "version": version, "size": "db-s-1vcpu-2gb", "node_count": 2,
        "region": "fra1", "private_network_uuid": NAME_OF_VPC, "project_id": _ref("project", "main", "id"),
        "maintenance_window": [{"day": "sunday", "hour": "01:00"}], "tags": [_ref("tag", "environment", "name")],
        "lifecycle": KEEP | {"ignore_changes": ["project_id"]}, **more,
    }  # fmt: skip


def _firewall_of(cluster: str, **more: Any) -> Json:
    return {
        "cluster_id": _ref("database_cluster", cluster, "id"),
        "rule": [{"type": "tag", "value": _ref("tag", "app", "name")}],
        **more,
    }


def _alert(kind: str, **watched: Any) -> Json:
    return {
        "type": f"v1/{kind}", "description": kind, "compare": "GreaterThan", "value": 90, "window": "10m",
        "enabled": True, "alerts": CHANNELS, **watched,
    }  # fmt: skip


def _on_clusters(measure: str, clusters: tuple[str, ...]) -> Json:
    return _alert(
        f"dbaas/alerts/{measure}", entities=[_ref("database_cluster", cluster, "id") for cluster in clusters]
    )


def _terraform(key: str) -> Json:
    return {
        "required_version": ">= 1.10",
        "required_providers": {
            "digitalocean": {"source": "digitalocean/digitalocean", "version": ">= 2.99.1, < 3.0.0"}
        },
        "backend": {
            "s3": {
                "bucket": "presence360-staging-state",
                "key": key,
                "region": "us-east-1",
                "use_lockfile": True,
            }
        },
    }


PROVIDER = {"digitalocean": [{"requests_per_second": 4}]}


def environment() -> Json:
    """Return the environment's stack."""
    machine = {
        "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", "monitoring": True, "resize_disk": False,
        "ssh_keys": [_ref("ssh_key", "ops", "fingerprint")], "vpc_uuid": NAME_OF_VPC,
        "tags": [_ref("tag", "environment", "name"), _ref("tag", "app", "name")], "user_data": "${local.user_data}",
        "depends_on": ["digitalocean_firewall.app"], "lifecycle": {"create_before_destroy": True},
    }  # fmt: skip
    everywhere = ["0.0.0.0/0", "::/0"]
    return copy.deepcopy({
        "terraform": _terraform("staging.tfstate"),
        "provider": PROVIDER,
        "variable": {"staging_token": {"type": "string", "sensitive": True}},
        "locals": {
            "user_data": USER_DATA,
            "tenants": {TENANT: {"slug": "grace", "name": "Grace Chapel", "connections": 5}},
            "generations": {f"{TENANT}_g1": ""},
            "retired": {RETIRED: ""},
        },
        "moved": [{
            "from": f'digitalocean_database_db.tenant["{RETIRED}"]',
            "to": f'digitalocean_database_db.retired["{RETIRED}"]',
        }],
        "output": {
            "host": {"value": _ref("database_cluster", "pg", "private_host")},
            "login": {"value": _ref("database_user", "control", "password"), "sensitive": True},
        },
        "resource": {
            "digitalocean_project": {"main": {
                "name": "staging-presence360", "environment": "Production", "purpose": "Web Application",
            }},
            "digitalocean_project_resources": {"main": {
                "project": _ref("project", "main", "id"),
                "resources": [
                    _ref("domain", "zone", "urn"), _ref("droplet", "app", "urn"),
                    *(_ref("spaces_bucket", name, "urn") for name in ("config", "status", "credentials", "exports")),
                ],
            }},
            "digitalocean_vpc": {"main": {"name": "staging-vpc", "region": "fra1", "ip_range": "10.60.0.0/20"}},
            "digitalocean_tag": {"environment": {"name": "staging"}, "app": {"name": "staging-group-app"}},
            "digitalocean_ssh_key": {"ops": {"name": "staging-ops", "public_key": "ssh-ed25519 AAAAC3Nza ops"}},
            "digitalocean_droplet": {"app": {"name": "staging-app-1", **machine}},
            "digitalocean_firewall": {"app": {
                "name": "staging-app",
                "tags": [_ref("tag", "app", "name")],
                "inbound_rule": [
                    {"protocol": "tcp", "port_range": "22", "source_addresses": ["198.51.100.7/32"]},
                    {"protocol": "tcp", "port_range": "443",
                     "source_load_balancer_uids": [_ref("loadbalancer", "app", "id")]},
                ],
                "outbound_rule": [
                    {"protocol": "tcp", "port_range": "443", "destination_addresses": everywhere},
                    {"protocol": "udp", "port_range": "53", "destination_addresses": everywhere},
                ],
            }},
            "digitalocean_loadbalancer": {"app": {
                "name": "staging-app", "region": "fra1", "vpc_uuid": NAME_OF_VPC,
                "droplet_tag": _ref("tag", "app", "name"), "redirect_http_to_https": True,
                "tls_cipher_policy": "STRONG", "disable_lets_encrypt_dns_records": True,
                "forwarding_rule": [{
                    "entry_protocol": "https", "entry_port": 443, "target_protocol": "https", "target_port": 443,
                    "certificate_name": _ref("certificate", "edge", "name"),
                }],
                "healthcheck": {
                    "protocol": "https", "port": 443, "path": "/healthz", "check_interval_seconds": 5,
                    "unhealthy_threshold": 2,
                },
            }},
            "digitalocean_certificate": {"edge": {
                "name": "staging-edge-1", "type": "lets_encrypt",
                "domains": ["staging.example.com", "*.staging.example.com"],
                "lifecycle": {"create_before_destroy": True},
            }},
            "digitalocean_domain": {"zone": {"name": "staging.example.com", "lifecycle": KEEP}},
            "digitalocean_record": {
                "api": {"domain": _ref("domain", "zone", "id"), "type": "A", "name": "api", "ttl": 300,
                        "value": _ref("loadbalancer", "app", "ip")},
                "wildcard": {"domain": _ref("domain", "zone", "id"), "type": "A", "name": "*", "ttl": 300,
                             "value": _ref("loadbalancer", "app", "ip")},
                **{f"caa_{tag}": {
                    "domain": _ref("domain", "zone", "id"), "type": "CAA", "name": "@", "ttl": 300, "flags": 0,
                    "tag": tag, "value": "letsencrypt.org.",
                } for tag in ("issue", "issuewild")},
            },
            "digitalocean_database_cluster": {
                "pg": _cluster("pg", "pg", "17"),
                "valkey": _cluster("valkey", "valkey", "8", eviction_policy="noeviction"),
            },
            "digitalocean_database_firewall": {"pg": _firewall_of("pg"), "valkey": _firewall_of("valkey")},
            "digitalocean_database_valkey_config": {"valkey": {
                "cluster_id": _ref("database_cluster", "valkey", "id"), "ssl": True,
            }},
            "digitalocean_database_postgresql_config": {"pg": {
                "cluster_id": _ref("database_cluster", "pg", "id"), "idle_in_transaction_session_timeout": 60000,
            }},
            "digitalocean_database_logsink_rsyslog": {"pg": {
                "cluster_id": _ref("database_cluster", "pg", "id"), "name": "staging-logs",
                "server": "logs.example.com", "port": 6514, "tls": True,
            }},
            "digitalocean_database_db": {
                "control": {"cluster_id": _ref("database_cluster", "pg", "id"), "name": "control_plane",
                            "lifecycle": KEEP},
                "tenant": {"for_each": "${local.tenants}", "cluster_id": _ref("database_cluster", "pg", "id"),
                           "name": "tenant_${each.key}", "lifecycle": KEEP},
                "retired": {"for_each": "${local.retired}", "cluster_id": _ref("database_cluster", "pg", "id"),
                            "name": "tenant_${each.key}"},
            },
            "digitalocean_database_user": {
                "control": {"cluster_id": _ref("database_cluster", "pg", "id"), "name": "control_plane"},
                "tenant": {"for_each": "${local.generations}", "cluster_id": _ref("database_cluster", "pg", "id"),
                           "name": "tenant_${each.key}"},
            },
            "digitalocean_spaces_bucket": {
                "config": _bucket("config-app"),
                "status": _bucket("status-app"),
                "credentials": _bucket("tenant-credentials"),
                "exports": _bucket("exports", EXPIRES | {"prefix": "exports/", "expiration": {"days": 7}}),
            },
            "digitalocean_spaces_bucket_cors_configuration": {"exports": {
                "bucket": _ref("spaces_bucket", "exports", "name"), "region": "fra1",
                "cors_rule": [{"allowed_origins": ["https://app.staging.example.com"], "allowed_methods": ["GET"],
                               "allowed_headers": ["Content-Type"]}],
            }},
            "digitalocean_spaces_bucket_object": {
                "settings": {"bucket": _ref("spaces_bucket", "config", "name"), "region": "fra1", "acl": "private",
                             "key": "settings.env", "content": "LEVEL=info\n"},
                "isolation": {"bucket": _ref("spaces_bucket", "config", "name"), "region": "fra1", "acl": "private",
                              "key": "isolation/environment.json",
                              "content": "${jsonencode({ password = digitalocean_database_user.control.password })}"},
                "credentials": {
                    "for_each": "${local.tenants}", "bucket": _ref("spaces_bucket", "credentials", "name"),
                    "region": "fra1", "acl": "private", "key": "tenants/${each.key}.json",
                    "content": "${jsonencode({ password = local.passwords["
                    'format("%s%s_g%s", each.key, lookup(each.value, "database_suffix", ""), 1)] })}',
                },
            },
            "digitalocean_spaces_key": {
                "app": {
                    "name": "presence360-staging-config-app",
                    "grant": [
                        {"bucket": _ref("spaces_bucket", "config", "name"), "permission": "read"},
                        {"bucket": _ref("spaces_bucket", "status", "name"), "permission": "readwrite"},
                        {"bucket": _ref("spaces_bucket", "credentials", "name"), "permission": "read"},
                    ],
                },
                "exports": {
                    "name": "presence360-staging-exports",
                    "grant": [{"bucket": _ref("spaces_bucket", "exports", "name"), "permission": "readwrite"}],
                },
            },
            "digitalocean_monitor_alert": {
                "disk": _alert("insights/droplet/disk_utilization_percent", tags=[_ref("tag", "environment", "name")]),
                "memory": _alert(
                    "insights/droplet/memory_utilization_percent", tags=[_ref("tag", "environment", "name")]
                ),
                "database_disk": _on_clusters("disk_utilization_alerts", ("pg", "valkey")),
                "database_memory": _on_clusters("memory_utilization_alerts", ("pg", "valkey")),
                "errors": _alert(
                    "insights/lbaas/increase_in_http_error_rate_percentage_5xx",
                    entities=[_ref("loadbalancer", "app", "id")],
                ),
            },
            "digitalocean_uptime_check": {"api": {
                "name": "staging-api", "type": "https", "target": "https://api.staging.example.com/healthz",
                "enabled": True, "regions": ["eu_west"],
            }},
            "digitalocean_uptime_alert": {
                kind: {"name": f"staging-api-{kind}", "type": kind, "period": "2m", "threshold": 1,
                       "comparison": "less_than", "notifications": [CHANNELS],
                       "check_id": _ref("uptime_check", "api", "id")}
                for kind in ("down", "ssl_expiry")
            },
        },
    })  # fmt: skip


def cell() -> Json:
    """Return the stack of a further cell, which finds what the environment's stack makes."""
    found = "${data.digitalocean_%s.found.%s}"
    return copy.deepcopy({
        "terraform": _terraform("staging-cell-2.tfstate"),
        "provider": PROVIDER,
        "locals": {
            "tenants": {CELL_TENANT: {"slug": "far", "name": "Far Church", "connections": 5}},
            "generations": {f"{CELL_TENANT}_g1": ""},
        },
        "data": {
            "digitalocean_vpc": {"found": {"name": "staging-vpc"}},
            "digitalocean_project": {"found": {"name": "staging-presence360"}},
            "digitalocean_tag": {"app": {"name": "staging-group-app"}},
        },
        "resource": {
            "digitalocean_tag": {"environment": {"name": "staging-cell-2"}},
            "digitalocean_database_cluster": {"pg": _cluster(
                "pg-cell-2", "pg", "17", private_network_uuid=found % ("vpc", "id"),
                project_id=found % ("project", "id"),
            )},
            "digitalocean_database_firewall": {"pg": _firewall_of(
                "pg", rule=[{"type": "tag", "value": "${data.digitalocean_tag.app.name}"}]
            )},
            "digitalocean_database_postgresql_config": {"pg": {
                "cluster_id": _ref("database_cluster", "pg", "id"), "idle_in_transaction_session_timeout": 60000,
            }},
            "digitalocean_database_db": {"tenant": {
                "for_each": "${local.tenants}", "cluster_id": _ref("database_cluster", "pg", "id"),
                "name": "tenant_${each.key}", "lifecycle": KEEP,
            }},
            "digitalocean_database_user": {"tenant": {
                "for_each": "${local.generations}", "cluster_id": _ref("database_cluster", "pg", "id"),
                "name": "tenant_${each.key}",
            }},
            "digitalocean_monitor_alert": {
                "disk": _on_clusters("disk_utilization_alerts", ("pg",)),
                "memory": _on_clusters("memory_utilization_alerts", ("pg",)),
            },
        },
    })  # fmt: skip


def stacks() -> dict[str, Json]:
    """Return both, by name."""
    return {"staging": environment(), "staging-cell-2": cell()}
