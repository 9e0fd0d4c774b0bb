"""What a droplet says of itself: the contract of model/status.py, at each change of phase, and no secret."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from droplet.converge import peers, status
from droplet.converge.isolated import isolation
from droplet.converge.status import one_line
from droplet.isolation.metrics import metrics, samples_of
from droplet.isolation.result import Result as Isolated
from model.status import FRESH_SECONDS, REFRESH_SECONDS, Phase, Result
from tests.droplet.machine import OTHER_TURN, Host


def phases(host: Host) -> list[tuple[str, str]]:
    return [(said.phase.value, said.result.value) for said in host.said]


def test_the_numbers_of_both_sides_are_one() -> None:
    assert (peers.FRESH_SECONDS, status.REFRESH_SECONDS) == (FRESH_SECONDS, REFRESH_SECONDS)


def test_a_receiver_of_telemetry_says_how_it_is_reached(healthy: Host) -> None:
    said = {"address": "10.60.0.11", "port": 9364, "certificate": "PEM"}
    assert "receiver" not in json.loads(healthy.statuses["droplets/101.json"])
    healthy.paths.receiver.write_text(json.dumps(said))
    healthy.once()
    assert json.loads(healthy.statuses["droplets/101.json"])["receiver"] == said
    # Another address or certificate is news.
    healthy.paths.receiver.write_text(json.dumps(said | {"address": "10.60.0.12"}))
    healthy.once()
    assert json.loads(healthy.statuses["droplets/101.json"])["receiver"]["address"] == "10.60.0.12"
    assert [one.phase for one in healthy.said] == [Phase.SERVING]


def test_what_the_isolation_job_found_is_told_with_the_next_status(healthy: Host) -> None:
    """As its own metrics have it: the job is not asked, and has no key of the bucket."""
    assert list(healthy.status.isolation) == []
    bad, right = Isolated("shared"), Isolated("cell-2")
    bad.findings.append(("tenant_x", "tenant_y", "may connect"))
    samples = {one.cluster: samples_of(one, 1_700_000_000.4) for one in (bad, right)}
    healthy.paths.isolated.write_text(metrics(samples, {"environment": True}))
    healthy.release("2")
    healthy.once()
    found = {one.cluster: one for one in healthy.status.isolation}
    assert {name: (one.success, one.findings, one.errors) for name, one in found.items()} == {
        "shared": (False, 1, 0),
        "cell-2": (True, 0, 0),
    }
    assert found["shared"].time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", 'presence360_isolation_success{cluster="a"} 1\n', "no metrics \x00", "#\n" * 9]
)
def test_metrics_that_are_not_whole_say_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "isolation.prom").write_text(text)
    assert isolation(tmp_path / "isolation.prom") == {}


class TestPhases:
    def test_of_a_new_droplet(self, host: Host) -> None:
        host.halfway = True
        host.once()
        said = host.status
        assert (said.droplet, said.name) == ("101", "staging-app-1-3fa9c2")
        assert (said.phase, said.result, said.reason) == (
            Phase.WAITING,
            Result.PENDING,
            "set incomplete: no manifest",
        )
        assert (said.release, said.wanted, said.programs) == (None, None, None)
        host.halfway = False
        host.once()
        assert phases(host) == [("starting", "pending"), ("serving", "ok")]
        assert host.status.release == host.status.wanted == host.digest
        assert host.status.reason == ""

    def test_of_a_release(self, healthy: Host) -> None:
        before = healthy.digest
        healthy.release("2")
        healthy.once()
        assert phases(healthy) == [("draining", "pending"), ("starting", "pending"), ("serving", "ok")]
        assert [said.release for said in healthy.said] == [before, before, healthy.digest]
        assert {said.wanted for said in healthy.said} == {healthy.digest}

    def test_of_a_bad_release(self, healthy: Host) -> None:
        before = healthy.digest
        healthy.release("bad")
        healthy.failing = f"{healthy.digest}/compose.yaml up "
        healthy.once()
        assert phases(healthy) == [("draining", "pending"), ("starting", "pending"), ("failed", "failed")]
        said = healthy.status
        assert (said.release, said.wanted) == (before, healthy.digest)
        assert said.reason == f"release {healthy.digest} failed: docker failed"
        # It goes on saying so.
        healthy.now += REFRESH_SECONDS
        healthy.once()
        assert phases(healthy) == [("failed", "failed")]
        assert healthy.status.since == said.since

    def test_of_a_service_that_does_not_start(self, healthy: Host) -> None:
        healthy.release("bad")
        healthy.failing = f"{healthy.digest}/compose.yaml up "
        healthy.containers["api"]["Health"] = "unhealthy"
        healthy.once()
        assert healthy.status.reason == f"release {healthy.digest} failed: unhealthy: api: docker failed"

    def test_failed_is_said_before_the_way_back(self, healthy: Host) -> None:
        """While this droplet goes back, no other may begin."""
        healthy.release("bad")
        healthy.ill = True
        healthy.once()
        ups = [index for index, command in enumerate(healthy.commands) if " up " in command]
        puts = [index for index, command in enumerate(healthy.commands) if "copyto" in command]
        assert ups[0] < puts[2] < ups[1]

    def test_of_who_follows(self, healthy: Host) -> None:
        healthy.name = "staging-app-2-3fa9c2"
        before = healthy.digest
        healthy.release("2")
        healthy.peer(1, "starting", release=before)
        assert healthy.once() == 0
        assert phases(healthy) == [("waiting", "pending")]
        assert (
            healthy.status.reason
            == f"release {healthy.digest} waits for staging-app-1-abcdef, which is starting"
        )
        assert healthy.success
        # It looks again within the run, so that nobody waits for the next minute.
        assert healthy.slept == [(4, False)] * 6
        healthy.now += 30
        healthy.peer(1, "failed", reason="api is unhealthy")
        assert healthy.once() == 0
        assert phases(healthy) == [("held", "failed")]
        assert healthy.status.reason.startswith("staging-app-1-abcdef failed with release")
        assert "presence360_converge_success 0" in healthy.paths.metrics.read_text()
        assert not healthy.did(" up ")
        healthy.now += 30
        healthy.peer(1, "serving")
        assert healthy.once() == 0
        assert phases(healthy)[-1] == ("serving", "ok")

    def test_of_a_registry_that_does_not_answer(self, healthy: Host) -> None:
        healthy.release("2")
        healthy.failing = " pull "
        healthy.once()
        assert phases(healthy) == [("waiting", "pending")]
        healthy.now += 181
        healthy.once()
        assert phases(healthy) == [("waiting", "failed")]

    def test_without_its_bucket(self, healthy: Host) -> None:
        healthy.once("--heal")
        assert phases(healthy) == [("serving", "failed")]
        assert healthy.status.reason == "the bucket was not fetched"

    def test_of_a_unit_that_systemd_refuses(self, healthy: Host) -> None:
        programs = healthy.paths.state / "programs/0123"
        (programs / "units").mkdir(parents=True)
        (programs / "units/agent.service").write_text("[Service]\n[Install]\n")
        healthy.paths.units.mkdir()
        healthy.paths.programs.symlink_to(programs)
        healthy.failing = "enable --now"
        healthy.once()
        assert phases(healthy) == [("serving", "failed")]
        assert healthy.status.reason == "agent.service: systemctl failed"
        assert healthy.status.programs == "0123"


class TestWriting:
    def test_is_no_more_often_than_it_has_to_be(self, healthy: Host) -> None:
        since = healthy.status.since
        healthy.now += REFRESH_SECONDS - 1
        healthy.once()
        assert healthy.said == []
        healthy.now += 1
        healthy.once()
        assert phases(healthy) == [("serving", "ok")]
        assert healthy.status.since == since
        assert healthy.status.time.timestamp() == healthy.now

    def test_that_fails_stops_nothing_and_is_repeated(self, healthy: Host) -> None:
        healthy.release("2")
        healthy.failing = "copyto"
        assert healthy.once() == 0
        assert healthy.success
        healthy.failing = None
        healthy.once()
        assert phases(healthy) == [("serving", "ok")]


class TestSecrets:
    def test_are_in_no_reason(self, healthy: Host) -> None:
        healthy.bucket["secrets.worker.env"] = 'SECRET="hunter2hunter2"\nQUOTED="a\\"b\\$c\\\\d"\n'
        healthy.once()
        healthy.failing = " up "
        run = healthy.run

        def telling(args: list[str], env: dict[str, str], timeout: float) -> str:
            try:
                return run(args, env, timeout)
            except Exception as error:
                raise type(error)(
                    'compose: invalid: hunter2hunter2\n in a"b$c\\d and a\\"b\\$c\\\\d'
                ) from None

        healthy.run = telling  # type: ignore[assignment, method-assign]
        healthy.release("2")
        healthy.once()
        told = "compose: invalid: *** in *** and ***"
        assert healthy.status.reason.startswith(f"release {healthy.digest} failed: {told}; going back to")
        assert "hunter2" not in json.dumps(healthy.statuses)

    def test_a_reason_is_one_short_line(self) -> None:
        assert one_line("a\n b\t\tc ", ()) == "a b c"
        long = one_line(f"first {'x' * 1000} last", ())
        assert (len(long), long[:5], long[-4:]) == (400, "first", "last")
        assert one_line("port 8000", ("8000",)) == "port 8000"


class TestRetry:
    def test_tries_what_failed_elsewhere_and_forgets_the_dead(self, healthy: Host) -> None:
        healthy.name = "staging-app-2-3fa9c2"
        # Its own slot, because number 1 is silent.
        healthy.now = 360_000 + OTHER_TURN
        healthy.release("2")
        healthy.peer(1, "failed", age="90000")
        healthy.peer(3, "serving")
        healthy.once()
        assert phases(healthy) == [("held", "failed")]
        healthy.once("--retry")
        assert phases(healthy)[-1] == ("serving", "ok")
        assert set(healthy.statuses) == {"droplets/101.json", "droplets/203.json"}
