"""`presence360 check`: green where all is well, and each line broken once."""

import os
import subprocess
import sys
from typing import Any

from lab.rehearsal.errors import expect
from lab.rehearsal.scene import Scene, scenario
from ops.paths import ROOT


@scenario(
    "check",
    "presence360 check is green, and each of its lines, broken once, turns red and green again",
    lane="check",
)
def _check(scene: Scene) -> None:
    def ask_for_all(document: dict[str, Any]) -> None:
        """Have what the check looks at: an environment may have no dumps and no migrations."""
        keys = {
            name: f"age1{key}"
            for name, key in (
                ("drill", "t9rswzdkp68apngukcya0842sar4q0hg0kuft7r4ff7w72zx6p5qy7xup3"),
                ("operators", "r6snvn3qerd4vhl5mu0rx4ruhnpdmxfau9c4g74navgu9stsqy5qldag7d"),
            )
        }
        region = "ams3" if document["region"] != "ams3" else "fra1"
        document.setdefault("backups", {"copy_region": region, "recipients": keys, "keep": {"days": 21}})
        document.setdefault("migrations", {"share": 95})

    scene.workspace.edit(ask_for_all)
    scene.change()
    command = [
        *(sys.executable, "-m", "lab.checked", "--environment", scene.workspace.environment),
        *("--environments", str(scene.workspace.folder / "environments")),
        *("--outdir", str(scene.workspace.folder / "cdktf.out")),
    ]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **scene.cloud.environment, "PRESENCE360_STATE": "local"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    for line in ended.stdout.splitlines():
        scene.say(line)
    expect(ended.returncode == 0, f"the check does not show what it is to show:\n{ended.stdout}")
