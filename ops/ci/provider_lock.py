"""The lock file of the providers, which is committed. `make lock-providers` writes it and needs the registry."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from model.state import PROVIDER_LOCK_FILE
from ops.terraform import Terraform

PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64")
"""The platforms of CI and of laptops. Other platforms cannot deploy."""


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
        TerraformError: Terraform failed.
    """
    required = json.loads((stack / "cdk.tf.json").read_text(encoding="utf-8"))["terraform"][
        "required_providers"
    ]
    with TemporaryDirectory() as scratch:
        program = {"terraform": {"required_providers": required}}
        (Path(scratch) / "main.tf.json").write_text(json.dumps(program), encoding="utf-8")
        arguments = [f"-platform={platform}" for platform in platforms]
        arguments += [f"-fs-mirror={mirror}"] if mirror else []
        Terraform(Path(scratch), environ).must("providers", "lock", *arguments)
        shutil.copyfile(Path(scratch) / PROVIDER_LOCK_FILE, target)
    return target.read_text(encoding="utf-8")


def is_committed(root: Path) -> bool:
    """Whether the repository pins its providers by hash."""
    return (root / PROVIDER_LOCK_FILE).exists()
