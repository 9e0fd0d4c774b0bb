"""A checkout with the tests' own environments, in which `bin/cdktf` runs as its user runs it."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.cdktf_checks import terraform_variables
from tests.ops.cdktf_deploy.terminal import Terminal
from tests.support import ENVIRONMENTS, ROOT

STACK = "staging"
LIFTED = "LIFT_PREVENT_DESTROY"

# What an operator's program does not do: the provider's throttle is left out, and a droplet is looked at more often.
_PROGRAM = f"""
import json, os, sys
from pathlib import Path
import main
from lab.rehearsal.workspace import hurry, lift_protection

code = main.main([])
for file in Path(os.environ["CDKTF_OUTDIR"]).glob("stacks/*/cdk.tf.json"):
    stack = json.loads(file.read_text())
    hurry(stack)
    if os.environ.get("{LIFTED}"):
        lift_protection(stack)
    file.write_text(json.dumps(stack))
sys.exit(code)
"""


class Checkout:
    """A copy of the repository.

    Attributes:
        folder: where it is.
        environ: the variables that the CLI gets.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        left_out = shutil.ignore_patterns(
            ".*", "node_modules", "cdktf.out", "tests", "environments", "*.tfstate*"
        )
        shutil.copytree(ROOT, folder, ignore=left_out)
        shutil.copytree(ENVIRONMENTS, folder / "environments")
        for tools in (".venv", "node_modules"):
            (folder / tools).symlink_to((ROOT / tools).resolve())
        (folder / "hurried.py").write_text(_PROGRAM, encoding="utf-8")
        settings = json.loads((folder / "cdktf.json").read_text(encoding="utf-8"))
        settings["app"] = settings["app"].replace("main.py", "hurried.py")
        (folder / "cdktf.json").write_text(json.dumps(settings), encoding="utf-8")
        secrets = {f"TF_VAR_{name}": "not-a-secret" for name in terraform_variables([STACK], ENVIRONMENTS)}
        self.environ = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("TF_VAR_", "CDKTF"))
            },
            **secrets,
            "PRESENCE360_STATE": "local",
            "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1",
            **environ,
        }

    @property
    def stack(self) -> Path:
        """The stack's folder."""
        return self.folder / "cdktf.out" / "stacks" / STACK

    @property
    def state(self) -> bytes:
        """The stack's state."""
        return (self.folder / f"terraform.{STACK}.tfstate").read_bytes()

    @property
    def plans_left(self) -> list[str]:
        """Folders with plans that the guard left in the stack's folder."""
        return [file.name for file in self.stack.iterdir() if file.name.startswith((".guarded", "plan"))]

    def edit(self, name: str, old: str, new: str) -> None:
        """Edit one of the environment's files."""
        file = self.folder / "environments" / STACK / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def restore(self) -> None:
        """Take every edit back."""
        shutil.rmtree(self.folder / "environments")
        shutil.copytree(ENVIRONMENTS, self.folder / "environments")

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI without a terminal."""
        return subprocess.run(
            [self.folder / "bin" / "cdktf", *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )

    def terminal(self, *arguments: str) -> Terminal:
        """Run the CLI in a terminal, with a variable that says the opposite: who is at a terminal has to be asked."""
        environ = {**self.environ, "CI": "true"}
        return Terminal([self.folder / "bin" / "cdktf", *arguments], self.folder, environ)
