"""Arguments and options that several commands take, and how a shell completes them."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from model.errors import InvalidInputError
from model.loader import ENVIRONMENT_FILE, TENANTS_FILE, Environment, load_environments
from model.naming import stack_of_cell
from model.services import CATALOGUE
from model.yaml_document import YamlDocument
from ops.arguments import told
from ops.edits import by_name, environment_named
from ops.errors import UsageError
from ops.paths import ENVIRONMENTS
from ops.releases import ALL

# What ends a call that cannot be parsed; typer exports only what is derived from it.
_USAGE: Any = typer.BadParameter.__base__


def _environments(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Complete the name of an environment: a folder is enough, whatever is in it."""
    folders = (path for path in _root(context).glob("*") if path.is_dir() and not path.name.startswith("."))
    yield from sorted(folder.name for folder in folders if folder.name.startswith(incomplete))


def complete_tenants(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Complete a slug among those of the environment that was named before; nothing where the file cannot be read."""
    try:
        content = YamlDocument.read(
            _root(context) / str(context.params.get("environment")) / TENANTS_FILE
        ).value
    except InvalidInputError:
        return
    entries = content.get("tenants") if isinstance(content, Mapping) else None
    for entry in entries if isinstance(entries, tuple) else ():
        if isinstance(entry, Mapping) and str(entry.get("slug", "")).startswith(incomplete):
            yield str(entry.get("slug")), str(entry.get("name", ""))


def _stacks(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Complete the name of a stack: an environment's own, or one of its cells'."""
    for name in _environments(context, ""):
        try:
            content = YamlDocument.read(_root(context) / name / ENVIRONMENT_FILE).value
        except InvalidInputError:
            content = None
        postgres = content.get("postgres") if isinstance(content, Mapping) else None
        cells = postgres.get("cells") if isinstance(postgres, Mapping) else None
        names = [name, *(stack_of_cell(name, cell) for cell in (cells if isinstance(cells, Mapping) else ()))]
        yield from (stack for stack in names if stack.startswith(incomplete))


def complete_services(incomplete: str) -> Iterator[str]:
    """Complete the name of a service."""
    yield from (service for service in CATALOGUE if service.startswith(incomplete))


def _services(incomplete: str) -> Iterator[str]:
    yield from (service for service in [*CATALOGUE, ALL] if service.startswith(incomplete))


def _root(context: typer.Context) -> Path:
    return Path(context.params.get("environments") or ENVIRONMENTS)


Environments = Annotated[
    Path,
    typer.Option(
        "--environments",
        metavar="FOLDER",
        help="Another folder of operators' files.",
        show_default=False,
        is_eager=True,
        rich_help_panel="Other options",
    ),
]
EnvironmentName = Annotated[
    str,
    typer.Argument(
        metavar="ENVIRONMENT",
        help="A folder below environments/, such as staging.",
        autocompletion=_environments,
    ),
]
MaybeEnvironment = Annotated[
    str | None,
    typer.Argument(
        metavar="[ENVIRONMENT]",
        help="A folder below environments/, such as staging.",
        autocompletion=_environments,
        show_default=False,
    ),
]
StackName = Annotated[
    str,
    typer.Argument(
        metavar="STACK",
        help="An environment, such as staging, or one of its cells: staging-cell-2.",
        autocompletion=_stacks,
    ),
]
Stack = Annotated[
    str,
    typer.Option(
        metavar="STACK",
        help="One stack alone, instead of an environment with its cells.",
        autocompletion=_stacks,
    ),
]
TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="A church's slug or its id.", autocompletion=complete_tenants)
]
ServiceName = Annotated[
    str, typer.Argument(metavar="SERVICE", help=f"A service, or `{ALL}`.", autocompletion=_services)
]
SomeServices = Annotated[
    list[str] | None,
    typer.Option("--service", metavar="SERVICE", help="Only this one; repeatable.", autocompletion=_services),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def file_to_write(file: Path | None) -> Path | None:
    """Check, before any work, that a file can be written where an option names one.

    Raises:
        UsageError: it cannot.
    """
    if file is None:
        return None
    if file.is_dir():
        raise UsageError([f"{told(file)}: this is a folder. Name a file in it."])
    if not file.parent.is_dir():
        raise UsageError(
            [f"{told(file)}: there is no folder {told(file.parent)}. Make it, or name another file."]
        )
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UsageError([f"{told(file)}: you may not write there. Name another file."])
    return file


def folder_to_write(folder: Path) -> Path:
    """Make the folder that an option names, where there is none.

    Raises:
        UsageError: it cannot be made, or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "this is no folder" if isinstance(error, FileExistsError) else error.strerror
        raise UsageError([f"{told(folder)}: {reason}. Name a folder that you can write to."]) from None
    if not os.access(folder, os.W_OK):
        raise UsageError([f"{told(folder)}: you may not write there. Name another folder."])
    return folder


def load(root: Path, name: str) -> Environment:
    """Load one environment.

    Raises:
        InvalidInputError: the files are not valid.
        RefusedError: there is no such environment.
    """
    return environment_named(by_name(load_environments(root)), name, root)


def load_some(root: Path, name: str | None) -> list[Environment]:
    """Load one environment, or all where none is named.

    Raises:
        InvalidInputError: the files are not valid.
        RefusedError: there is no such environment.
    """
    loaded = by_name(load_environments(root))
    return [environment_named(loaded, name, root)] if name else list(loaded.values())


def examples(*lines: str) -> dict[str, Any]:
    """Return what shows examples at the end of a command's help, one a line, and names all that a call leaves out."""
    return {
        "epilog": "\n\n".join(["Examples:", *(f"  presence360 {line}" for line in lines)]),
        "cls": Complete,
    }


class Complete(TyperCommand):
    """A command that names everything that a call leaves out, where typer names the first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments of a call."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if type(error).__name__ != "MissingParameter":
                raise
            params: list[Any] = [*self.get_params(ctx)]
            values, _, _ = self.make_parser(ctx).parse_args(given)
            left_out = [
                f"{one.param_type_name} {one.get_error_hint()}"
                for one in params
                if one.required and values.get(str(one.name)) in (None, ())
            ]
            if len(left_out) < 2:  # noqa: PLR2004  typer says one alone
                raise
            raise _USAGE(f"Missing {', '.join(left_out)}.", ctx=ctx) from None
