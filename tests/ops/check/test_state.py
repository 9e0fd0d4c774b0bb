"""Where a secret stands in Terraform's state."""

from typing import Any

import pytest

from ops.check.state import misplaced

PASSWORD = "AVNS_abcdefghijklmnop"


def state(*resources: tuple[str, str, dict[str, Any]], **outputs: Any) -> dict[str, Any]:
    user = ("digitalocean_database_user", "tenants", {"name": "tenant_1_g1", "password": PASSWORD})
    return {
        "outputs": outputs,
        "resources": [
            {"type": kind, "name": name, "instances": [{"index_key": "a", "attributes": attributes}]}
            for kind, name, attributes in (user, *resources)
        ],
    }


def test_where_it_is_made_and_handed_on_it_has_to_be() -> None:
    found = state(
        (
            "digitalocean_spaces_bucket_object",
            "credentials",
            {"content": f"password={PASSWORD}", "key": "a.json"},
        ),
        ("digitalocean_droplet", "app", {"user_data": f"x {PASSWORD}", "tags": ["staging"]}),
        tenants={"value": [{"id": "a"}]},
        backups_copy_key={"value": {"secret": PASSWORD}, "sensitive": True},
    )
    assert misplaced(found) == []


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (
            state(("digitalocean_project", "it", {"description": f"the password is {PASSWORD}"})),
            'digitalocean_project.it["a"].description',
        ),
        (
            state(("terraform_data", "wait", {"input": {"value": [{"deep": PASSWORD}]}})),
            'terraform_data.wait["a"].input',
        ),
        (state(("digitalocean_droplet", "app", {"tags": [PASSWORD]})), 'digitalocean_droplet.app["a"].tags'),
        (state(url={"value": f"postgresql://u:{PASSWORD}@h/d"}), "output url"),
        (state(other={"value": "hidden", "sensitive": True}), "output other"),
    ],
)
def test_anywhere_else_it_is_found_and_not_repeated(found: dict[str, Any], place: str) -> None:
    assert misplaced(found) == [place]


def test_what_is_short_is_no_secret() -> None:
    found = state(
        ("digitalocean_database_user", "b", {"password": "short"}),
        ("digitalocean_tag", "t", {"name": "short"}),
    )
    assert misplaced(found) == []
