"""What is taken into the state, round by round."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.local_digitalocean.server import Server
from ops import terraform
from ops.adopt import ROUNDS, adopt
from ops.errors import OperationError

EXISTING = {"address": "terraform_data.x", "mode": "managed", "type": "terraform_data", "name": "x"}
"""What every state holds; a plan of no change from an empty one says nothing."""


class Terraform(terraform.Terraform):
    """A Terraform whose state is a set of addresses, and whose plan makes what is not in it."""

    def __init__(self, folder: Path, wanted: dict[str, dict[str, Any]]) -> None:
        super().__init__(folder, {})
        self.wanted, self.known = wanted, set[str]()
        self.forgetful = False
        self.commands: list[str] = []

    def plan(self, *_: object, **__: object) -> bool:
        return True

    def show(self, _file: Path | str) -> str:
        changes = [
            {
                "address": address,
                "mode": "managed",
                "type": address.partition(".")[0],
                "name": "x",
                "change": {"actions": ["create"], "before": None, "after": after, "after_unknown": {}},
            }
            for address, after in self.wanted.items()
            if address not in self.known
            # What is inside a zone is known by it once that is in the state.
            and ("domain" not in after or "digitalocean_domain.x" in self.known)
        ]
        return json.dumps(
            {"format_version": "1.2", "errored": False, "complete": True, "planned_values": {}, "configuration": {},
             "prior_state": {"values": {"root_module": {"resources": [EXISTING]}}},
             "resource_changes": changes}
        )  # fmt: skip

    def must(self, *arguments: str, **_: object) -> Any:
        self.commands.append(" ".join(arguments))
        if not self.forgetful:
            self.known.add(arguments[-2])


@pytest.fixture
def fake(tmp_path: Path, server: Server) -> Terraform:
    server.account.tables["domains"]["example.org"] = {"name": "example.org", "ttl": 1800, "zone_file": ""}
    server.account.tables["records"]["7"] = {
        "id": 7, "type": "A", "name": "app", "data": "198.51.100.1", "tag": None, "_domain": "example.org",
    }  # fmt: skip
    record = {"domain": "example.org", "type": "A", "name": "app", "value": "198.51.100.1"}
    folder = tmp_path / "staging"
    folder.mkdir()
    return Terraform(
        folder, {"digitalocean_domain.x": {"name": "example.org"}, "digitalocean_record.x": record}
    )


def test_what_is_inside_is_taken_over_in_the_next_round(fake: Terraform, environ: dict[str, str]) -> None:
    said: list[str] = []
    assert adopt(fake, environ, "fra1", said.append) == []
    assert fake.commands == [
        "import -input=false digitalocean_domain.x example.org",
        "import -input=false digitalocean_record.x example.org,7",
    ]
    assert said == [
        "staging: domain example.org is in the state now (import)",
        "staging: record A app is in the state now (import)",
    ]


def test_it_ends_even_if_nothing_helps(fake: Terraform, environ: dict[str, str]) -> None:
    fake.forgetful = True
    with pytest.raises(OperationError, match=f"after {ROUNDS} rounds"):
        adopt(fake, environ, "fra1", lambda _: None)
    assert len(fake.commands) == ROUNDS
