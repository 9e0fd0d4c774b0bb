"""Address arithmetic against definitions that compare numbers, not `ipaddress` objects."""

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.checks import cross_findings
from model.ip_ranges import (
    AnyNetwork,
    admin_range_fault,
    is_documentation_range,
    parse_network,
    vpc_range_faults,
)
from tests.model.workspace import environment

# DigitalOcean documentation, "VPC: Limits", written down a second time on purpose.
EVERYWHERE = {"10.229.0.0/16": 16, "10.244.0.0/16": 16, "10.245.0.0/16": 16, "10.246.0.0/24": 24}
SECOND_OCTET = {
    "ams2": 14, "ams3": 18, "atl1": 50, "blr1": 47, "fra1": 19, "lon1": 16, "nyc1": 10, "nyc2": 13, "nyc3": 17,
    "sfo1": 12, "sfo2": 46, "sfo3": 48, "sgp1": 15, "syd1": 49, "tor1": 20,
}  # fmt: skip


def span(cidr: str) -> tuple[int, int]:
    """Return the first and the last address as numbers."""
    address, prefix = cidr.split("/")
    octets = [int(octet) for octet in address.split(".")]
    first = sum(octet << shift for octet, shift in zip(octets, (24, 16, 8, 0), strict=True))
    return first, first + (1 << (32 - int(prefix))) - 1


def meet(one: str, other: str) -> bool:
    """Tell whether two ranges have an address in common."""
    return span(one)[0] <= span(other)[1] and span(other)[0] <= span(one)[1]


@st.composite
def ranges(draw: st.DrawFn) -> str:
    """Ranges of all sizes, many of them near the edges that matter."""
    edges = [
        "10.0.0.0",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.169.0.0",
        "11.0.0.0",
        "10.246.0.0",
    ]
    edges += [f"10.{octet}.0.0" for octet in (229, 244, 245, *SECOND_OCTET.values())]
    near = st.tuples(st.sampled_from(edges), st.integers(-70000, 70000)).map(
        lambda pair: min(max(int(ipaddress.IPv4Address(pair[0])) + pair[1], 0), 2**32 - 1)
    )
    address = draw(st.one_of(near, st.integers(0, 2**32 - 1)))
    prefix = draw(st.one_of(st.integers(14, 30), st.integers(0, 32)))
    first = address >> (32 - prefix) << (32 - prefix)
    return f"{ipaddress.IPv4Address(first)}/{prefix}"


@given(cidr=ranges(), region=st.sampled_from(sorted(SECOND_OCTET)))
def test_a_vpc_range_has_exactly_the_faults_it_has(cidr: str, region: str) -> None:
    inside = [
        span(private)[0] <= span(cidr)[0] and span(cidr)[1] <= span(private)[1]
        for private in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    ]
    faults = []
    if not any(inside):
        faults.append(f"{cidr} is not a private range (RFC 1918)")
    if int(cidr.split("/")[1]) not in range(16, 29):
        faults.append(f"{cidr} is not between /16 and /28")
    for reserved in (*EVERYWHERE, f"10.{SECOND_OCTET[region]}.0.0/16"):
        if meet(cidr, reserved):
            faults.append(f"{cidr} overlaps {reserved}, which DigitalOcean reserves")
    for bridge in ("172.17.0.0/16", "172.30.0.0/24"):
        if meet(cidr, bridge):
            faults.append(f"{cidr} overlaps {bridge}, which containers have on every droplet")
    assert list(vpc_range_faults(ipaddress.IPv4Network(cidr), region)) == faults


@given(one=ranges(), other=ranges())
def test_overlap_between_environments_is_found_once_whatever_their_order(one: str, other: str) -> None:
    for pair in ((one, other), (other, one)):
        files = [environment("a", pair[0]), environment("b", pair[1])]
        found = [list(cross_findings(order)) for order in (files, files[::-1])]
        assert found[0] == found[1]
        messages = [(cross.environment, cross.finding.message) for cross in found[0]]
        assert messages == ([("b", f"{pair[1]} overlaps {pair[0]} of a")] if meet(one, other) else [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("203.0.113.7", "a prefix length is missing, such as /32 for one address"),
        ("203.0.113.7/33", "this is not a CIDR such as 203.0.113.7/32"),
        ("203.0.113/24", "this is not a CIDR such as 203.0.113.7/32"),
        ("010.0.0.0/8", "this is not a CIDR such as 203.0.113.7/32"),
        ("home/32", "this is not a CIDR such as 203.0.113.7/32"),
        ("/", "this is not a CIDR such as 203.0.113.7/32"),
        ("203.0.113.7/24", "this has host bits set; the network is 203.0.113.0/24"),
        ("2001:db8::1/64", "this has host bits set; the network is 2001:db8::/64"),
    ],
)
def test_a_cidr_that_is_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        parse_network(text)


@given(cidr=ranges())
def test_a_cidr_is_read_as_it_is_written(cidr: str) -> None:
    assert str(parse_network(cidr)) == cidr


@pytest.mark.parametrize(
    ("cidr", "allowed"),
    [
        ("203.0.0.0/24", True),
        ("203.0.0.0/23", False),
        ("2a00::/48", True),
        ("2a00::/47", False),
        ("::/0", False),
        ("0.0.0.0/0", False),
    ],
)
def test_an_administrators_range_has_a_limit(cidr: str, allowed: bool) -> None:
    assert (admin_range_fault(parse_network(cidr)) is None) == allowed


@pytest.mark.parametrize(
    ("network", "example"),
    [
        (parse_network("192.0.2.128/25"), True),
        (parse_network("198.51.100.7/32"), True),
        (parse_network("203.0.113.0/24"), True),
        (parse_network("203.0.112.0/23"), False),
        (parse_network("8.8.8.8/32"), False),
        (parse_network("2001:db8:1::/48"), True),
        (parse_network("2001:db9::/48"), False),
    ],
)
def test_documentation_ranges_are_known(network: AnyNetwork, example: bool) -> None:
    assert is_documentation_range(network) == example
