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
    loaded: list[tuple[EnvironmentFile, tuple[Tenant, ...], YamlDocument]] = []
    comparable: dict[str, tuple[EnvironmentFile, YamlDocument]] = {}
    folders = sorted(path for path in root.glob("*") if path.is_dir() and not path.name.startswith("."))
    if not folders:
        remedy = f"Make a folder with {ENVIRONMENT_FILE} and {TENANTS_FILE}; README.md shows them."
        problems.append(Problem(relative_name(root), 0, "", "there is no environment here", remedy))
    for folder in folders:
        environment = _read(EnvironmentFile, folder / ENVIRONMENT_FILE, problems)
        churches = _read(TenantsFile, folder / TENANTS_FILE, problems)
        if environment:
            file, document = environment
            findings = Findings()
            check_environment(file, folder.name, findings)
            problems.extend(document.problems(findings))
            # Under a wrong name it is often a copy, which shares everything with its original: first the name.
            if file.environment == folder.name:
                comparable[folder.name] = environment
        if churches:
            findings = Findings()
            check_tenants(churches[0].tenants, findings)
            if environment:
                _check_delegated_slugs(churches[0].tenants, environment[0], findings)
            problems.extend(churches[1].problems(findings))
        if environment and churches:
            loaded.append((environment[0], churches[0].tenants, environment[1]))
    for cross in cross_findings([file for file, _ in comparable.values()]):
        problems.append(comparable[cross.environment][1].problem(cross.finding))
    if problems:
        raise InvalidInputError(problems)
    return tuple(
        Environment(file, tenants, tuple(document.problems(environment_warnings(file))))
        for file, tenants, document in loaded
    )


def _read(model: type[Model], path: Path, problems: list[Problem]) -> tuple[Model, YamlDocument] | None:
    """Read a file and check its shape; problems are added to the list."""
    try:
        document = YamlDocument.read(path)
        return _validate(model, document), document
    except InvalidInputError as error:
        problems.extend(error.problems)
        return None


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
    # Without a backslash, which spells any character in double quotes, the text shows what the values hold.
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
