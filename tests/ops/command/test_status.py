"""`presence360 status`, over droplets of the local DigitalOcean that say how they are."""

import json
import re

import pytest

from model.config import status_bucket
from model.runs import record_key
from ops.ci import settings
from ops.command import status as shown
from ops.paths import ROOT
from tests.ops.cloud import NAMES, Cloud, Time, status
from tests.ops.command.conftest import Command


@pytest.fixture(autouse=True)
def deployed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups of staging that serve r1, seen with the keys of the local DigitalOcean and its clock."""
    monkeypatch.setattr(settings, "load", lambda _: cloud.environ)
    monkeypatch.setattr(shown, "SYSTEM_CLOCK", cloud.time.clock)
    cloud.deploy("0f343b0931126a20")
    cloud.boot("staging-app-1-3fa9c2", "staging-app-2-3fa9c2")
    cloud.boot("staging-worker-1-9a0b1c", group="worker")


def lines(command: Command) -> list[str]:
    """The table without the droplets' addresses, which a test of its own looks at."""
    table = [" ".join(line.split()) for line in command("status", "staging").out.splitlines()]
    return [re.sub(r"^(\S+ staging-\S+) ([0-9.]+|-) ", r"\1 ", line) for line in table]


def test_each_droplet_has_the_address_that_ssh_takes(command: Command, cloud: Cloud) -> None:
    """By its API; a droplet without a public network has none yet."""
    (first,) = (one for one in cloud.server.account.all("droplets") if "app-1" in one["name"])
    (public,) = (one["ip_address"] for one in first["networks"]["v4"] if one["type"] == "public")
    found = {one["droplet"]: one["address"] for one in json.loads(command("status", "staging", "--json").out)}
    assert found["staging-app-1-3fa9c2"] == public
    assert f" {public} " in command("status", "staging").out
    first["networks"]["v4"] = [one for one in first["networks"]["v4"] if one["type"] == "private"]
    cloud.server.account.tables["droplets"][str(first["id"])]["networks"] = first["networks"]
    assert json.loads(command("status", "staging", "--json").out)[0]["address"] is None


def test_a_table_of_each_environment(command: Command, cloud: Cloud, time: Time) -> None:
    assert lines(command)[1:] == [
        "group droplet address release phase since reason",
        "app staging-app-1-3fa9c2 0f343b093112 serving 0 s -",
        "app staging-app-2-3fa9c2 0f343b093112 serving 0 s -",
        "worker staging-worker-1-9a0b1c 0f343b093112 serving 0 s -",
        "",
    ]
    cloud.releases_work(False)
    cloud.deploy("9d5ed678fe57bcca", "p1", "app")
    lines(command)
    time.seconds += 75
    assert lines(command)[2:4] == [
        "app staging-app-1-3fa9c2 0f343b093112 -> 9d5ed678fe57 failed 1 min 15 s "
        "container presence360-tenant-api-1 is unhealthy",
        "app staging-app-2-3fa9c2 0f343b093112 -> 9d5ed678fe57 held 1 min 15 s "
        "staging-app-1-3fa9c2 failed with this release",
    ]
    assert command("status").out.index("production") < command("status").out.index("staging-app-1")


def test_a_droplet_that_says_nothing_is_shown_as_silent(command: Command, cloud: Cloud, time: Time) -> None:
    lines(command)
    (gone,) = (one["id"] for one in cloud.server.account.all("droplets") if "app-1" in one["name"])
    cloud.said(str(gone), status(str(gone), time, name="staging-app-1-3fa9c2"))
    cloud.add("staging-app-3-3fa9c2")
    time.seconds += 20 * 60
    cloud.set_status(str(gone), "off")
    table = lines(command)
    assert table[2] == (
        "app staging-app-1-3fa9c2 r1 silent 20 min 0 s "
        "it is off; silent since 2023-11-14 22:14 UTC, when it was serving"
    )
    assert table[4] == "app staging-app-3-3fa9c2 none -> 0f343b093112 starting 0 s the first release"


def test_programs_get_everything(command: Command, cloud: Cloud) -> None:
    found = json.loads(command("status", "staging", "--json").out)
    assert [one["droplet"] for one in found] == [
        "staging-app-1-3fa9c2",
        "staging-app-2-3fa9c2",
        "staging-worker-1-9a0b1c",
    ]
    assert found[0] == {
        "environment": "staging",
        "group": "app",
        "id": found[0]["id"],
        "droplet": "staging-app-1-3fa9c2",
        "address": found[0]["address"],
        "silence": None,
        "release": "0f343b0931126a20",
        "wanted": "0f343b0931126a20",
        "programs": "p1",
        "phase": "serving",
        "result": "ok",
        "reason": "",
        "closed": "",
        "since": found[0]["time"],
        "time": found[0]["time"],
    }
    cloud.add("staging-app-3-3fa9c2")
    new = json.loads(command("status", "staging", "--json").out)[2]
    assert (new["silence"], new["phase"], new["time"]) == ("it is new", None, None)


def test_it_looks_again_until_somebody_ends_it(command: Command, time: Time) -> None:
    def end() -> None:
        raise KeyboardInterrupt

    begin, time.then[3] = time.seconds, end
    said = command("status", "staging", "--watch", code=130).out
    assert said.count("staging-worker-1-9a0b1c") == 3
    assert time.seconds - begin == 30
    assert "leave --watch out" in command("status", "--watch", "--json", code=2).err


def test_a_key_that_does_not_suffice_is_named(command: Command, cloud: Cloud) -> None:
    cloud.environ["SPACES_ACCESS_KEY_ID"] = "another"
    said = command("status", "staging", code=1).err
    assert "may not read the bucket presence360-staging-status-app" in said


def test_all_that_is_missing_is_named_at_once(command: Command, cloud: Cloud) -> None:
    names = ("DIGITALOCEAN_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY")
    for name in names:
        cloud.environ[name] = ""
    said = command("status", "staging", code=2).err.splitlines()
    assert [line.split()[1] for line in said] == list(names)
    assert said[0].startswith("presence360: DIGITALOCEAN_TOKEN is not set")


def test_who_is_in_maintenance_is_shown(command: Command, cloud: Cloud, time: Time) -> None:
    lines(command)
    (droplet,) = (one["id"] for one in cloud.server.account.all("droplets") if "app-1" in one["name"])
    said = status(str(droplet), time, name="staging-app-1-3fa9c2", maintenance="m1", closed="environment")
    cloud.said(str(droplet), said)
    assert lines(command)[2] == "app staging-app-1-3fa9c2 r1 serving 0 s in maintenance: environment"


def test_scheduled_jobs_are_shown_with_what_became_of_them(
    command: Command, cloud: Cloud, time: Time
) -> None:
    before = command.files.text("staging/environment.yaml")
    job = '{service: worker, command: [report], schedule: "30 3 * * *"}'
    command.files.write("staging/environment.yaml", f"{before}jobs:\n  new-one: {job}\n  report: {job}\n")
    stamp = "2023-11-14T22:13:20Z"
    record = {"job": "report", "service": "worker", "state": "failed", "due": stamp, "run": "report-1",
              "droplet": "1", "name": "staging-worker-1-3fa9c2", "started": stamp, "ended": stamp, "deadline": stamp,
              "exit_status": 3, "reason": "no such table", "last_success": None, "time": stamp}  # fmt: skip
    bucket = status_bucket(NAMES, "worker")
    cloud.server.spaces.put(bucket, record_key("report"), json.dumps(record).encode())
    time.seconds = 1_700_000_000.0 + 3600
    assert lines(command)[6:9] == [
        "job service schedule state due last success reason",
        "new-one worker 30 3 * * * new - - no droplet has looked at it yet",
        "report worker 30 3 * * * failed 60 min 0 s - exit status 3: no such table",
    ]
    record |= {"state": "ok", "exit_status": 0, "reason": "", "last_success": stamp}
    cloud.server.spaces.put(bucket, record_key("report"), json.dumps(record).encode())
    assert lines(command)[8] == "report worker 30 3 * * * ok 60 min 0 s 60 min 0 s -"


def test_no_text_sends_somebody_to_terraform_where_it_has_no_state() -> None:
    """Without -chdir, Terraform looks into the repository's root, where it says `No outputs found`."""
    texts = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "ops" / "command").glob("*.py"), ROOT / "README.md"]
    wrong = [
        file.name
        for file in texts
        if re.search(r"terraform\s+(output|taint|untaint)\b", file.read_text(encoding="utf-8"))
    ]
    assert wrong == []
