"""Write docs/policies.md from the policies: `make schemas`. A test fails while it is out of date."""

from ops.paths import ROOT
from policies.pack import MODULES, PACK
from policies.policy import ALL, Policy, Severity
from policies.stack import Shape

PAGE = ROOT / "docs" / "policies.md"
SHORT = {Shape.JSON: "JSON", Shape.HCL: "HCL", Shape.PLAN: "plan"}

_HEAD = """\
# Policies

What every stack on DigitalOcean has to keep, and what those of Presence360 keep besides. This page is made from
`policies/` (`make schemas`): edit it there. {count} policies: {general} for any project, {own} that hold here only.

    make policy                                      # synthesize, scan, print a table; no account, no network
    .venv/bin/python -m policies cdktf.out/stacks --each     # a row for each policy
    .venv/bin/python -m policies cdktf.out/stacks --sarif policies.sarif --junit policies.xml

Exit codes: 0 if every policy holds; 1 on a failed check, on a skip that has ended or that nothing needs, and on a
policy that judged nothing anywhere, since that is dead or misspelt; 2 if something could not be read.

## What is judged

A policy is a plain function over a stack, in one of three shapes. Each says which it can judge.

| Shape | Files | What a policy does not see there |
|---|---|---|
| JSON | `*.tf.json`, as CDKTF writes it | the instances of a `for_each` over an expression |
| HCL | `*.tf`; the files of a folder are one stack | the same; modules are judged without their callers' values |
| plan | `*.json` from `terraform show -json` | `lifecycle`, `moved`, the backend, local values |

A plan has every instance of a `for_each` with its values. Rehearsals have every plan judged
([rehearsal.md](rehearsal.md)). **A plan in JSON holds every secret of the state: keep it out of CI's artifacts.**
An expression that has to be known, a `dynamic` block and a rule that raises an error are failures, never passes.
Stacks in folders side by side are one account: policies across stacks compare them.

checkov is the front. It is started once, gives every finding its id and severity, and writes SARIF and JUnit; its
own four checks of DigitalOcean run as well. The rules themselves import nothing of it.

## Skip a finding

Write it into [`policies/skips.toml`](../policies/skips.toml) with a reason and the last day, at most a year ahead;
in HCL, a comment in the block does it: `# checkov:skip=CKV_P360_48:until 2027-03-09: one node until the move`. A
skip that has ended fails the run, and so does one that nothing needs any more.

## In another project

The general policies know nothing of Presence360. Copy the folder `policies/` without `presence360/` and
`checkov/all/`, install checkov {checkov} in an environment of its own, and run, with Python 3.11 or newer and
nothing else:

    CHECKOV=.venv-checkov/bin/checkov python -m policies --general infrastructure/

`--skips FILE` names a file of skips of your own; a policy that has nothing to judge in your project goes there as
`[[nothing]]`. With checkov alone:

    checkov --directory infrastructure/ --framework terraform terraform_plan \\
      --external-checks-dir policies/checkov/general --skip-download

That gives everything but the days of skips and the look for dead policies. For CDKTF's JSON use `python -m
policies`: checkov cannot parse `required_version` and `moved` in it. Run the policies over
[`tests/policies/good.py`](../tests/policies/good.py) to see what they want.

## Write one

One function in the module of its topic, below `policies/rules/` if it is general: it yields a sentence for each
thing that is wrong, and says what to do. Its number is the next free one and is never used again.
`tests/policies/good.py` has to keep it and judge something by it, `tests/policies/broken.py` needs an edit that it
catches, of those small stacks and of ours; then `make schemas`.

## Severities

| Severity | Means |
|---|---|
{severities}
"""


def _severities() -> str:
    means = {
        Severity.CRITICAL: "data is lost, or strangers reach it",
        Severity.HIGH: "one mistake or one fault away from that, or everybody is without service",
        Severity.MEDIUM: "an operation fails, or does more than was meant",
        Severity.LOW: "somebody will be misled",
    }
    return "\n".join(f"| {severity} | {text} |" for severity, text in means.items())


def _checkov() -> str:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return text.split('"checkov==')[1].split('"')[0]


def _row(policy: Policy) -> str:
    shapes = (
        "all"
        if policy.shapes == ALL
        else ", ".join(SHORT[shape] for shape in Shape if shape in policy.shapes)
    )
    anchor = f'<a id="{policy.id.lower()}"></a>{policy.id}'
    cells = (anchor, policy.severity.value, policy.title, policy.guideline, policy.section.value, shapes)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def render() -> str:
    """Return the page."""
    general = sum(policy.is_general for policy in PACK.values())
    parts = [
        _HEAD.format(
            count=len(PACK),
            general=general,
            own=len(PACK) - general,
            severities=_severities(),
            checkov=_checkov(),
        )
    ]
    for module in MODULES:
        policies = sorted(
            (policy for policy in PACK.values() if policy.module == module.__name__),
            key=lambda one: one.number,
        )
        own = "" if policies[0].is_general else ", Presence360 only"
        first = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        parts.append(f"\n## {policies[0].topic.capitalize()}{own}\n\n{first}\n\n")
        parts.append(
            "| Id | Severity | Holds | Do | Section of the architecture | Shapes |\n|---|---|---|---|---|---|\n"
        )
        parts += [f"{_row(policy)}\n" for policy in policies]
    return "".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
