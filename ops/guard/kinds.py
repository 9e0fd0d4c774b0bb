"""What each kind of resource holds, decided by one question: can an apply bring back what a delete takes away?

The kinds are those of the provider at 2.99.1 (its provider.go, ResourcesMap). A kind that is in none of the tables is
refused when a plan deletes it: a newer provider must not be trusted by default.
"""

from collections.abc import Mapping

PROVIDER_PREFIX = "digitalocean_"

CLUSTER = "digitalocean_database_cluster"
DATABASE = "digitalocean_database_db"
USER = "digitalocean_database_user"
DATABASE_FIREWALL = "digitalocean_database_firewall"
BUCKET = "digitalocean_spaces_bucket"
OBJECT = "digitalocean_spaces_bucket_object"
ZONE = "digitalocean_domain"
RECORD = "digitalocean_record"
DROPLET = "digitalocean_droplet"
POOL = "digitalocean_droplet_autoscale"
FIREWALL = "digitalocean_firewall"
LOAD_BALANCER = "digitalocean_loadbalancer"

_IMAGES = "images that were pushed there; going back to an earlier release needs them"
_ADDRESS = "an address that others may know or allow; DigitalOcean does not give it back"

# What is lost, as the end of a sentence: "and with it ...".
DATA: Mapping[str, str] = {
    CLUSTER: "every database of the cluster and every backup of them: DigitalOcean deletes both with it",
    DATABASE: "all data in the database",
    BUCKET: "all objects in the bucket, with their earlier versions",
    ZONE: "the whole zone, with the records that were made by hand or by others",
    "digitalocean_volume": "all files on the volume",
    "digitalocean_volume_snapshot": "the snapshot",
    "digitalocean_droplet_snapshot": "the snapshot",
    "digitalocean_custom_image": "the image",
    "digitalocean_nfs": "all files of the share",
    "digitalocean_nfs_snapshot": "the snapshot",
    "digitalocean_vector_database": "all vectors in the database",
    "digitalocean_database_kafka_topic": "all messages of the topic",
    "digitalocean_database_kafka_schema_registry": "the schemas that messages are read with",
    "digitalocean_kubernetes_cluster": "what runs there, and what it keeps on its disks",
    "digitalocean_kubernetes_node_pool": "what the pool's nodes keep on their disks",
    "digitalocean_app": "the databases that an app brings along",
    "digitalocean_container_registry": _IMAGES,
    "digitalocean_container_registries": _IMAGES,
    "digitalocean_gradientai_knowledge_base": "what was indexed",
    "digitalocean_gradientai_knowledge_base_data_source": "what was indexed from the source",
    "digitalocean_gradientai_custom_model": "the model",
    "digitalocean_reserved_ip": _ADDRESS,
    "digitalocean_reserved_ipv6": _ADDRESS,
    "digitalocean_floating_ip": _ADDRESS,
    "digitalocean_byoip_prefix": _ADDRESS,
}

# An apply makes these again from the configuration. Users are among them: a new one gets a new password, which reaches
# the services like after a rotation, and its tables belong to a role of its own (docs/isolation.md). Objects are:
# all content of ours comes from Terraform, and the buckets keep earlier versions.
REBUILT = frozenset(
    {
        USER,
        DATABASE_FIREWALL,
        OBJECT,
        RECORD,
        DROPLET,
        POOL,
        FIREWALL,
        LOAD_BALANCER,
        "terraform_data",
        *(
            f"{PROVIDER_PREFIX}{kind}"
            for kind in (
                "cdn",
                "certificate",
                "container_registry_docker_credentials",
                "database_advanced_mysql_config",
                "database_advanced_postgresql_config",
                "database_connection_pool",
                "database_kafka_config",
                "database_logsink_opensearch",
                "database_logsink_rsyslog",
                "database_mongodb_config",
                "database_mysql_config",
                "database_online_migration",
                "database_opensearch_config",
                "database_postgresql_config",
                "database_redis_config",
                "database_replica",
                "database_valkey_config",
                "dedicated_inference",
                "dedicated_inference_token",
                "floating_ip_assignment",
                "gradientai_agent",
                "gradientai_agent_knowledge_base_attachment",
                "gradientai_agent_route",
                "gradientai_function",
                "gradientai_indexing_job_cancel",
                "gradientai_openai_api_key",
                "monitor_alert",
                "nfs_access_point",
                "nfs_attachment",
                "partner_attachment",
                "project",
                "project_resources",
                "reserved_ip_assignment",
                "reserved_ipv6_assignment",
                "spaces_bucket_cors_configuration",
                "spaces_bucket_logging",
                "spaces_bucket_policy",
                "spaces_key",
                "ssh_key",
                "tag",
                "uptime_alert",
                "uptime_check",
                "volume_attachment",
                "vpc",
                "vpc_nat_gateway",
                "vpc_peering",
            )
        ),
    }
)

# The only attributes whose values are ever shown. All others stay unsaid, marked sensitive or not: user data and the
# contents of objects carry keys that no mark follows. Of the blocks only prefixes, addresses, protocols and ports are.
SHOWN: Mapping[str, frozenset[str]] = {
    CLUSTER: frozenset({"name", "engine", "version", "region", "size", "node_count", "eviction_policy"}),
    DATABASE: frozenset({"name"}),
    USER: frozenset({"name"}),
    DATABASE_FIREWALL: frozenset({"rule"}),
    BUCKET: frozenset({"name", "region", "acl", "lifecycle_rule"}),
    OBJECT: frozenset({"bucket", "key", "acl"}),
    ZONE: frozenset({"name"}),
    RECORD: frozenset({"domain", "name", "type"}),
    DROPLET: frozenset({"name", "size"}),
    POOL: frozenset({"name"}),
    FIREWALL: frozenset({"name", "inbound_rule"}),
    LOAD_BALANCER: frozenset({"name"}),
    "digitalocean_volume": frozenset({"name"}),
}

_WORDS = {
    CLUSTER: "cluster",
    DATABASE: "database",
    USER: "database user",
    DATABASE_FIREWALL: "database firewall",
    BUCKET: "bucket",
    OBJECT: "object",
    ZONE: "zone",
    RECORD: "record",
    POOL: "pool of droplets",
    LOAD_BALANCER: "load balancer",
}


def in_words(kind: str) -> str:
    """Say a kind as people do: ``digitalocean_reserved_ip`` is a reserved ip."""
    return _WORDS.get(kind, kind.removeprefix(PROVIDER_PREFIX).replace("_", " "))
