"""Clients are turned away when there are too many: in all, of an address, of a network; a
trusted proxy is not, but its clients are.
"""

import resource

import pytest
from mitmproxy.connection import Client
from mitmproxy.test import tflow

from addon.admission.log_budget import LINES_OF_AN_ADDRESS
from addon.edge.crowd import Crowd
from shared.config.schema import Server
from tests.addon.edge.line import Clock

FEW = Server(max_connections_per_address=3, max_connections_per_network=5)


def client(address: str = "192.0.2.7") -> Client:
    return Client(peername=(address, 1), sockname=("127.0.0.1", 8787), timestamp_start=0)


def enter(crowd: Crowd, *addresses: str) -> list[bool]:
    return [crowd.enter(address) for address in addresses]


def test_clients_beyond_what_descriptors_allow_are_turned_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    crowd = Crowd(Server, Clock())
    assert enter(crowd, *[f"10.0.{n}.1" for n in range(66)]) == [True] * 64 + [False] * 2
    assert crowd.connected == 64
    crowd.leave("10.0.0.1")
    assert enter(crowd, "10.1.0.1", "10.1.0.1") == [True, False]


def test_one_address_leaves_half_of_the_descriptors_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    crowd = Crowd(Server, Clock())
    assert sum(enter(crowd, *["192.0.2.7"] * 60)) == 32
    assert sum(enter(crowd, *[f"192.0.2.{n}" for n in range(60)])) == 16
    assert sum(enter(crowd, *[f"10.0.{n}.1" for n in range(16)])) == 16


def test_an_address_and_a_network_have_their_caps() -> None:
    crowd = Crowd(lambda: FEW, Clock())
    assert enter(crowd, *["192.0.2.7"] * 4) == [True, True, True, False]
    assert enter(crowd, *["192.0.2.8"] * 3, "198.51.100.1") == [True, True, False, True]
    crowd.leave("192.0.2.7")
    assert enter(crowd, "192.0.2.7") == [True]


def test_a_trusted_proxy_is_not_counted_but_those_that_it_forwards_for_are() -> None:
    crowd = Crowd(lambda: FEW, Clock())
    assert all(enter(crowd, *["127.0.0.1"] * 9))
    flows = [tflow.tflow(client_conn=client("127.0.0.1")) for _ in range(9)]
    assert [crowd.begin(flow, "203.0.113.5") for flow in flows[:4]] == [True, True, True, False]
    assert crowd.begin(flows[4], "198.51.100.9")
    for flow in flows[:4]:
        crowd.end(flow)
        crowd.end(flow)
    assert crowd.begin(flows[5], "203.0.113.5")


def test_requests_without_a_proxy_count_by_their_connections() -> None:
    crowd = Crowd(lambda: FEW, Clock())
    flows = [tflow.tflow(client_conn=client()) for _ in range(9)]
    assert all(crowd.begin(flow, "192.0.2.7") for flow in flows)


def test_who_is_turned_away_stands_in_the_log_as_far_as_that_has_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    crowd = Crowd(lambda: FEW, clock)
    enter(crowd, *["192.0.2.7"] * (3 + LINES_OF_AN_ADDRESS + 2))
    told = [record.getMessage() for record in caplog.records]
    assert (
        told
        == ["a connection of 192.0.2.7 is closed: too many connections of its address"]
        * LINES_OF_AN_ADDRESS
    )
    clock.seconds += 61
    crowd.tell_left_out()
    told = "log lines of callers without a key left out: 2 (2 of 192.0.2.7)"
    assert caplog.records[-1].getMessage() == told


def test_a_stranger_has_less_time_for_a_request_than_a_trusted_proxy() -> None:
    crowd = Crowd(Server, Clock())
    seconds = [
        crowd.patience(address, within_head=within)
        for address in ("192.0.2.7", "127.0.0.1")
        for within in (False, True)
    ]
    assert seconds == [10, 10, 330, 10]
