"""A skip has a reason and a last day, covers one finding, and fails the run once it has ended or is not needed."""

from datetime import date
from pathlib import Path

import pytest

from policies import skips
from policies.pack import PACK
from policies.scan import Finding, Report
from policies.skips import SkipError, read

TODAY = date(2026, 12, 1)
NODES = Finding(
    "CKV_P360_48", "staging/cdk.tf.json", "digitalocean_database_cluster.pg", "Standby", ("one node",)
)
ALL_PASS = [Finding(policy, "staging/cdk.tf.json", "x", "") for policy in PACK]
SKIP = """
[[skip]]
policy = "CKV_P360_48"
file = "staging/*"
resource = "digitalocean_database_cluster.*"
reason = "One node until the move."
until = 2027-03-09
"""


def report(*failed: Finding, without: str = "") -> Report:
    return Report([one for one in ALL_PASS if one.check != without], list(failed), [], {})


def written(tmp_path: Path, text: str) -> list[skips.Skip]:
    (tmp_path / "skips.toml").write_text(text, "utf-8")
    return read(tmp_path / "skips.toml", PACK)


def test_a_finding_that_is_accepted_does_not_fail(tmp_path: Path) -> None:
    left, problems = skips.apply(report(NODES), written(tmp_path, SKIP), PACK.values(), TODAY)
    assert (left.failed, left.skipped, problems) == ([], [NODES], [])


@pytest.mark.parametrize(
    ("old", "new"),
    [("staging/*", "production/*"), ("_cluster.*", "_cluster.other"), ("CKV_P360_48", "CKV_P360_45")],
)
def test_another_finding_does(tmp_path: Path, old: str, new: str) -> None:
    left, problems = skips.apply(
        report(NODES), written(tmp_path, SKIP.replace(old, new)), PACK.values(), TODAY
    )
    assert left.failed == [NODES]
    assert [problem.endswith("nothing needs this skip any more; remove it") for problem in problems] == [True]


@pytest.mark.parametrize(
    ("today", "said"),
    [
        (date(2027, 3, 9), []),
        (date(2027, 3, 10), ["the skip ended on 2027-03-09"]),
        (date(2026, 3, 1), ["until 2027-03-09 is more than a year ahead"]),
    ],
)
def test_it_ends_after_its_last_day(tmp_path: Path, today: date, said: list[str]) -> None:
    _, problems = skips.apply(report(NODES), written(tmp_path, SKIP), PACK.values(), today)
    assert [words in problem for words, problem in zip(said, problems, strict=True)] == [True] * len(said)


def test_a_policy_that_judged_nothing_fails_the_run() -> None:
    _, problems = skips.apply(report(without="CKV_P360_13"), [], PACK.values(), TODAY)
    assert [problem.partition(":")[0] for problem in problems] == ["CKV_P360_13 judged nothing"]


NOTHING = """
[[nothing]]
policy = "CKV_P360_13"
reason = "No bucket is used from browsers."
until = 2027-03-09
"""


def test_unless_it_is_said_that_there_is_nothing(tmp_path: Path) -> None:
    accepted = written(tmp_path, NOTHING)
    assert skips.apply(report(without="CKV_P360_13"), accepted, PACK.values(), TODAY)[1] == []
    assert skips.apply(report(), accepted, PACK.values(), TODAY)[1] == [
        "CKV_P360_13 judges something by now; remove its [[nothing]]"
    ]


def test_everything_that_is_wrong_with_the_file_is_said_at_once(tmp_path: Path) -> None:
    text = '[[skip]]\npolicy = "CKV_P360_4800"\nfile = "*"\nresource = "*"\nreason = " "\nuntil = "soon"\nwho = "me"\n'
    with pytest.raises(SkipError) as error:
        written(tmp_path, text + '[[nothing]]\npolicy = "CKV_P360_13"\n[[ignore]]\n')
    said = str(error.value).replace(f"{tmp_path}/skips.toml: ", "").splitlines()
    assert sorted(said) == [
        "ignore: write [[skip]] or [[nothing]]",
        "nothing 1: reason is missing",
        "nothing 1: until is missing",
        "skip 1: policy is 'CKV_P360_4800', which is none; docs/policies.md lists them",
        "skip 1: reason is empty: say why, and what has to happen",
        "skip 1: until is 'soon'; write a day without quotation marks: 2027-03-09",
        "skip 1: who is not known; write file, policy, reason, resource, until",
    ]


def test_our_own_file_can_be_read() -> None:
    read(skips.FILE, PACK)
