"""Whatever groups an operator makes: each service and each name is served once."""

from hypothesis import given
from hypothesis import strategies as st

from model.environment import Group
from model.errors import Findings
from model.layout import Host, check_layout, place
from model.services import CATALOGUE, Plane, Store

SERVICES = tuple(CATALOGUE)
HOSTS = {host: service.name for service in CATALOGUE.values() for host in service.hosts}


def group(*services: str) -> Group:
    return Group(services=services, size="s-1vcpu-1gb", replicas=1)


@st.composite
def groupings(draw: st.DrawFn) -> dict[str, Group]:
    """Each service in one of up to five groups, in any order."""
    number = draw(st.integers(1, 5))
    homes = [draw(st.integers(0, number - 1)) for _ in SERVICES]
    order = draw(st.permutations(SERVICES))
    names = draw(st.permutations(["a", "b", "c", "d", "e"]))
    groups = {}
    for index in draw(st.permutations(range(number))):
        services = tuple(service for service in order if homes[SERVICES.index(service)] == index)
        if services:
            groups[names[index]] = group(*services)
    return groups


def findings(groups: dict[str, Group]) -> list[str]:
    found = Findings()
    check_layout(groups, found)
    return [finding.message for finding in found]


@given(groups=groupings(), apex=st.booleans())
def test_every_service_and_every_host_is_served_by_exactly_one_group(
    groups: dict[str, Group], apex: bool
) -> None:
    assert findings(groups) == []
    placements = place(groups, apex=apex)
    assert [placement.group for placement in placements] == sorted(groups)
    assert sorted(service.name for placement in placements for service in placement.services) == sorted(
        SERVICES
    )
    served = [(host.label, host.service) for placement in placements for host in placement.hosts]
    assert dict(served) == (HOSTS | {"@": "web-tenant"} if apex else HOSTS)
    assert len(served) == len(dict(served))
    for placement in placements:
        assert {service.name for service in placement.services} == set(groups[placement.group].services)
        assert {host.service for host in placement.hosts} <= set(groups[placement.group].services)
        assert placement.public == bool(placement.hosts)
        labels = [host.label for host in placement.hosts]
        assert labels == sorted(labels)


@given(groups=groupings(), apex=st.booleans(), data=st.data())
def test_the_order_in_the_file_means_nothing(
    groups: dict[str, Group], apex: bool, data: st.DataObject
) -> None:
    shuffled = {
        name: group(*data.draw(st.permutations(groups[name].services)))
        for name in data.draw(st.permutations(list(groups)))
    }
    assert place(shuffled, apex=apex) == place(groups, apex=apex)


@given(one=groupings(), other=groupings())
def test_consolidated_and_split_layouts_serve_the_same_names(
    one: dict[str, Group], other: dict[str, Group]
) -> None:
    names = [
        {host for placement in place(groups, apex=True) for host in placement.hosts}
        for groups in (one, other)
    ]
    assert names[0] == names[1]


@given(groups=groupings(), service=st.sampled_from(SERVICES))
def test_a_service_that_is_taken_away_is_missed(groups: dict[str, Group], service: str) -> None:
    left = {name: tuple(one for one in here.services if one != service) for name, here in groups.items()}
    without = {name: group(*services) for name, services in left.items() if services}
    assert findings(without) == [f"no group runs {service!r}"]


@given(groups=groupings(), service=st.sampled_from(SERVICES), data=st.data())
def test_a_service_that_is_added_again_is_found(
    groups: dict[str, Group], service: str, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(groups)))
    again = groups | {name: group(*groups[name].services, service)}
    (message,) = findings(again)
    assert message.endswith(f" already runs {service!r}")


def test_a_placement_knows_its_planes_and_its_stores() -> None:
    web, both, worker = place(
        {
            "a-web": group("web-tenant"),
            "b-both": group("control-plane-api", "web-control-plane", "tenant-api"),
            "c-worker": group("worker"),
        },
        apex=False,
    )
    assert (web.planes, both.planes, worker.planes) == (
        (Plane.TENANT,),
        (Plane.CONTROL, Plane.TENANT),
        (Plane.TENANT,),
    )
    assert [one.connects_to(Store.POSTGRES) for one in (web, both, worker)] == [False, True, True]
    assert [one.connects_to(Store.VALKEY) for one in (web, both, worker)] == [False, True, True]
    assert [one.public for one in (web, both, worker)] == [True, True, False]


def test_a_host_has_a_full_name() -> None:
    assert [Host(label, "x").fqdn("example.org") for label in ("api", "*", "@")] == [
        "api.example.org",
        "*.example.org",
        "example.org",
    ]


def test_the_catalogue_can_be_served() -> None:
    """What every other part takes for granted of an entry."""
    labels = [label for service in CATALOGUE.values() for label in service.hosts]
    assert len(labels) == len(set(labels))
    for name, service in CATALOGUE.items():
        assert service.name == name
        assert (service.port is None) == (service.health_path is None)
        assert service.public <= (service.port is not None), f"{name} has names and no port"
