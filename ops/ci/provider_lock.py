"""Write the lock file of the providers, to be committed: `make lock-providers`, where the registry can be reached."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ops.cdktf_cli import BINARY_VARIABLE
from ops.ci.errors import StepError
from ops.ci.terraform import LOCK_FILE

PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64")
"""CI's, and the laptops'. A platform that is not listed cannot deploy until it is."""


def write(
    stack: Path,
    target: Path,
    environ: Mapping[str, str],
    *,
    platforms: Sequence[str] = PLATFORMS,
    mirror: Path | None = None,
) -> str:
    """Resolve what a stack requires and write its hashes for all platforms; the file's text.

    Args:
        stack: a synthesized stack's folder; all stacks require the same.
        target: the lock file to write.
        environ: variables for Terraform.
        platforms: whose packages are hashed.
        mirror: a folder of provider packages, in place of the registry.

    Raises:
        StepError: Terraform failed.
    """
    required = json.loads((stack / "cdk.tf.json").read_text(encoding="utf-8"))["terraform"][
        "required_providers"
    ]
    binary = environ.get(BINARY_VARIABLE) or "terraform"
    with TemporaryDirectory() as scratch:
        program = {"terraform": {"required_providers": required}}
        (Path(scratch) / "main.tf.json").write_text(json.dumps(program), encoding="utf-8")
        command = [binary, f"-chdir={scratch}", "providers", "lock"]
        command += [f"-platform={platform}" for platform in platforms]
        command += [f"-fs-mirror={mirror}"] if mirror else []
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
        if done.returncode:
            raise StepError(f"{binary} providers lock failed:\n{done.stderr.strip()}")
        shutil.copyfile(Path(scratch) / LOCK_FILE, target)
    return target.read_text(encoding="utf-8")
