import re

import pytest
from litestar.testing import AsyncTestClient

UPSTREAM = {"UPSTREAM_BASE_URL": "https://api.example.com"}
THROUGH_TLS = {"Host": "think.example.com", "X-Forwarded-Proto": "https"}


async def test_without_an_upstream_the_page_says_what_to_do(client: AsyncTestClient) -> None:
    page = (await client.get("/")).text

    assert "Thinkback is running" in page
    assert "UPSTREAM_BASE_URL" in page


@pytest.mark.parametrize("environ", [UPSTREAM], indirect=True)
async def test_the_page_does_not_name_the_upstream_to_strangers(client: AsyncTestClient) -> None:
    page = (await client.get("/")).text

    assert "Configured." in page
    assert "api.example.com" not in page


@pytest.mark.parametrize(
    ("environ", "headers", "base_url"),
    [
        ({}, {}, "http://127.0.0.1:8787/v1"),
        ({}, THROUGH_TLS, "https://think.example.com/v1"),
        ({"PUBLIC_URL": "https://gateway.example.com"}, THROUGH_TLS, "https://gateway.example.com/v1"),
        ({}, THROUGH_TLS | {"X-Forwarded-Proto": "<b>"}, "&lt;b&gt;://think.example.com/v1"),
    ],
    ids=["as configured", "as the browser came", "as told", "never markup"],
    indirect=["environ"],
)
async def test_the_page_names_the_base_url(client: AsyncTestClient, headers: dict[str, str], base_url: str) -> None:
    page = (await client.get("/", headers=headers)).text

    assert f"<code>{base_url}</code>" in page


async def test_the_page_needs_nothing_from_anywhere(client: AsyncTestClient) -> None:
    answer = await client.get("/")

    assert not re.findall(r"src=|href=|@import|url\(|<script", answer.text)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
