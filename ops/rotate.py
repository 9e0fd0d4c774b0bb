"""Rotate a tenant's database credentials: `python -m ops.rotate <environment> <slug|id> [--finish]`.

It makes the two edits of docs/runbooks/rotate-credentials.md in `tenants.yaml`, and nothing else in the file changes:
comments, order and quotes stay. The first adds a user beside the one in use and publishes it; `--finish` drops what is
kept. Both are reviewed and deployed like any other edit.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from model.errors import InvalidInputError, did_you_mean, shown
from model.loader import TENANTS_FILE, load_environments
from model.tenants import MAX_KEPT_GENERATIONS, Tenant, is_tenant_id

ROOT = Path(__file__).parent.parent
EXIT_INVALID_INPUT = 2


class RotateError(Exception):
    """The edit cannot be made; the file is as it was."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one edit; 2 when it cannot be made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environment", help="the folder below environments/")
    parser.add_argument("tenant", help="its slug or its id")
    parser.add_argument("--finish", action="store_true", help="drop the generations that are kept")
    parser.add_argument(
        "--environments", type=Path, default=ROOT / "environments", help="the operators' files"
    )
    options = parser.parse_args(arguments)
    try:
        said = rotate(options.environments, options.environment, options.tenant, finish=options.finish)
    except (RotateError, InvalidInputError) as error:
        print(error, file=sys.stderr)
        return EXIT_INVALID_INPUT
    print(said)
    return 0


def rotate(environments: Path, environment: str, wanted: str, *, finish: bool) -> str:
    """Edit one tenant's entry; what to do next.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RotateError: there is no such tenant, or nothing to do for it.
    """
    loaded = {found.file.environment: found.tenants for found in load_environments(environments)}
    if environment not in loaded:
        raise RotateError(
            f"there is no environment {shown(environment)}\n    {did_you_mean(environment, loaded)}"
            f"Name one of: {', '.join(sorted(loaded))}."
        )
    index = _find(loaded[environment], wanted, environment)
    tenant = loaded[environment][index]
    generation, keep = _finished(tenant) if finish else _begun(tenant)
    file = environments / environment / TENANTS_FILE
    before = file.read_text(encoding="utf-8")
    after = _edited(before, index, generation, keep)
    file.write_text(after, encoding="utf-8")
    try:
        # The same rules as ever have the last word on what was written.
        load_environments(environments)
    except InvalidInputError:
        file.write_text(before, encoding="utf-8")
        raise
    if finish:
        return (
            f"{tenant.slug}: generation {generation} alone is left. Deploying this drops "
            f"{', '.join(f'_g{kept}' for kept in sorted(tenant.credentials.keep))}; first make sure that nobody "
            "uses them: docs/runbooks/rotate-credentials.md."
        )
    return (
        f"{tenant.slug}: generation {generation}, kept: {', '.join(map(str, keep))}. Deploy this; when every service "
        f"has changed over: python -m ops.rotate {environment} {tenant.slug} --finish"
    )


def _find(tenants: Sequence[Tenant], wanted: str, environment: str) -> int:
    for index, tenant in enumerate(tenants):
        if wanted in {tenant.id, tenant.slug}:
            return index
    kind = "id" if is_tenant_id(wanted) else "slug"
    known = sorted(str(getattr(tenant, kind)) for tenant in tenants)
    raise RotateError(
        f"there is no tenant with the {kind} {shown(wanted)} in {environment}\n    {did_you_mean(wanted, known)}"
        f"environments/{environment}/{TENANTS_FILE} lists them."
    )


def _begun(tenant: Tenant) -> tuple[int, list[int]]:
    now = tenant.credentials
    keep = [now.generation, *sorted(now.keep, reverse=True)]
    if len(keep) > MAX_KEPT_GENERATIONS:
        raise RotateError(
            f"{tenant.slug} keeps {len(now.keep)} earlier generations already\n"
            "    Finish that rotation first: --finish."
        )
    return now.generation + 1, sorted(keep)


def _finished(tenant: Tenant) -> tuple[int, list[int]]:
    if not tenant.credentials.keep:
        raise RotateError(
            f"{tenant.slug} keeps no earlier generation\n"
            "    There is nothing to finish. Without --finish a rotation begins."
        )
    return tenant.credentials.generation, []


def _edited(text: str, index: int, generation: int, keep: list[int]) -> str:
    """Return the file's text with other credentials in one entry; every other character stays.

    Where things stand is PyYAML's to say, and the edit is one of text: a library that writes the whole document again
    moves comments at the ends of lines.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    entry = _value(root, "tenants").value[index]
    credentials = _value(entry, "credentials")
    if credentials is None:
        return _with_key(text, entry, "credentials", _flow(generation, keep))
    if credentials.flow_style or not credentials.value:
        return _replaced(text, credentials, _flow(generation, keep))
    # From the end to the beginning, so that the places of what is before stay.
    kept = _value(credentials, "keep")
    if kept is not None and keep:
        text = _replaced(text, kept, str(keep))
    elif kept is not None:
        text = _without_key(text, credentials, "keep")
    text = _set_generation(text, index, generation)
    if kept is None and keep:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        credentials = _value(_value(root, "tenants").value[index], "credentials")
        text = _with_key(text, credentials, "keep", str(keep))
    return text


def _set_generation(text: str, index: int, generation: int) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    credentials = _value(_value(root, "tenants").value[index], "credentials")
    written = _value(credentials, "generation")
    if written is None:
        return _with_key(text, credentials, "generation", str(generation))
    return _replaced(text, written, str(generation))


def _flow(generation: int, keep: list[int]) -> str:
    return f"{{generation: {generation}, keep: {keep}}}" if keep else f"{{generation: {generation}}}"


def _value(mapping: Any, key: str) -> Any:
    return next((value for name, value in mapping.value if name.value == key), None)


def _replaced(text: str, node: Any, new: str) -> str:
    return text[: node.start_mark.index] + new + text[node.end_mark.index :]


def _with_key(text: str, mapping: Any, key: str, value: str) -> str:
    """Add a key at the end of a mapping, on a line of its own unless the mapping is written on one."""
    first, last = mapping.value[0][0], mapping.value[-1][1]
    end = _end(last)
    if mapping.flow_style:
        return f"{text[:end]}, {key}: {value}{text[end:]}"
    # After a comment on the same line; a text in block style ends with its line.
    if not text[:end].endswith("\n"):
        end = text.find("\n", end) + 1 or len(text)
    before = text[:end] if text[:end].endswith("\n") else f"{text[:end]}\n"
    return f"{before}{' ' * first.start_mark.column}{key}: {value}\n{text[end:]}"


def _without_key(text: str, mapping: Any, key: str) -> str:
    name, value = next((name, value) for name, value in mapping.value if name.value == key)
    start = text.rfind("\n", 0, name.start_mark.index) + 1
    end = text.find("\n", _end(value)) + 1 or len(text)
    return text[:start] + text[end:]


def _end(node: Any) -> int:
    """Return where a value ends; of a block, where its last line does, not where the next token begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


if __name__ == "__main__":
    sys.exit(main())
