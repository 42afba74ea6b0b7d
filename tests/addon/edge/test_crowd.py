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


def connect(crowd: Crowd, *addresses: str) -> list[Client]:
    clients = [client(address) for address in addresses]
    for connected in clients:
        crowd.client_connected(connected)
    return clients


def refused(clients: list[Client]) -> list[bool]:
    return [connected.error is not None for connected in clients]


def test_clients_beyond_what_descriptors_allow_are_turned_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    crowd = Crowd(Server, Clock())
    clients = connect(crowd, *[f"10.0.{n}.1" for n in range(66)])
    assert refused(clients) == [False] * 64 + [True] * 2
    crowd.client_disconnected(clients[-1])
    assert refused(connect(crowd, "10.1.0.1")) == [True]
    crowd.client_disconnected(clients[0])
    assert refused(connect(crowd, "10.1.0.1")) == [False]


def test_one_address_leaves_half_of_the_descriptors_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    crowd = Crowd(Server, Clock())
    assert sum(refused(connect(crowd, *["192.0.2.7"] * 60))) == 28
    assert sum(refused(connect(crowd, *[f"192.0.2.{n}" for n in range(60)]))) == 44
    assert sum(refused(connect(crowd, *[f"10.0.{n}.1" for n in range(16)]))) == 0


def test_an_address_and_a_network_have_their_caps() -> None:
    crowd = Crowd(lambda: FEW, Clock())
    clients = connect(crowd, *["192.0.2.7"] * 4, *["192.0.2.8"] * 3, "198.51.100.1")
    assert refused(clients) == [False, False, False, True, False, False, True, False]
    crowd.client_disconnected(clients[0])
    assert refused(connect(crowd, "192.0.2.7")) == [False]


def test_a_trusted_proxy_is_not_counted_but_those_that_it_forwards_for_are() -> None:
    crowd = Crowd(lambda: FEW, Clock())
    proxies = connect(crowd, *["127.0.0.1"] * 9)
    assert not any(refused(proxies))
    flows = [tflow.tflow(client_conn=proxy) for proxy in proxies]
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
    connect(crowd, *["192.0.2.7"] * (3 + LINES_OF_AN_ADDRESS + 2))
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


def test_a_connection_too_many_is_known_before_mitmproxy_makes_anything_of_it() -> None:
    crowd = Crowd(lambda: FEW, Clock())
    connect(crowd, *["192.0.2.7"] * 3)
    assert not crowd.has_room(("192.0.2.7", 5))
    assert crowd.has_room(("192.0.2.8", 5))
    assert crowd.has_room(("127.0.0.1", 5))
