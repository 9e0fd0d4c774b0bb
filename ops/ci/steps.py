"""The steps that plan and apply."""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from model.loader import load_environments
from model.state import PROVIDER_LOCK_FILE
from ops import adopt as adopting
from ops.ci import before, plans, provider_lock, releases, settings, stacks, workflow
from ops.ci import drift as drifting
from ops.ci.errors import StepError
from ops.errors import OperationError, UsageError
from ops.paths import ENVIRONMENTS, OUTDIR, ROOT
from ops.preflight import checks
from ops.preflight.existing import Existing
from ops.progress import elapsed, working
from ops.terraform import Terraform

if TYPE_CHECKING:
    from ops.ci.keep import PlanStore

NOT_SET_UP = "not compared with DigitalOcean: no credentials are set (docs/ci.md)"


def list_stacks(options: argparse.Namespace) -> int:
    """Print the stacks of an environment in the order in which they are deployed."""
    _, names = _prepare(options)
    print("\n".join(names))
    return 0


def make_plan(options: argparse.Namespace) -> int:
    """Plan, have the guard judge the plan, summarize it, and keep it for the apply."""
    environ, names = _prepare(options)
    settings.check_plan(environ, names)
    if not provider_lock.is_committed(ROOT):
        workflow.annotate(
            "notice", f"no {PROVIDER_LOCK_FILE} is committed: see make lock-providers", file="docs/ci.md"
        )
    folder = _folder(options)
    before.credentials(environ, names)
    store = _store(names[0], environ) if options.keep else None
    base = options.base or (store.deployed(names[0]) if store else "")
    outcome = _planned(names, environ, folder, lock=True, base=base)
    workflow.summarize(outcome.markdown, outcome.text)
    if outcome.problems:
        raise StepError("\n".join(outcome.problems))
    if store:
        store.put(options.keep, folder)
    workflow.output("changes", "true" if outcome.record.changes else "false")
    workflow.output("digest", outcome.record.digest)
    return 0


def apply(options: argparse.Namespace) -> int:
    """Apply exactly the plan that was made and reviewed, one stack after the other; then wait for its release."""
    environ, names = _prepare(options)
    settings.check_apply(environ, names)
    before.credentials(environ, names)
    folder = _folder(options)
    store = _store(names[0], environ) if options.keep else None
    if store:
        store.get(options.keep, folder)
    record = plans.Record.read(folder, options.digest)
    left = [stack.name for stack in record.stacks if stack.changes]
    if not left:
        print("nothing to apply: the plan has no changes")
    began = time.monotonic()
    try:
        for done in plans.apply(record, _opener(environ), folder, root=ROOT):
            print(f"{done}: applied, {elapsed(time.monotonic() - began)}", flush=True)
            began = time.monotonic()
            left.remove(done)
            if store:
                store.remember_deployed(done, record.commit)
    except OperationError as error:
        after = left[1:]
        rest = f"\nNot touched: {', '.join(after)}." if after else ""
        raise StepError(f"{error}{rest}") from error
    shutil.rmtree(folder)
    if store:
        store.drop(options.keep)
    changed = [stack.name for stack in record.stacks if stack.changes]
    releases.after_apply(environ, changed, wait=not options.no_wait)
    return 0


def wait(options: argparse.Namespace) -> int:
    """Wait until droplets run what an apply wrote; exit code 1 with their reasons if they do not."""
    releases.wait_elsewhere(
        settings.load(ROOT), options.environment, options.deployed, environments=options.environments
    )
    return 0


def diff(options: argparse.Namespace) -> int:
    """Plan with read-only credentials, and report what the guard says; nothing is locked or kept."""
    environ, names = _prepare(options)
    if settings.without_credentials(environ):
        workflow.annotate("notice", f"{names[0]}: {NOT_SET_UP}")
        workflow.write(options.into, f"## {names[0]}\n\n{NOT_SET_UP.capitalize()}.\n")
        return 0
    settings.check_plan(environ, names)
    before.credentials(environ, names)
    folder = _folder(options)
    outcome = _planned(names, environ, folder, lock=False, base=options.base)
    shutil.rmtree(folder, ignore_errors=True)
    workflow.summarize(outcome.markdown, outcome.text)
    workflow.write(options.into, outcome.markdown)
    if outcome.problems:
        raise StepError("\n".join(outcome.problems))
    return 0


def drift(options: argparse.Namespace) -> int:
    """Compare an environment with what was merged; exit code 1 if they differ.

    Without any credential the workflow of every night, which nobody has to set up, skips an environment.
    """
    environ, names = _prepare(options)
    if options.only_if_set_up and settings.without_credentials(environ):
        workflow.annotate("notice", f"{names[0]}: {NOT_SET_UP}")
        return 0
    settings.check_plan(environ, names)
    before.credentials(environ, names)
    seen = drifting.look(names, _opener(environ))
    workflow.summarize(seen.markdown)
    # An empty file means that nothing differs. Without a file nobody could compare, and the issue stays as it is.
    workflow.write(options.into, seen.markdown if seen.found else "")
    if not seen.found:
        return 0
    raise StepError("\n".join([*seen.problems, f"{names[0]}: DigitalOcean differs from what was merged"]))


def adopt(options: argparse.Namespace) -> int:
    """Take into the state what an interrupted deploy made and the state lacks."""
    environ, (stack, *_) = _prepare(options)
    settings.check_plan(environ, [stack])
    before.credentials(environ, [stack])
    environment, terraform = before.environment_of(stack), open_stack(environ, stack)
    # `bootstrap` has a bucket in the region of each environment, and Spaces lists a region's at a time.
    files = [environment] if environment else load_environments(ENVIRONMENTS)
    left: list[Existing] = []
    for region in sorted({one.file.region for one in files}):
        left = adopting.adopt(terraform, environ, region, _say)
    if left:
        raise StepError(
            "\n".join([*checks.told(left, stack), f"{stack}: {checks.NO_MORE}"]),
        )
    print(f"{stack}: nothing is missing in its state. Next: presence360 plan {stack}")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _planned(
    names: list[str], environ: dict[str, str], folder: Path, *, lock: bool, base: str
) -> plans.Outcome:
    """Check what the files name, plan, and check the plan; all problems together."""
    files = before.files(environ, names)
    outcome = plans.plan(
        names,
        _opener(environ),
        folder,
        root=ROOT,
        lock=lock,
        base=base,
        check=before.of_plan(environ, names),
        exists=before.exists(environ, names),
    )
    for note in (*files.notes, *outcome.notes):
        workflow.annotate("notice", note)
    if files.problems:
        shutil.rmtree(folder, ignore_errors=True)
    return replace(outcome, problems=(*files.problems, *outcome.problems))


def lock_providers(options: argparse.Namespace) -> int:
    """Write the file with the providers' hashes, which is committed."""
    environ = settings.load(ROOT)
    synthesize(environ)
    stack = OUTDIR / "stacks" / stacks.synthesized(OUTDIR)[0]
    platforms = options.platform or provider_lock.PLATFORMS
    provider_lock.write(stack, ROOT / PROVIDER_LOCK_FILE, environ, platforms=platforms, mirror=options.mirror)
    print(
        f"wrote {PROVIDER_LOCK_FILE} for {', '.join(platforms)}: commit it; every synth copies it beside each stack"
    )
    return 0


def _prepare(options: argparse.Namespace) -> tuple[dict[str, str], list[str]]:
    """Synthesize; return the variables and the stacks of a step."""
    if bool(options.stack) == bool(options.environment):
        raise UsageError(
            ["name one stack (STACK=staging-cell-2) or an environment with its cells (ENVIRONMENT=staging)"]
        )
    environ = settings.load(ROOT)
    # Before anything that takes seconds.
    stacks.check_names(ENVIRONMENTS, environment=options.environment, stack=options.stack)
    synthesize(environ)
    known = stacks.synthesized(OUTDIR)
    names = (
        stacks.one(options.stack, known)
        if options.stack
        else stacks.of_environment(options.environment, known)
    )
    return environ, names


def synthesize(environ: dict[str, str]) -> None:
    """Write every stack to the output folder; end the program where a file is wrong."""
    command = [sys.executable, str(ROOT / "main.py"), "--outdir", str(OUTDIR)]
    run_synth(command, environ)


def run_synth(command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run the program; where a file is wrong, say what it says and end with its exit code."""
    said = ""
    try:
        with working("synth"):
            done = subprocess.run(command, env=environ, stderr=subprocess.PIPE, text=True, check=False)
            said = done.stderr
            if done.returncode:
                raise SystemExit(done.returncode)
    finally:
        # After the clock, which has the terminal to itself. It says itself what is wrong with the files.
        sys.stderr.write(said)


def open_stack(environ: dict[str, str], stack: str) -> Terraform:
    """Return a stack's Terraform, initialized."""
    return _opener(environ)(stack)


def _opener(environ: dict[str, str]) -> plans.Open:
    locked = provider_lock.is_committed(ROOT)

    def opened(stack: str) -> Terraform:
        terraform = Terraform(OUTDIR / "stacks" / stack, environ)
        terraform.init(locked=locked)
        return terraform

    return opened


def _store(stack: str, environ: dict[str, str]) -> "PlanStore":
    # An S3 client takes half a second to load, and only a plan that is kept needs it.
    from ops.ci.keep import PlanStore  # noqa: PLC0415

    return PlanStore.of_stack(OUTDIR / "stacks" / stack, environ)


def plan_folder(environment: str, stack: str) -> Path:
    """Return where the plans of an environment, or of one stack, are until they are applied."""
    return OUTDIR / "plans" / (stack or f"{environment}-all")


def _folder(options: argparse.Namespace) -> Path:
    return plan_folder(options.environment, options.stack)
