"""The command as a program: through a symlink, with and without a terminal, completing, in colours or without."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import ENVIRONMENTS, ROOT

pytestmark = pytest.mark.slow

PROGRAM = ROOT / "bin" / "presence360"
FILES = ("--environments", str(ENVIRONMENTS))
ESCAPE = "\x1b["
COLOUR = re.compile(r"\x1b\[[0-9;]*[39][0-7]m")

# Empty and not unset: .env then sets none of them, and no test reaches anybody's account.
CREDENTIALS = dict.fromkeys(
    (
        "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "PRESENCE360_STATE",
    ),
    "",
)  # fmt: skip


def environ(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **CREDENTIALS, "TERM": "xterm-256color", **more}


def run(
    *arguments: str, program: Path = PROGRAM, cwd: Path = ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run it without a terminal."""
    return subprocess.run(
        [program, *arguments], cwd=cwd, env=environ(**more), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def on_terminal(*arguments: str, typed: str = "", **more: str) -> tuple[int, str]:
    """Run it on a terminal on which something is typed; its exit code, and what the terminal showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execve(PROGRAM, [str(PROGRAM), *arguments], environ(**more))  # noqa: S606
    os.write(terminal, typed.encode())
    shown = b""
    # A test that waits for an answer fails, and does not wait for ever.
    while select.select([terminal], [], [], 60)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            # Linux's answer when the other side is closed.
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_it_runs_from_anywhere_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "p360").symlink_to(PROGRAM)
    (tmp_path / "link").symlink_to("bin/p360")
    # A folder of the caller's that has a module of ours by name.
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "__init__.py").write_text("raise SystemExit('not ours')", encoding="utf-8")
    done = run("env", "list", "--json", program=tmp_path / "link", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    live = [row["environment"] for row in json.loads(done.stdout)]
    assert live == sorted(folder.name for folder in (ROOT / "environments").iterdir() if folder.is_dir())


def test_files_are_named_from_the_folder_it_is_called_in(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    done = run("guard", "plan.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "plan.json" in done.stdout + done.stderr
    assert "No such file" not in done.stdout + done.stderr


def test_without_an_environment_of_its_own_it_says_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    copy = tmp_path / "bin" / "presence360"
    copy.write_bytes(PROGRAM.read_bytes())
    copy.chmod(0o755)
    done = run("env", "list", program=copy)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"presence360: not set up yet; run 'make setup' in {tmp_path.resolve()} first\n"


def test_and_so_does_the_module_without_its_packages() -> None:
    # -S: without the packages of the environment; -E: and without anybody's PYTHONPATH.
    done = subprocess.run(
        [sys.executable, "-SE", "-m", "ops"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "presence360: this Python has no typer; run 'make setup', then bin/presence360\n"


def test_nothing_is_coloured_where_there_is_no_terminal() -> None:
    for arguments in (
        ("--help",),
        ("tenant", "list", *FILES),
        ("tenant", "show", "stagin", "x", *FILES),
        ("tenant", "ad"),
    ):
        done = run(*arguments, GITHUB_ACTIONS="true")
        assert ESCAPE not in done.stdout + done.stderr


def test_no_color_wins_over_force_color() -> None:
    assert ESCAPE in run("--help", FORCE_COLOR="1").stdout
    for arguments in (("--help",), ("tenant", "list", *FILES), ("tenant", "ad")):
        done = run(*arguments, NO_COLOR="1", FORCE_COLOR="1")
        assert ESCAPE not in done.stdout + done.stderr


def test_on_a_terminal_it_is_coloured_unless_no_color_says_otherwise() -> None:
    wrong = ("tenant", "show", "stagin", "x", *FILES)
    code, shown = on_terminal(*wrong)
    assert code == 2
    assert COLOUR.search(shown)
    assert ESCAPE in on_terminal("tenant", "list", *FILES)[1]
    for arguments in (wrong, ("tenant", "list", *FILES), ("--help",)):
        assert ESCAPE not in on_terminal(*arguments, NO_COLOR="1")[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("env", "list", *FILES), 0),
        (("--help",), 0),
        (("tenant", "show", "staging", "nobody", *FILES), 2),
        (("tenant", "shw"), 2),
        (("tenant", "add", "staging"), 2),
        (("plan",), 2),
        (("plan", "staging", "--stack", "staging"), 2),
        (("apply", "production"), 2),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "list"),
        ("tenant", "show", "staging", "grace"),
        ("env", "list"),
        ("env", "show", "staging"),
        ("release", "show"),
        ("capacity",),
    ],
)
def test_what_reads_has_json_and_nothing_else_on_stdout(arguments: tuple[str, ...]) -> None:
    assert json.loads(run(*arguments, "--json", *FILES).stdout)


def complete(line: str, **more: str) -> list[str]:
    """What a shell is offered for the last word of a line."""
    words = line.split(" ")
    asked: Mapping[str, str] = {
        "_PRESENCE360_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), **more,
    }  # fmt: skip
    done = subprocess.run(
        [PROGRAM], cwd=ROOT, env=environ(**asked), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_a_shell_completes_commands_environments_slugs_services_and_stacks(tmp_path: Path) -> None:
    files = f"--environments {ENVIRONMENTS}"
    assert complete("presence360 te") == ["tenant"]
    assert complete(f"presence360 tenant show {files} ") == ["production", "staging"]
    assert complete(f"presence360 tenant show {files} staging ") == ["grace", "hope", "river"]
    assert complete(f"presence360 tenant show {files} staging h") == ["hope"]
    assert complete(f"presence360 release set {files} staging t") == ["tenant-api"]
    assert complete("presence360 tenant list --status r") == ["retired"]
    assert "staging" in complete("presence360 unlock s")
    # Whatever is in the files, a shell is not answered with a message.
    broken = tmp_path / "staging"
    broken.mkdir()
    (broken / "tenants.yaml").write_text("tenants: [", encoding="utf-8")
    assert complete(f"presence360 tenant show --environments {tmp_path} staging ") == []
    assert complete(f"presence360 tenant show --environments {tmp_path} other ") == []


def test_production_is_asked_about_on_a_terminal_and_needs_yes_without_one() -> None:
    done = run("apply", "production")
    assert "there is no terminal to ask on: add --yes, or --digest with what plan printed" in done.stderr
    code, shown = on_terminal("apply", "production", "--keep", "7-1", typed="prod\n", NO_COLOR="1")
    assert code == 2
    assert "This applies the plan 7-1 of production." in shown
    assert "production was not typed: nothing was done" in shown
    code, shown = on_terminal("apply", "--stack", "production-cell-2", "--keep", "7-1", typed="no\n")
    assert code == 2
    assert "Type production-cell-2 to go on" in shown
