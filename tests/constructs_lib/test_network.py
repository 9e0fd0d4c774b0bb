from tests.support import Stack


def test_the_vpc_is_the_operators_range(staging: Stack, production: Stack) -> None:
    assert staging.only("vpc") == {"name": "staging-vpc", "region": "fra1", "ip_range": "10.60.0.0/20"}
    assert production.only("vpc")["ip_range"] == "10.70.0.0/20"


def test_every_droplet_is_in_the_vpc_with_a_key(staging: Stack, production: Stack) -> None:
    for stack in (staging, production):
        assert stack.all("droplet")
        for droplet in stack.all("droplet").values():
            assert stack.follow(droplet["vpc_uuid"]) == stack.only("vpc")
            assert stack.names(droplet["ssh_keys"]) == [f"{stack.name}-ops"]


def test_tags_name_environment_planes_and_group(staging: Stack, production: Stack) -> None:
    def tags(stack: Stack, droplet: str) -> list[str]:
        return stack.names(stack.droplet(droplet)["tags"])

    assert tags(staging, "staging-app-1") == [
        "staging", "staging-plane-control", "staging-plane-tenant", "staging-group-app",
    ]  # fmt: skip
    assert tags(production, "production-tenant-2") == [
        "production", "production-plane-tenant", "production-group-tenant",
    ]  # fmt: skip
    for stack in (staging, production):
        for cluster in stack.all("database_cluster").values():
            assert stack.names(cluster["tags"]) == [stack.name]
