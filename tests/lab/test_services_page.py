"""What docs/services.md and docs/maintenance.md show is what runs: a block of code is a part of the file above it."""

import json
import re

import pytest

from lab.images import ContainerImage
from model.services import CATALOGUE, Runtime
from tests.support import ROOT

PAGE = "".join((ROOT / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("services", "maintenance"))
SHOWN = re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)


def test_every_block_of_code_names_its_file() -> None:
    # The one without is what a service reads.
    assert len(SHOWN) + 1 == PAGE.count("```") // 2 >= 7


@pytest.mark.parametrize(("name", "code"), SHOWN, ids=[name for name, _ in SHOWN])
def test_the_page_shows_what_runs(name: str, code: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8").count(code) == 1


@pytest.mark.parametrize("service", CATALOGUE.values(), ids=CATALOGUE)
def test_every_service_has_an_example(service: object) -> None:
    one = CATALOGUE[getattr(service, "name", "")]
    folder, stage = ("web", "web") if one.runtime is Runtime.NODE else ("backend", one.name)
    context = ROOT / "lab/services" / folder
    changes = ContainerImage(context / "none.tar", context).changes(stage)
    assert [change.split()[0] for change in changes].count("CMD") == 1


def test_the_small_front_end_of_the_tests_has_the_packages_of_the_real_one() -> None:
    """Both run lab/services/web/lib/telemetry.mjs; the small one without Next.js, which takes a minute to install."""

    def packages(folder: str) -> dict[str, str]:
        found = json.loads((ROOT / folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
        return {name: version for name, version in found.items() if name.startswith("@opentelemetry/")}

    assert packages("lab/telemetry/node") == packages("lab/services/web") != {}
