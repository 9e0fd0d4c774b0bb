"""Where the operators' files name a secret, so that a message about its variable can say it."""

from pathlib import Path

from model.environment_folders import ENVIRONMENT_FILE
from model.errors import SECRETS, Finding
from model.releases import terraform_variable
from model.yaml_document import YamlDocument


def secret_places(environments: Path) -> dict[str, str]:
    """Return file and line of each secret of valid files, by its Terraform variable; the registry's token has none."""
    places = {}
    for file in sorted(environments.glob(f"*/{ENVIRONMENT_FILE}")):
        document = YamlDocument.read(file)
        for name in document.value.get(SECRETS) or ():
            key = document.problem(Finding((SECRETS, name), "", "", at_key=True))
            places[terraform_variable(file.parent.name, name)] = f"{key.file}:{key.line}"
    return places
