"""Clients are counted by their address and by their network."""

import pytest

from addon.admission.addresses import OpenByAddress, places_of


@pytest.mark.parametrize(
    ("address", "own", "network"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2:ffff::3", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("", "", ""),
    ],
)
def test_an_ipv6_address_counts_with_its_64(address: str, own: str, network: str) -> None:
    assert places_of(address) == (own, network)


def take(opened: OpenByAddress, *addresses: str) -> list[bool]:
    return [opened.take(address, per_address=2, per_network=3) for address in addresses]


def test_an_address_may_have_so_many_and_its_network_more() -> None:
    opened = OpenByAddress()
    assert take(opened, "192.0.2.1", "192.0.2.1", "192.0.2.1") == [True, True, False]
    assert take(opened, "192.0.2.2", "192.0.2.3", "198.51.100.1") == [True, False, True]


def test_what_has_ended_makes_room_and_leaves_nothing_behind() -> None:
    opened = OpenByAddress()
    take(opened, "2001:db8::1", "2001:db8::2")
    assert take(opened, "2001:db8::3") == [False]
    opened.give_back("2001:db8::1")
    assert take(opened, "2001:db8::3") == [True]
    for address in ("2001:db8::2", "2001:db8::3"):
        opened.give_back(address)
    assert take(opened, "2001:db8::1", "2001:db8::1", "2001:db8::1") == [True, True, False]
    opened.give_back("2001:db8::1")
    opened.give_back("2001:db8::1")
    assert not opened._open


def test_one_that_has_ended_makes_room_for_one() -> None:
    opened = OpenByAddress()
    take(opened, "192.0.2.1", "192.0.2.1")
    opened.give_back("192.0.2.1")
    assert take(opened, "192.0.2.1", "192.0.2.1") == [True, False]
