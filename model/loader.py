"""Read the operators' files: shape, rules, rules between environments; every problem at once.

A file that is wrong somewhere is checked as far as possible, so that an operator sees all mistakes at once: what is
right by itself is kept, and the rules run over that.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from model.capacity import shortages
from model.checks import (
    COMPARED,
    check_environment,
    cross_findings,
    delegation_findings,
    environment_warnings,
    has,
)
from model.environment import EnvironmentFile
from model.environment_folders import (
    ENVIRONMENT_FILE,
    TENANTS_FILE,
    environment_folders,
    known_environments,
)
from model.errors import Finding, Findings, InvalidInputError, Problem, relative_name
from model.every_text import exposed, interpolations
from model.explain import explain, without_value
from model.known_environments import (
    ENVIRONMENTS_LOCK,
    REMOVE_RUNBOOK,
    Known,
    environment_losses,
    format_environments,
    replaced_groups,
    unchangeable,
)
from model.known_tenants import LOCK_FILE, RESTORE, format_lock, losses, parse_lock
from model.maintenance import check_maintenance
from model.migrations import check_migrations
from model.observability import check_canary
from model.operator_files import read_text
from model.tenant_steps import missteps
from model.tenants import Tenant, TenantsFile, check_tenants
from model.tenants_in_environment import check_tenants_in_environment
from model.vpc_room import check_room
from model.yaml_document import YamlDocument

__all__ = [
    "ENVIRONMENT_FILE",
    "TENANTS_FILE",
    "Environment",
    "environments_lock",
    "known_environments",
    "load_environments",
    "stale_lock",
]

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Environment:
    """One environment as its operators wrote it, valid.

    Attributes:
        file: the content of environment.yaml.
        tenants: the content of tenants.yaml, in the file's order.
        warnings: what is valid and most likely a mistake.
    """

    file: EnvironmentFile
    tenants: tuple[Tenant, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True)
class _Read(Generic[Model]):
    """A file that was read.

    Attributes:
        document: its text, for line numbers.
        content: its content; where its shape is wrong, without what is wrong.
    """

    document: YamlDocument
    content: Model


def load_environments(root: Path) -> tuple[Environment, ...]:
    """Load every folder below ``root``, sorted by name.

    Raises:
        InvalidInputError: with the problems of all files of all environments.
    """
    problems: list[Problem] = []
    loaded: list[Environment] = []
    comparable: dict[str, _Read[EnvironmentFile]] = {}
    contents: dict[str, EnvironmentFile | None] = {}
    folders, misnamed = environment_folders(root)
    problems += misnamed
    agreed, unreadable = known_environments(root)
    problems += unreadable
    for folder in folders:
        before = len(problems)
        environment = _read(EnvironmentFile, folder / ENVIRONMENT_FILE, problems)
        churches = _read(TenantsFile, folder / TENANTS_FILE, problems)
        contents[folder.name] = None
        if environment:
            problems += _check_environment(environment, folder.name, agreed)
            # Under a wrong name it is often a copy, which shares everything with its original: first the name.
            if has(environment.content, *COMPARED) and environment.content.environment == folder.name:
                comparable[folder.name] = environment
        if churches:
            problems += _check_churches(churches, environment)
        if environment and churches:
            problems += _check_known(folder / LOCK_FILE, environment.content, churches, agreed)
        # What is wrong elsewhere hides nothing here; what is wrong here makes the sums meaningless.
        if environment and churches and len(problems) == before:
            contents[folder.name] = environment.content
            loaded.append(_loaded(environment, churches, folder / LOCK_FILE, agreed, problems))
    problems += environment_losses(agreed, contents, relative_name(root / ENVIRONMENTS_LOCK))
    deployed = {folder.name for folder in folders if (folder / LOCK_FILE).exists()}
    # An environment that is wrong or misnamed may be the one that holds a zone.
    complete = len(loaded) == len(folders) and not misnamed
    problems += _between(comparable, deployed, complete=complete)
    if problems:
        raise InvalidInputError(problems)
    return tuple(loaded)


def _between(
    comparable: Mapping[str, _Read[EnvironmentFile]], deployed: Collection[str], *, complete: bool
) -> Iterator[Problem]:
    """Find what environments share, and what of each other they lack."""
    files = [environment.content for environment in comparable.values()]
    found = list(cross_findings(files, deployed))
    # What they share is corrected first: a domain that changes may be the one that is delegated.
    if complete and not found:
        found = list(delegation_findings(files))
    for cross in found:
        yield comparable[cross.environment].document.problem(cross.finding)


def environments_lock(
    root: Path, environments: Iterable[Environment], *, writing: Container[str] = ()
) -> str:
    """Return what the lock of the environments has to say; what the one that is there says was given up stays.

    Args:
        root: the folder of the environments.
        environments: all of them.
        writing: those whose lock of tenants is written together with this one.
    """
    known, _ = known_environments(root)

    def locked(environment: Environment) -> bool:
        name = environment.file.environment
        return bool(environment.tenants) and (name in writing or (root / name / LOCK_FILE).exists())

    return format_environments(((one.file, locked(one)) for one in environments), known)


def _loaded(
    environment: _Read[EnvironmentFile],
    churches: _Read[TenantsFile],
    lock: Path,
    agreed: Known,
    problems: list[Problem],
) -> Environment:
    """Return an environment whose files are right, with its warnings; what it has too much of is a problem."""
    file, tenants = environment.content, churches.content.tenants
    short = shortages(file, tenants)
    problems += environment.document.problems(short.errors)
    problems += churches.document.problems(short.tenants_errors)
    findings = Findings()
    check_room(file, tenants, findings)
    check_canary(file, tenants, findings)
    if file.status == "retired" and tenants:
        findings.add(
            ("status",),
            f"the environment is retired, and {len(tenants)} tenants are still in {TENANTS_FILE}",
            f"Retire and remove them first: {REMOVE_RUNBOOK}.",
        )
    likely = Findings()
    check_migrations(file, tenants, findings, likely)
    problems += environment.document.problems(findings)
    replaced_groups(agreed, file, likely)
    warnings = [
        *environment.document.problems(likely),
        *environment.document.problems(environment_warnings(file)),
        *environment.document.problems(short.warnings),
        *churches.document.problems(short.tenants_warnings),
        *stale_lock(lock, tenants, file.environment),
    ]
    return Environment(file, tenants, tuple(warnings))


def _read(model: type[Model], path: Path, problems: list[Problem]) -> _Read[Model] | None:
    """Read a file and check its shape; problems are added to the list. None if nothing can be said of it."""
    try:
        document = YamlDocument.read(path)
    except InvalidInputError as error:
        problems.extend(error.problems)
        return None
    problems.extend(document.refused)
    problems.extend(document.problems(interpolations(document)))
    secret = exposed(document)
    problems.extend(document.problems(secret))
    try:
        content, wrong = model.model_validate(document.value), list[Finding]()
    except ValidationError as error:
        content, wrong = _without_faults(model, document.value), explain(model, error)
    wrong += without_value(model, document.value, {finding.path for finding in wrong})
    # That a secret is no valid name is beside the point.
    told = {finding.path for finding in secret}
    problems.extend(document.problem(finding) for finding in wrong if finding.path not in told)
    return _Read(document, content)


def _without_faults(model: type[Model], value: object) -> Model:
    """Return what is right of a faulty file: an object that lacks the keys whose values are wrong."""
    right: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        if isinstance(value, Mapping) and key in value:
            kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            try:
                right[key] = TypeAdapter(kind).validate_python(value[key])
            except ValidationError:
                continue
        elif not field.is_required():
            right[key] = field.get_default()
    partial: Model = model.model_construct(**right)
    # It fills in defaults for what was written and is wrong, too.
    for key in partial.__dict__.keys() - right.keys():
        del partial.__dict__[key]
    return partial


def _check_environment(environment: _Read[EnvironmentFile], folder: str, agreed: Known) -> list[Problem]:
    findings = Findings()
    check_environment(environment.content, folder, findings)
    if has(environment.content, *COMPARED, "region", "groups", "postgres", "status"):
        unchangeable(agreed, environment.content, findings)
    return environment.document.problems(findings)


def _check_churches(
    churches: _Read[TenantsFile], environment: _Read[EnvironmentFile] | None
) -> list[Problem]:
    findings = Findings()
    entries = list(_entries(churches))
    check_tenants(entries, findings)
    check_maintenance(entries, findings)
    if environment:
        check_tenants_in_environment(entries, environment.content, findings)
    return churches.document.problems(findings)


def _entries(churches: _Read[TenantsFile]) -> Iterator[tuple[int, Tenant]]:
    """Yield the entries that are right by themselves, with their places in the file."""
    if hasattr(churches.content, "tenants"):
        yield from enumerate(churches.content.tenants)
        return
    value = churches.document.value
    written = value.get("tenants") if isinstance(value, Mapping) else None
    for index, entry in enumerate(written if isinstance(written, tuple) else ()):
        try:
            yield index, Tenant.model_validate(entry)
        except ValidationError:
            continue


def _check_known(
    path: Path, file: EnvironmentFile, churches: _Read[TenantsFile], agreed: Known
) -> list[Problem]:
    """Compare the entries with those that were agreed on before, where that is known.

    Only a list of valid entries is compared: an entry that is wrong by itself would look like one that is gone.
    """
    if not has(file, "environment") or not hasattr(churches.content, "tenants"):
        return []
    name, tenants = relative_name(path), churches.content.tenants
    if not path.exists() and not path.is_symlink():
        if not tenants or "tenants" not in agreed.get(file.environment, {}):
            return []  # Its first lock is written with its first tenant.
        message = "the lock is missing: without it, nothing shows which churches' data an edit would lose"
        return [Problem(name, 0, "", message, "Restore it from the main branch (git checkout).")]
    try:
        text = read_text(path, missing="")
    except InvalidInputError as error:
        return list(error.problems)
    known, problems = parse_lock(text, name, file.environment)
    if not known and not problems and "tenants" in agreed.get(file.environment, {}):
        message = f"this lists no tenant, and {ENVIRONMENTS_LOCK} says that {file.environment} has some"
        return [Problem(name, 0, "", message, RESTORE)]
    lost = losses(known, tenants, file.environment, name)
    return [*problems, *lost, *missteps(known, tenants, file.environment, name)]


def stale_lock(lock: Path, tenants: Iterable[Tenant], environment: str) -> list[Problem]:
    """Say where a lock is behind the entries: what it does not know, it does not protect."""
    if not lock.exists() or lock.read_text(encoding="utf-8") == format_lock(tenants, environment):
        return []
    message = "this does not match tenants.yaml"
    return [
        Problem(relative_name(lock), 0, "", message, "Run `presence360 tenant lock` and commit the file.")
    ]
