from typing import Any

import pytest
from litestar.connection import ASGIConnection
from litestar.testing import RequestFactory

from manage_api.access.callers import bearer, client_address, forwarded


def connection(peer: str, **headers: str) -> ASGIConnection[Any, Any, Any, Any]:
    request = RequestFactory().get(
        "/", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    request.scope["client"] = (peer, 50_000)
    return request


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
def test_the_data_plane_on_this_machine_says_who_calls(peer: str) -> None:
    assert client_address(connection(peer, x_forwarded_for="203.0.113.7")) == "203.0.113.7"


def test_of_several_hops_the_nearest_counts() -> None:
    assert (
        client_address(connection("127.0.0.1", x_forwarded_for="1.2.3.4, 203.0.113.7"))
        == "203.0.113.7"
    )


def test_nobody_else_is_believed() -> None:
    stranger = connection("203.0.113.9", x_forwarded_for="127.0.0.1", x_forwarded_proto="https")

    assert client_address(stranger) == "203.0.113.9"
    assert forwarded(stranger, "proto") == ""


def test_a_direct_caller_is_its_own_address() -> None:
    assert client_address(connection("127.0.0.1")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("header", "credential"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", ""),
        ("Basic abc", None),
        ("", None),
    ],
)
def test_a_bearer_is_told_from_none_even_when_it_is_empty(
    header: str, credential: str | None
) -> None:
    assert bearer(connection("127.0.0.1", authorization=header)) == credential
