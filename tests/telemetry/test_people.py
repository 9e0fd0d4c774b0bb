"""What may be a person or a token, told alike by nginx's log, services' example and the filter of spans."""

import importlib.util
import re
from types import ModuleType

import pytest

from droplet.traces.spans import without_people
from tests.support import ROOT
from tests.telemetry.test_spans import named

TOKEN = 20 * "ab1"
UUID = "23324412-3456-4000-8000-233244123456"
REQUEST = "233244123456789012345678901234af"


@pytest.fixture(scope="module")
def church_logs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("church_logs", ROOT / "lab/services/backend/church/logs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_nginx(path: str) -> str:
    """PCRE's words that are used there are Python's as well."""
    text = (ROOT / "cloud_init/templates/nginx.conf.j2").read_text(encoding="utf-8")
    (pattern,) = re.findall(r'default \$uri;\n *"~(.*)" "\$before\*";', text)
    found = re.match(pattern.replace("(?<before>", "(?P<before>"), path)
    return f"{found['before']}*" if found else path


PEOPLE = [
    "kofi@example.org",
    "kofi%40example.org",
    "233244123456",
    "+233244123456",
    "+233 24 412 3456",
    "024-412-3456",
    "024.412.3456",
    "0244123456x",
    "233244123456-a",
    "2332441234560000000000",
    "tel:+233244123456",
    TOKEN,
]


@pytest.mark.parametrize("person", PEOPLE)
def test_what_may_be_a_person_is_in_no_path_and_no_span(church_logs: ModuleType, person: str) -> None:
    for path in (f"/members/{person}", f"/members/{person}/edit", f"/{UUID}/{person}"):
        before = path.rpartition(person)[0]
        assert (of_nginx(path), church_logs.shown(path)) == (f"{before}*", f"{before}*")
        kept = without_people(named(f"GET {path} x"))[0]
        for part in (person, "kofi", "412", "3456"):
            assert kept.replace(UUID.encode(), b"").count(part.encode()) == 0
        assert kept.count(UUID.encode()) == path.count(UUID)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        # As Next.js names what it asks.
        (
            "fetch GET https://api.example.org/people?name=Ada&page=2",
            "fetch GET https://api.example.org/people*",
        ),
        ("GET /?q=Ada+Lovelace#top then", "GET /* then"),
        ("SELECT name WHERE id = ?", "SELECT name WHERE id = *"),
    ],
)
def test_a_query_is_in_no_name_of_a_span(name: str, left: str) -> None:
    assert without_people(named(name)) == (named(left), 1)


@pytest.mark.parametrize(
    "path", [f"/members/{UUID}", f"/{UUID}/edit", "/2026-11-27/report", "/people/12345678", "/v1.2.3/members"]
)
def test_ids_and_dates_stay(church_logs: ModuleType, path: str) -> None:
    assert (of_nginx(path), church_logs.shown(path)) == (path, path)
    assert without_people(named(path)) == (named(path), 1)


def test_the_id_of_a_request_stays_in_paths(church_logs: ModuleType) -> None:
    path = f"/requests/{REQUEST}/lines"
    assert (of_nginx(path), church_logs.shown(path)) == (path, path)
