import re
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture(scope="module")
def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    paths = description["paths"].items()
    return {
        f"{method.upper()} {path}": each for path, item in paths for method, each in item.items()
    }


async def test_the_description_is_served(
    client: AsyncTestClient, description: dict[str, Any]
) -> None:
    answer = await client.get("/schema/openapi.json")

    assert answer.json() == description
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json"


def test_the_api_and_nothing_else_is_described(operations: dict[str, dict[str, Any]]) -> None:
    assert "POST /api/login" in operations
    assert [where for where in operations if " /api/" not in where] == []


def test_every_operation_says_what_it_is_and_where_it_belongs(
    operations: dict[str, dict[str, Any]],
) -> None:
    untold = [
        where
        for where, each in operations.items()
        if not each["summary"].endswith(".") or len(each["tags"]) != 1
    ]

    assert untold == []
    assert operations["POST /api/login"]["tags"] == ["session"]


def test_every_refusal_is_a_problem(operations: dict[str, dict[str, Any]]) -> None:
    answers = [
        (where, *each)
        for where, operation in operations.items()
        for each in operation["responses"].items()
    ]

    assert [
        where
        for where, status, answer in answers
        if status >= "400" and answer["content"] != PROBLEM
    ] == []


@pytest.mark.parametrize(
    ("where", "statuses"),
    [
        ("GET /api/config", "200 503"),
        ("GET /api/me", "200 401 403 503"),
        ("POST /api/login", "200 400 401 403 413 429 503"),
        ("POST /api/keys", "201 400 401 403 413 503"),
        ("GET /api/keys", "200 400 401 403 503"),
        ("PATCH /api/keys/{key_id}", "200 400 401 403 404 409 413 503"),
        ("DELETE /api/keys/{key_id}", "204 400 401 403 404 503"),
    ],
    ids=["public", "caller", "public with a body", "body", "query", "path and body", "path"],
)
def test_a_route_says_only_the_refusals_of_its_own(
    operations: dict[str, dict[str, Any]], where: str, statuses: str
) -> None:
    assert sorted(operations[where]["responses"]) == statuses.split()


def test_an_answer_without_a_body_is_described_without_one(
    operations: dict[str, dict[str, Any]],
) -> None:
    assert "content" not in operations["POST /api/logout"]["responses"]["204"]


def test_a_body_that_takes_no_other_fields_says_so(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]

    assert schemas["PasswordChange"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Problem"]


def test_routes_for_anybody_ask_for_no_credential(operations: dict[str, dict[str, Any]]) -> None:
    assert "security" not in operations["POST /api/login"]
    assert operations["GET /api/me"]["security"] == [
        {"session": []},
        {"virtual_key": []},
        {"cookie": []},
    ]


def test_every_way_to_show_who_calls_is_described(
    description: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    used = {
        name for each in operations.values() for way in each.get("security", []) for name in way
    }

    assert used == description["components"]["securitySchemes"].keys()


@pytest.mark.parametrize("path", ["/schema", "/schema/swagger"])
async def test_whatever_the_page_needs_is_served_here(client: AsyncTestClient, path: str) -> None:
    page = await client.get(path)

    needed = re.findall(r'(?:src|href)="(.+?)"', page.text)
    answers = {url: (await client.get(url)).status_code for url in needed}
    assert answers == dict.fromkeys(needed, 200)
    assert len(needed) == 4
    assert all(url.startswith("/static/") for url in needed)


async def test_the_page_may_run_our_scripts_only_and_reach_no_other_host(
    client: AsyncTestClient,
) -> None:
    page = await client.get("/schema")

    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "http" not in policy
    assert re.findall(r"<script>|<style>| (?:style|on\w+)=", page.text) == []


async def test_swagger_ui_reads_our_description_and_shows_it_to_nobody(
    client: AsyncTestClient,
) -> None:
    page = (await client.get("/schema")).text
    [script] = re.findall(r'src="(/static/schema\.js.+?)"', page)

    start = (await client.get(script)).text

    assert 'url: "/schema/openapi.json"' in start
    assert "\n  validatorUrl: null," in start
    assert f'dom_id: "#{re.findall('id="(.+?)"', page)[0]}"' in start
