"""Clusters that are gone at DigitalOcean: Valkey is made anew, Postgres once its loss is accepted (docs/runbooks)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.judged import check
from lab.rehearsal.scene import Scene, scenario


@scenario(
    "lost-clusters",
    "Valkey is gone and made anew; Postgres is gone: refused until the loss is accepted, then made anew, empty",
    lane="lost-clusters",
)
def _lost_clusters(scene: Scene) -> None:
    scene.workspace.synthesize()
    lose(scene, "valkey")
    made = [one.address for one in scene.change().of("database_cluster") if one.creates]
    expect(len(made) == 1, f"clusters that are made: {made}")
    scene.say("Valkey is made anew, with a warning")

    lost = lose(scene, "pg")
    said = _refusal(scene)
    expect(said.count("was deleted outside of Terraform") == 1, f"not the cluster alone is told:\n{said}")
    _accept(scene, f"{lost}-another")
    expect("was deleted outside of Terraform" in _refusal(scene), "another cluster's acceptance counts")
    _accept(scene, lost)
    scene.change()
    scene.say(f"{lost} is made anew once its loss is accepted")
    said = _refusal(scene)
    expect("is of something that exists" in said, f"the acceptance may stay:\n{said}")


def lose(scene: Scene, engine: str) -> str:
    """Delete the first cluster of an engine, outside of Terraform; return its name."""
    found = next(one for one in scene.cloud.state()["clusters"] if one["engine"] == engine)
    scene.cloud.ask("DELETE", f"/v2/databases/{found['id']}")
    return str(found["name"])


def _refusal(scene: Scene) -> str:
    plan = scene.plan()
    try:
        check(scene.workspace, plan)
    except UnexpectedError as error:
        return str(error)
    raise UnexpectedError("the guard lets it through")


def _accept(scene: Scene, resource: str) -> None:
    until = (datetime.now(UTC) + timedelta(days=7)).date().isoformat()
    entry = {"resource": resource, "until": until, "reason": "Deleted in the rehearsal."}

    def edit(file: dict[str, Any]) -> None:
        file["accepted_losses"] = [entry]

    scene.workspace.edit(edit)
