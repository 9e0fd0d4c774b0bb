"""Physical names: no two things have one name, and none is cut."""

import itertools
import re
import uuid

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model.checks import cross_findings
from model.naming import (
    CONTROL_PLANE_DATABASE,
    CONTROL_PLANE_USER,
    MAX_NAME,
    Names,
    NameTooLongError,
    tenant_database,
    tenant_user,
)
from model.schema import LABEL_PATTERN
from model.tenants import UUID_PATTERN, fresh_id, is_tenant_id
from tests.model.workspace import environment

# Few words, so that what could be confused is: `a-group` with group `b`, `a` with group `group-b`.
WORDS = st.lists(st.sampled_from(["a", "b", "group", "plane", "tenant", "x1"]), min_size=1, max_size=3)
LABELS = WORDS.map("-".join).filter(lambda label: re.fullmatch(LABEL_PATTERN[1:-1], label))
PLANES = st.sampled_from(["tenant", "control"])

TAGS = st.one_of(
    st.tuples(st.just("environment")),
    st.tuples(st.just("plane"), PLANES),
    st.tuples(st.just("group"), LABELS),
)
DROPLETS = st.tuples(st.just("droplet"), LABELS, st.integers(1, 1000))
BUCKETS = st.tuples(st.just("bucket"), LABELS)
RESOURCES = st.tuples(st.just("resource"), LABELS)


def name(names: Names, thing: tuple[object, ...]) -> str:
    match thing:
        case ("environment",):
            return names.environment
        case ("plane", str(plane)):
            return names.plane_tag(plane)
        case ("group", str(group)):
            return names.group_tag(group)
        case ("droplet", str(group), int(number)):
            return names.droplet(group, number)
        case ("bucket", str(what)):
            return names.bucket(what)
        case ("resource", str(what)):
            return names.resource(what)
    raise AssertionError(thing)


@pytest.mark.parametrize(
    "things", [TAGS, DROPLETS, BUCKETS, RESOURCES], ids=["tags", "droplets", "buckets", "others"]
)
def test_two_things_of_environments_that_may_stand_together_never_have_one_name(
    things: st.SearchStrategy[tuple[object, ...]],
) -> None:
    @given(one=st.tuples(LABELS, things), other=st.tuples(LABELS, things))
    def check(one: tuple[str, tuple[object, ...]], other: tuple[str, tuple[object, ...]]) -> None:
        assume(one != other)
        if one[0] != other[0]:
            files = [environment(one[0], "10.60.0.0/24"), environment(other[0], "10.61.0.0/24")]
            assume(not list(cross_findings(files)))
        assert name(Names(one[0]), one[1]) != name(Names(other[0]), other[1])

    check()


def test_names_are_confused_only_by_environments_that_may_not_stand_together() -> None:
    """The property above has teeth: without the rule between environments two tags are one."""
    assert Names("a").group_tag("group-b") == Names("a-group").group_tag("b")
    files = [environment("a", "10.60.0.0/24"), environment("a-group", "10.61.0.0/24")]
    assert [cross.finding.path for cross in cross_findings(files)] == [("environment",)]


def test_a_group_called_like_a_plane_does_not_carry_its_tag() -> None:
    assert Names("a").group_tag("plane-tenant") != Names("a").plane_tag("tenant")


def test_names_say_what_they_name() -> None:
    names = Names("staging")
    assert names.resource("vpc") == "staging-vpc"
    assert names.bucket("exports") == "presence360-staging-exports"
    assert names.droplet("app", 2) == "staging-app-2"
    assert names.plane_tag("tenant") == "staging-plane-tenant"
    assert names.group_tag("app") == "staging-group-app"
    assert re.fullmatch(r"staging-edge-[0-9a-f]{8}", names.certificate(["example.org"]))


@given(
    label=st.from_regex(LABEL_PATTERN[1:-1], fullmatch=True),
    group=st.from_regex(LABEL_PATTERN[1:-1], fullmatch=True),
)
def test_allowed_labels_never_make_a_name_that_is_too_long(label: str, group: str) -> None:
    names = Names(label)
    made = [
        names.droplet(group, 1000),
        names.group_tag(group),
        names.plane_tag("control"),
        names.resource(f"pg-{group}"),
    ]
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", one) for one in made)


# A certificate's domains are a set, and its name follows them.

DOMAINS = ["example.org", "*.example.org", "example.com", "*.example.com", "a.example.org"]


def test_a_certificates_name_changes_exactly_when_its_domains_change() -> None:
    names = Names("staging")
    sets = [chosen for size in range(1, 6) for chosen in itertools.combinations(DOMAINS, size)]
    assert len({names.certificate(chosen) for chosen in sets}) == len(sets)
    for chosen in sets:
        assert {names.certificate(order) for order in itertools.permutations(chosen)} == {
            names.certificate(chosen)
        }


def test_joined_domains_are_not_one_domain() -> None:
    names = Names("staging")
    assert names.certificate(["a.org", "b.org"]) != names.certificate(["a.orgb.org"])


# Postgres cuts what is longer than 63 bytes, silently: two cut names may be one.

IDS = st.uuids().map(str)


@given(one=st.tuples(IDS, st.integers(1, 10**6)), other=st.tuples(IDS, st.integers(1, 10**6)))
def test_tenants_have_databases_and_users_of_their_own(one: tuple[str, int], other: tuple[str, int]) -> None:
    assert (tenant_database(one[0]) == tenant_database(other[0])) == (one[0] == other[0])
    assert (tenant_user(*one) == tenant_user(*other)) == (one == other)
    made = {tenant_database(one[0]), tenant_user(*one), tenant_user(one[0], one[1] + 1)}
    assert len(made | {CONTROL_PLANE_DATABASE, CONTROL_PLANE_USER}) == 4
    assert all(len(each.encode()) <= 63 and one[0] in each for each in made)


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_a_name_is_whole_or_refused(text: str) -> None:
    assume(text < "\ud800" or text.isascii() or text.encode(errors="ignore").decode() == text)
    whole = f"tenant_{text}"
    if len(whole.encode()) <= MAX_NAME:
        assert tenant_database(text) == whole
    else:
        with pytest.raises(NameTooLongError):
            tenant_database(text)


def test_the_limit_is_in_bytes_and_the_error_says_by_how_much() -> None:
    assert len(tenant_database("x" * 56)) == MAX_NAME == 63
    with pytest.raises(NameTooLongError, match="has 64 bytes; at most 63 are allowed"):
        tenant_database("x" * 57)
    with pytest.raises(NameTooLongError, match="has 65 bytes"):
        tenant_database("é" * 29)
    with pytest.raises(NameTooLongError, match="presence360-staging-x"):
        Names("staging").bucket("x" * 50)


@given(identity=st.uuids())
def test_a_tenants_id_is_the_canonical_form_only(identity: uuid.UUID) -> None:
    text = str(identity)
    versioned = identity.version is not None and 1 <= identity.version <= 8
    assert is_tenant_id(text) == versioned
    assert not any(
        is_tenant_id(other)
        for other in (text.replace("-", ""), f"{{{text}}}", f"urn:uuid:{text}", f"{text}\n", text[:-1])
    )
    if text != text.upper():
        assert not is_tenant_id(text.upper())


def test_a_fresh_id_is_a_tenants_id_and_new() -> None:
    ids = {fresh_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(UUID_PATTERN, one) for one in ids)
