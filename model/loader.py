"""Read the operators' files: shape, rules, rules between environments; every problem at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from model.checks import check_environment, cross_findings, environment_warnings
from model.environment import EnvironmentFile
from model.errors import Findings, InvalidInputError, Problem, YamlPath, relative_name, shown
from model.explain import explain
from model.tenants import Tenant, TenantsFile, check_tenants
from model.yaml_document import YamlDocument

ENVIRONMENT_FILE = "environment.yaml"
TENANTS_FILE = "tenants.yaml"

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Environment:
    """One environment as its operators wrote it, valid.

    Attributes:
        file: the content of environment.yaml.
        tenants: the content of tenants.yaml, in the file's order.
        warnings: what works and is surely not meant.
    """

    file: EnvironmentFile
    tenants: tuple[Tenant, ...]
    warnings: tuple[Problem, ...]


def load_environments(root: Path) -> tuple[Environment, ...]:
    """Load every folder below ``root``, sorted by name.

    Raises:
        InvalidInputError: with the problems of all files of all environments.
    """
    problems: list[Problem] = []
    loaded: dict[Path, tuple[Environment, YamlDocument]] = {}
    folders = sorted(path for path in root.glob("*") if path.is_dir() and not path.name.startswith("."))
    if not folders:
        remedy = f"Make a folder with {ENVIRONMENT_FILE} and {TENANTS_FILE}; README.md shows them."
        problems.append(Problem(relative_name(root), 0, "", "there is no environment here", remedy))
    for folder in folders:
        try:
            loaded[folder] = _load_environment(folder)
        except InvalidInputError as error:
            problems.extend(error.problems)
    documents = {environment.file.environment: document for environment, document in loaded.values()}
    for cross in cross_findings([environment.file for environment, _ in loaded.values()]):
        problems.append(documents[cross.environment].problem(cross.finding))
    if problems:
        raise InvalidInputError(problems)
    return tuple(environment for environment, _ in loaded.values())


def _load_environment(folder: Path) -> tuple[Environment, YamlDocument]:
    problems: list[Problem] = []
    file = tenants = document = None
    try:
        document = YamlDocument.read(folder / ENVIRONMENT_FILE)
        file = _validate(EnvironmentFile, document)
        findings = Findings()
        check_environment(file, folder.name, findings)
        problems.extend(document.problems(findings))
    except InvalidInputError as error:
        problems.extend(error.problems)
    try:
        tenants_document = YamlDocument.read(folder / TENANTS_FILE)
        tenants = _validate(TenantsFile, tenants_document).tenants
        findings = Findings()
        check_tenants(tenants, findings)
        if file:
            _check_delegated_slugs(tenants, file, findings)
        problems.extend(tenants_document.problems(findings))
    except InvalidInputError as error:
        problems.extend(error.problems)
    if problems or file is None or tenants is None or document is None:
        raise InvalidInputError(problems)
    warnings = tuple(document.problems(environment_warnings(file)))
    return Environment(file, tenants, warnings), document


def _check_delegated_slugs(tenants: tuple[Tenant, ...], file: EnvironmentFile, findings: Findings) -> None:
    delegated = frozenset(file.dns.delegations)
    for index, tenant in enumerate(tenants):
        if tenant.slug in delegated:
            findings.add(
                ("tenants", index, "slug"),
                f"{shown(tenant.slug)} is delegated to a zone of its own, so it would never resolve",
                "Choose another slug.",
            )


def _validate(model: type[Model], document: YamlDocument) -> Model:
    findings = Findings()
    for path, value in _interpolations(document):
        findings.add(
            path,
            f"{shown(value)} holds ${{ or %{{, which Terraform would evaluate",
            "Write it without; nothing in these files is a template.",
        )
    problems = document.problems(findings)
    try:
        validated = model.model_validate(document.value)
    except ValidationError as error:
        problems.extend(document.problem(finding) for finding in explain(model, error))
        raise InvalidInputError(problems) from None
    if problems:
        raise InvalidInputError(problems)
    return validated


def _interpolations(document: YamlDocument) -> Iterator[tuple[YamlPath, str]]:
    # Without a backslash, which can spell any character in double quotes, the text shows what the values hold.
    if not any(mark in document.text for mark in ("${", "%{", "\\")):
        return
    pending: list[tuple[YamlPath, Any]] = [((), document.value)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(((*path, key), child) for key, child in value.items())
            pending.extend(((*path, key), key) for key in value)
        elif isinstance(value, tuple):
            pending.extend(((*path, index), child) for index, child in enumerate(value))
        elif isinstance(value, str) and ("${" in value or "%{" in value):
            yield path, value
