"""Read the operators' files: shape, rules, rules between environments; every problem at once.

A file that is wrong somewhere is checked as far as possible, so that an operator sees all mistakes at once: what is
right by itself is kept, and the rules run over that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from model.capacity import shortages
from model.checks import COMPARED, check_environment, cross_findings, environment_warnings, has
from model.environment import EnvironmentFile
from model.errors import Findings, InvalidInputError, Problem, YamlPath, relative_name, shown
from model.explain import explain
from model.known_tenants import LOCK_FILE, format_lock, losses, parse_lock
from model.tenants import Tenant, TenantsFile, check_tenants
from model.tenants_in_environment import check_tenants_in_environment
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
    folders = sorted(path for path in root.glob("*") if path.is_dir() and not path.name.startswith("."))
    if not folders:
        remedy = f"Make a folder with {ENVIRONMENT_FILE} and {TENANTS_FILE}; README.md describes them."
        problems.append(Problem(relative_name(root), 0, "", "there is no environment here", remedy))
    for folder in folders:
        before = len(problems)
        environment = _read(EnvironmentFile, folder / ENVIRONMENT_FILE, problems)
        churches = _read(TenantsFile, folder / TENANTS_FILE, problems)
        if environment:
            problems += _check_environment(environment, folder.name)
            # Under a wrong name it is often a copy, which shares everything with its original: first the name.
            if has(environment.content, *COMPARED) and environment.content.environment == folder.name:
                comparable[folder.name] = environment
        if churches:
            problems += _check_churches(churches, environment)
        if environment and churches:
            problems += _check_known(folder / LOCK_FILE, environment.content, churches)
        # What is wrong elsewhere hides nothing here; what is wrong here makes the sums meaningless.
        if environment and churches and len(problems) == before:
            loaded.append(_loaded(environment, churches, folder / LOCK_FILE, problems))
    files = [environment.content for environment in comparable.values()]
    deployed = {folder.name for folder in folders if (folder / LOCK_FILE).exists()}
    for cross in cross_findings(files, deployed):
        problems.append(comparable[cross.environment].document.problem(cross.finding))
    if problems:
        raise InvalidInputError(problems)
    return tuple(loaded)


def _loaded(
    environment: _Read[EnvironmentFile], churches: _Read[TenantsFile], lock: Path, problems: list[Problem]
) -> Environment:
    """Return an environment whose files are right, with its warnings; what it has too much of is a problem."""
    file, tenants = environment.content, churches.content.tenants
    short = shortages(file, tenants)
    problems += environment.document.problems(short.errors)
    problems += churches.document.problems(short.tenants_errors)
    warnings = [
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
    problems.extend(document.problems(_interpolations(document)))
    try:
        return _Read(document, model.model_validate(document.value))
    except ValidationError as error:
        problems.extend(document.problem(finding) for finding in explain(model, error))
        return _Read(document, _without_faults(model, document.value))


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


def _check_environment(environment: _Read[EnvironmentFile], folder: str) -> list[Problem]:
    findings = Findings()
    check_environment(environment.content, folder, findings)
    return environment.document.problems(findings)


def _check_churches(
    churches: _Read[TenantsFile], environment: _Read[EnvironmentFile] | None
) -> list[Problem]:
    findings = Findings()
    entries = list(_entries(churches))
    check_tenants(entries, findings)
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


def _check_known(path: Path, file: EnvironmentFile, churches: _Read[TenantsFile]) -> list[Problem]:
    """Compare the entries with those that were agreed on before, where that is known.

    Only a list of valid entries is compared: an entry that is wrong by itself would look like one that is gone.
    """
    if not path.exists() or not has(file, "environment") or not hasattr(churches.content, "tenants"):
        return []
    name = relative_name(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Restore the file from the main branch (git checkout), then run `make tenants`."
        return [Problem(name, 0, "", f"the file cannot be read: {type(error).__name__}", remedy)]
    known, problems = parse_lock(text, name, file.environment)
    return problems + losses(known, churches.content.tenants, file.environment, name)


def stale_lock(lock: Path, tenants: Iterable[Tenant], environment: str) -> list[Problem]:
    """Say where a lock is behind the entries: what it does not know, it does not protect."""
    if not lock.exists() or lock.read_text(encoding="utf-8") == format_lock(tenants, environment):
        return []
    message = "this does not match tenants.yaml"
    return [Problem(relative_name(lock), 0, "", message, "Run `make tenants` and commit the file.")]


def _interpolations(document: YamlDocument) -> Findings:
    """Find text that Terraform would evaluate."""
    findings = Findings()
    # Without a backslash, which spells any character in double quotes, the text shows what the values hold.
    if not any(mark in document.text for mark in ("${", "%{", "\\")):
        return findings
    pending: list[tuple[YamlPath, Any]] = [((), document.value)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(((*path, key), child) for key, child in value.items())
            pending.extend(((*path, key), key) for key in value)
        elif isinstance(value, tuple):
            pending.extend(((*path, index), child) for index, child in enumerate(value))
        elif isinstance(value, str) and ("${" in value or "%{" in value):
            findings.add(
                path,
                f"{shown(value)} contains ${{ or %{{, which Terraform would evaluate",
                "Remove it: these files are not templates.",
            )
    return findings
