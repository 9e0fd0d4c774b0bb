"""`cdktf deploy staging` as its user runs it: the real CLI, Terraform and provider, on a local DigitalOcean."""

import re
import signal
from collections.abc import Iterator

import pytest

from lab.rehearsal.cloud import Cloud
from lab.rehearsal.errors import CannotRehearseError
from lab.rehearsal.terraform import Terraform
from tests.ops.cdktf_deploy.checkout import LIFTED, STACK, Checkout
from tests.ops.cdktf_deploy.terminal import ENTER
from tests.support import ROOT

pytestmark = [
    pytest.mark.rehearsal,
    pytest.mark.usefixtures("provider"),
    pytest.mark.skipif(
        not (ROOT / "node_modules/.bin/cdktf").exists(), reason="the cdktf CLI is not installed: make setup"
    ),
]
GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
ENTRY = f"  - id: {GRACE}\n    slug: grace\n    name: Grace Chapel\n"
ZION_ID = "5d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a009"
ZION = f"  - id: {ZION_ID}\n    slug: zion\n    name: Zion Chapel\n"
DEPLOY = ("deploy", STACK)
UNASKED = (*DEPLOY, "--auto-approve")
ASKED = "Please review the diff output above for staging"
# How Terraform counts a plan.
COUNTED = re.compile(r"Plan: (\d+) to add, (\d+) to change, (\d+) to destroy\.")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("cloud")) as started:
        # The first VPC of a region becomes its default (README.md, First deploy).
        started.ask("POST", "/v2/vpcs", {"name": "default-fra1", "region": "fra1"})
        yield started


@pytest.fixture(scope="module")
def deployed(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose staging was deployed by the CLI, without a terminal."""
    folder = tmp_path_factory.mktemp("deploy")
    checkout = Checkout(folder / "checkout", {**cloud.environment, "PRESENCE360_WAIT_SECONDS": "60"})
    assert checkout.run("synth").returncode == 0
    try:
        Terraform(checkout.stack, folder / "data", cloud.environment).install()
    except CannotRehearseError as error:
        pytest.skip(str(error).splitlines()[0])
    done = checkout.run(*UNASKED)
    assert done.returncode == 0, done.stdout
    assert "plan guard: nothing is lost" in done.stdout
    assert "Apply complete!" in done.stdout
    # When Terraform has ended, the command goes on until the droplets say that they run what was written.
    assert "staging: every droplet runs what was deployed" in done.stdout.partition("Apply complete!")[2]
    assert checkout.plans_left == []
    return checkout


@pytest.fixture
def checkout(deployed: Checkout) -> Iterator[Checkout]:
    yield deployed
    deployed.restore()


def assert_refused(checkout: Checkout, cloud: Cloud, *said: str, **environ: str) -> str:
    """Deploy without a terminal; see that the guard refuses and that nothing at all changes."""
    state, there = checkout.state, cloud.state()
    done = checkout.run(*UNASKED, **environ)
    assert done.returncode == 1, done.stdout
    for text in (*said, "plan guard: REFUSED", "Nothing was applied to staging."):
        assert text in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert checkout.state == state
    assert cloud.state() == there
    assert checkout.plans_left == []
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


@pytest.mark.parametrize("group", ["worker", pytest.param("app", marks=pytest.mark.nightly("rehearsal"))])
def test_a_renamed_group_is_refused(checkout: Checkout, cloud: Cloud, group: str) -> None:
    checkout.edit("environment.yaml", f"\n  {group}:\n", f"\n  {group}-two:\n")
    if group == "app":
        checkout.edit("environment.yaml", "\n  group: app\n", "\n  group: app-two\n")
    said = assert_refused(checkout, cloud, f"bucket presence360-staging-config-{group} would be deleted")
    plan = COUNTED.search(said)
    assert plan is not None
    assert int(plan[3]) > 10, "a group is more than ten resources, and all of them would have gone"


def test_an_active_tenant_that_left_the_file_is_refused(checkout: Checkout, cloud: Cloud) -> None:
    """Past the two other fences, which are there as well: tenants.lock at synth, and prevent_destroy in the plan."""
    checkout.edit("tenants.yaml", ENTRY, "")
    refused_by_the_lock = checkout.run(*UNASKED)
    assert refused_by_the_lock.returncode == 2
    assert f"{GRACE}: this tenant was removed from tenants.yaml" in refused_by_the_lock.stdout

    lock = checkout.folder / "environments" / STACK / "tenants.lock"
    kept = [line for line in lock.read_text(encoding="utf-8").splitlines(keepends=True) if GRACE not in line]
    lock.write_text("".join(kept), encoding="utf-8")
    state = checkout.state
    refused_by_terraform = checkout.run(*UNASKED)
    assert refused_by_terraform.returncode == 1
    assert "Instance cannot be destroyed" in refused_by_terraform.stdout
    assert checkout.state == state

    assert_refused(checkout, cloud, f"its database tenant_{GRACE}", **{LIFTED: "true"})


@pytest.mark.nightly("rehearsal")
def test_a_destroy_is_refused(checkout: Checkout, cloud: Cloud) -> None:
    state, there = checkout.state, cloud.state()
    done = checkout.run("destroy", STACK, "--auto-approve", **{LIFTED: "true"})
    assert done.returncode == 1
    assert "plan guard: REFUSED" in done.stdout
    assert checkout.state == state
    assert cloud.state() == there


@pytest.mark.nightly("rehearsal")
def test_an_interrupted_deploy_is_completed_by_the_next(checkout: Checkout, cloud: Cloud) -> None:
    """The deploy makes a droplet, or waits for it to serve, when the signal comes: the droplet may be half made."""
    cloud.droplets_serve(False)
    checkout.edit(
        "environment.yaml", "size: s-2vcpu-2gb\n    replicas: 1", "size: s-2vcpu-2gb\n    replicas: 2"
    )
    terminal = checkout.terminal(*UNASKED)
    terminal.wait_for("Still creating...")
    terminal.send(signal.SIGTERM)
    assert terminal.end() != 0
    assert checkout.plans_left == []
    assert not list(checkout.folder.glob(".terraform.*.lock.info")), "the lock of the state is released"

    done = checkout.run(*UNASKED, PRESENCE360_WAIT_SECONDS="0")
    assert done.returncode == 0, done.stdout
    assert "Apply complete!" in done.stdout
    workers = [name for name in cloud.names("droplets") if name.startswith(f"{STACK}-worker-")]
    assert len(workers) == 2, "what was half made is replaced, and nothing is left over"


def test_what_is_allowed_is_asked_in_a_terminal_and_applied(checkout: Checkout, cloud: Cloud) -> None:
    """The last of these tests: a church that was added cannot simply be left out again."""
    checkout.edit("tenants.yaml", ENTRY, ENTRY + ZION)
    terminal = checkout.terminal(*DEPLOY)
    before = terminal.wait_for(ASKED)
    assert before.index("Zion Chapel (zion): database added") < before.index("plan guard: nothing is lost")
    assert ZION_ID not in str(cloud.state()), "nothing is applied before the answer"
    terminal.wait_for_keys()
    terminal.type(ENTER)
    assert terminal.end() == 0, terminal.text
    assert "Apply complete! Resources: 4 added," in terminal.text
    assert ZION_ID in str(cloud.state())
    assert checkout.plans_left == []
