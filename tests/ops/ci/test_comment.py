"""One comment, harmless whatever text it is made of."""

from dataclasses import replace
from pathlib import Path

import pytest

from ops.ci import issues
from ops.ci.__main__ import main
from ops.ci.comment import MARKER, MAX_SECTION, Run, compose, harmless, post
from ops.ci.errors import StepError
from ops.ci.github import BOT, MAX_BODY, Repository
from tests.ops.ci.conftest import GitHub

RUN = Run("Pull request", "success", "https://example.org/runs/1", "stranger", "fix/it", "a" * 40)


@pytest.fixture
def summaries(tmp_path: Path) -> Path:
    (tmp_path / "summary").mkdir()
    (tmp_path / "summary" / "rehearsal.md").write_text(
        "## staging\n\n| tenant | |\n|---|---|\n", encoding="utf-8"
    )
    return tmp_path


def opened(hub: GitHub, sha: str = RUN.head_sha) -> None:
    hub.pulls.append({"number": 7, "head": {"sha": sha}})


def test_the_first_run_comments_and_later_ones_update(
    github: tuple[GitHub, Repository], summaries: Path
) -> None:
    hub, repository = github
    opened(hub)
    assert post(repository, RUN, summaries) == "commented on pull request 7"
    failed = replace(RUN, conclusion="failure")
    assert post(repository, failed, summaries) == "updated the comment on pull request 7"
    (comment,) = hub.comments
    assert comment["body"].startswith(MARKER)
    assert "Pull request: failure for aaaaaaaaaaaa, [the run](https://example.org/runs/1)" in comment["body"]
    assert "| tenant | |" in comment["body"]
    assert "success" not in comment["body"]


def test_each_workflow_has_its_section_and_leaves_the_others(
    github: tuple[GitHub, Repository], summaries: Path, tmp_path: Path
) -> None:
    hub, repository = github
    opened(hub)
    post(repository, RUN, summaries)
    post(repository, replace(RUN, workflow="Pull request diff"), tmp_path / "nothing")
    post(repository, RUN, summaries)
    (comment,) = hub.comments
    assert comment["body"].count("<!-- section ") == 2
    assert comment["body"].count("| tenant | |") == 1
    assert "There is no summary; the log says why." in comment["body"]


def test_only_its_own_comment_is_ever_changed(github: tuple[GitHub, Repository], summaries: Path) -> None:
    hub, repository = github
    opened(hub)
    theirs = {"id": 1, "user": {"login": "stranger"}, "body": f"{MARKER}\nmine!"}
    quoting = {"id": 2, "user": {"login": BOT}, "body": f"I saw {MARKER}"}
    hub.comments += [theirs.copy(), quoting.copy()]
    assert post(repository, RUN, summaries) == "commented on pull request 7"
    assert hub.comments[:2] == [theirs, quoting]


def test_it_is_found_behind_many_comments(github: tuple[GitHub, Repository], summaries: Path) -> None:
    hub, repository = github
    opened(hub)
    hub.comments += [{"id": n, "user": {"login": "someone"}, "body": "+1"} for n in range(100)]
    post(repository, RUN, summaries)
    assert post(repository, RUN, summaries) == "updated the comment on pull request 7"


def test_a_run_of_a_commit_that_is_the_head_no_more_says_nothing(
    github: tuple[GitHub, Repository], summaries: Path
) -> None:
    hub, repository = github
    opened(hub, sha="b" * 40)
    assert "no open pull request" in post(repository, RUN, summaries)
    assert hub.comments == []


def test_a_refusal_of_github_is_said(github: tuple[GitHub, Repository], summaries: Path) -> None:
    _, repository = github
    with pytest.raises(StepError, match=r"GitHub answers 401 to GET pulls\?.*Bad credentials"):
        post(replace(repository, token="wrong"), RUN, summaries)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("| `a` | b |\n|---|---|", "| `a` | b |\n|---|---|"),
        (
            "<details><summary>12 more</summary>\n</details>",
            "<details><summary>12 more</summary>\n</details>",
        ),
        ("1 < 2", "1 < 2"),
        ("a<!-- section\nx --> b", "a b"),
        ("<!-- open", "&lt;!-- open"),
        ("<!<!-- x -->-- end -->", "&lt;!-- end -->"),
        ('<img src="https://example.org/x">', '&lt;img src="https://example.org/x">'),
        ("<details open onclick=x>", "&lt;details open onclick=x>"),
        ("![x](https://example.org/x)", "![x]\u2060(https://example.org/x)"),
        ("[x][y]", "[x]\u2060[y]"),
        ("[y]: https://example.org", "[y]\u2060: https://example.org"),
        ("@church/admins", "@\u2060church/admins"),
    ],
)
def test_a_stranger_s_markdown_is_made_harmless(text: str, becomes: str) -> None:
    assert harmless(text) == becomes


def test_a_stranger_can_forge_no_section(tmp_path: Path) -> None:
    forged = "x\n<!-- end -->\n\n<!-- section Pull request diff -->\nAll is well.\n<!-- end -->"
    (tmp_path / "forged.md").write_text(forged, encoding="utf-8")
    body = compose("", RUN, tmp_path)
    assert (
        compose(body, replace(RUN, workflow="Pull request diff"), tmp_path / "none").count("<!-- section ")
        == 2
    )
    name = replace(RUN, workflow="x -->\n<!-- section y")
    assert compose("", name, tmp_path / "none").count("<!-- section ") == 1


def test_a_long_summary_is_cut_and_github_takes_it(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("@x " * MAX_SECTION, encoding="utf-8")
    body = compose("", RUN, tmp_path)
    body = compose(body, replace(RUN, workflow="Pull request diff"), tmp_path)
    assert len(body) <= MAX_BODY
    assert body.count("… cut: the page of the run has the rest.") == 2


def test_a_failed_drill_s_issue_is_opened_and_the_next_drill_that_passes_closes_it(
    github: tuple[GitHub, Repository], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, repository = github
    for name, value in {
        "GITHUB_API_URL": repository.api,
        "GITHUB_REPOSITORY": repository.name,
        "GITHUB_TOKEN": repository.token,
        "RUN_URL": "https://example.org/runs/3",
    }.items():
        monkeypatch.setenv(name, value)
    step = ["drill-issue", str(tmp_path), "--environment", "staging"]
    # Where no drill was asked for there is no file.
    assert main(step) == 0
    assert hub.issues == []
    issues.report(repository, issues.DRIFT, "staging", "- `a`: update", "")
    for report in ("# Restore drill of staging: **failed**", "**The drill could not be done.** Why"):
        (tmp_path / "staging.md").write_text(report, encoding="utf-8")
        assert main(step) == 0
    assert [(one["title"], one["state"]) for one in hub.issues] == [
        ("Drift: staging", "open"),
        ("Restore drill failed: staging", "open"),
    ]
    assert hub.issues[1]["body"].endswith(
        "The first run in which the drill passes closes this issue.\n\n" + report
    )
    (tmp_path / "staging.md").write_text("", encoding="utf-8")
    assert main(step) == 0
    assert [one["state"] for one in hub.issues] == ["open", "closed"]


def test_the_drift_s_issue_is_opened_updated_and_closed(github: tuple[GitHub, Repository]) -> None:
    hub, repository = github
    url = "https://example.org/runs/2"
    assert (
        issues.report(repository, issues.DRIFT, "staging", "", url)
        == "staging: no drift, and no issue to close"
    )
    assert (
        issues.report(repository, issues.DRIFT, "staging", "- `a`: update", url)
        == "staging: opened issue 1000"
    )
    assert (
        issues.report(repository, issues.DRIFT, "production", "- `b`: update", url)
        == "production: opened issue 1001"
    )
    assert (
        issues.report(repository, issues.DRIFT, "staging", "- `c`: update", url)
        == "staging: updated issue 1000"
    )
    assert hub.issues[0]["title"] == "Drift: staging"
    assert "- `c`: update" in hub.issues[0]["body"]
    assert "- `a`: update" not in hub.issues[0]["body"]
    assert (
        issues.report(repository, issues.DRIFT, "staging", "", url) == "staging: no drift; closed issue 1000"
    )
    assert [issue["state"] for issue in hub.issues] == ["closed", "open"]
