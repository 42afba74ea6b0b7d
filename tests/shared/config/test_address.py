import pytest

from shared.config.address import is_loopback, split_address, without_password


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8787", ("127.0.0.1", 8787)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:data/adapter.db?mode=rwc", "sqlite:data/adapter.db?mode=rwc"),
        (
            "postgresql://ada:a%40:b@db:5432/x?sslmode=require",
            "postgresql://ada:…@db:5432/x?sslmode=require",
        ),
        ("postgresql://ada@db/x", "postgresql://ada@db/x"),
        ("postgresql:///x?password=secret&user=ada", "postgresql:///x?password=…&user=ada"),
    ],
)
def test_a_databases_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


NOT_ADDRESSES = (
    *(
        "",
        "8787",
        ":8787",
        "localhost",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:+1",
        "localhost:٣",
    ),
    *(
        "::1:8787",
        "[::1]",
        "[::1]:",
        "[localhost]:1",
        "[]:1",
        "http://localhost:1",
        "local host:1",
        "a:1\n",
        "a@b:1",
    ),
)


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"like 127\.0\.0\.1:8787"):
        split_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_recognised(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["203.0.113.7", "testclient", "", "127.0.0.1.example.com"])
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)
