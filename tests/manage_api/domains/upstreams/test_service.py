"""What an admin writes is held against the rules of the file, and may not lead inside."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.exceptions import NotFoundException, ValidationException

from manage_api.domains.upstreams.schemas import UpstreamBody
from manage_api.domains.upstreams.service import (
    find,
    parse_upstream,
    row_of,
    store_new,
    store_over,
    view,
    views,
)
from manage_api.problems import Conflict
from manage_api.sidecar import Sidecar
from shared.config.schema import Upstream
from shared.store.upstreams import UpstreamNameTaken

URL = "https://1.1.1.1/v1"
TWO_IN_THE_FILE = '[[upstreams]]\nname = "Deep"\nbase_url = "https://a.b"\n[[upstreams]]\nname = "a/b ü"\nbase_url = "https://a.b"\n'
PRIVATE = "[server]\nallow_private_upstreams = true\n"

LEAD_INSIDE = """
    https://localhost            https://LocalHost:8788       https://localhost.           https://127.0.0.1
    https://127.1                https://127.0.1              https://2130706433           https://0x7f000001
    https://0x7f.0.0.1           https://0177.0.0.1           https://017700000001         https://127.0.0.1.
    https://0.0.0.0              https://0                    https://[::1]                https://[::]
    https://[::ffff:127.0.0.1]   https://[::ffff:7f00:1]      https://[0:0:0:0:0:ffff:7f00:1]
    https://[64:ff9b::7f00:1]    https://[64:ff9b:1::1]       https://[2002:7f00:1::]      https://[2001::1]
    https://[::127.0.0.1]        https://[fe80::1]            https://[fc00::1]            https://[fd00:ec2::254]
    https://[fec0::1]            https://[ff02::1]            https://10.0.0.1             https://10.1
    https://172.16.0.1           https://192.168.1.1:443      https://192.168.257          https://169.254.169.254
    https://2852039166           https://0xa9fea9fe           https://0251.0376.0251.0376  https://100.64.0.1
    https://100.100.100.200      https://168.63.129.16        https://192.0.0.192          https://198.18.0.1
    https://224.0.0.1            https://240.0.0.1            https://255.255.255.255
""".split()  # noqa: SIM905 - a table is read more easily
ARE_NO_ADDRESS = [
    "http://1.1.1.1",
    "https://user@1.1.1.1",
    "https://1.1.1.1@127.0.0.1",
    "https://127.0.0.1#@1.1.1.1",
    "https://127.0.0.1?@1.1.1.1",
    "https://1.1.1.1\\@127.0.0.1",
    "https://1.1.1.1\\.example",
    "https://127.0.0.1%00.example",
    "https://%31%32%37.0.0.1",
    "https://[fe80::1%25lo]",
    "https://①②⑦.0.0.1",
    "https://127。0。0。1",
    "https://1.1.1.1 .example",
    "https://1.1.1.1\n.example",
    "https:127.0.0.1",
    "//127.0.0.1",
    "https://",
    "https://:443",
    "https://1.1.1.1:99999",
    "https://1.1.1.1:x",
    "https://[::1",
    "ftp://1.1.1.1",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_",
]


def body(**fields: Any) -> UpstreamBody:
    return msgspec.convert({"name": "mimo", "base_url": URL, **fields}, UpstreamBody)


async def faults(sidecar: Sidecar, known: Upstream | None = None, **fields: Any) -> dict[str, str]:
    """The messages for the fields of a body."""
    with pytest.raises(ValidationException) as refused:
        await parse_upstream(sidecar, body(**fields), known)
    return {entry["key"]: entry["message"] for entry in refused.value.extra}


async def add(sidecar: Sidecar, **fields: Any) -> str:
    return str(await store_new(sidecar, await parse_upstream(sidecar, body(**fields))))


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


@pytest.mark.parametrize("url", LEAD_INSIDE)
async def test_no_spelling_of_an_address_leads_inside(sidecar: Sidecar, url: str) -> None:
    assert "is in a private network" in (await faults(sidecar, base_url=url))["base_url"]


@pytest.mark.parametrize("url", ARE_NO_ADDRESS, ids=ascii)
async def test_what_only_looks_like_an_address_is_refused(sidecar: Sidecar, url: str) -> None:
    assert (await faults(sidecar, base_url=url)).keys() == {"base_url"}


@pytest.mark.parametrize(
    "url", ["https://1.1.1.1", "https://[2606:4700:4700::1111]/v1", "https://8.8.8.8:8443"]
)
async def test_an_address_of_the_internet_is_taken(sidecar: Sidecar, url: str) -> None:
    assert (await parse_upstream(sidecar, body(base_url=url))).base_url == url


@pytest.mark.parametrize("toml", [PRIVATE], indirect=True, ids=["allowed"])
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "http://ollama:11434/v1", "https://10.0.0.1"]
)
async def test_private_ones_are_taken_when_the_file_allows_them(sidecar: Sidecar, url: str) -> None:
    assert (await parse_upstream(sidecar, body(base_url=url))).base_url == url


async def test_every_field_that_is_wrong_is_named(sidecar: Sidecar) -> None:
    found = await faults(
        sidecar,
        name=" ",
        api_keys=["a b"],
        path="chat",
        profile="deepseek",
        model_rewrites=[{"from": "a"}],
        headers={"X:": "a"},
    )

    assert found.keys() == {
        *("name", "api_keys[0]", "path", "profile", "model_rewrites[0].to", 'headers."X:"'),
    }


async def test_masks_stand_for_what_is_known(sidecar: Sidecar) -> None:
    known = Upstream(
        name="m",
        base_url=URL,
        api_keys=("sk-first-1111", "sk-second-2222"),
        headers={"X-Key": "secret-3333"},
    )

    upstream = await parse_upstream(
        sidecar,
        body(api_keys=["…2222", "sk-new-key", "…1111"], headers={"X-Key": "…3333"}, path="/x"),
        known,
    )

    assert upstream.api_keys == ("sk-second-2222", "sk-new-key", "sk-first-1111")
    assert upstream.headers == {"X-Key": "secret-3333"}


@pytest.mark.parametrize(
    "url",
    ["https://1.1.1.2/v1", "https://1.1.1.1:8443/v1", "https://one.example"],
    ids=["host", "port", "name"],
)
async def test_masks_stand_for_nothing_at_another_address(sidecar: Sidecar, url: str) -> None:
    known = Upstream(
        name="m", base_url=URL, api_keys=("sk-first-1111",), headers={"X-Key": "secret-3333"}
    )

    assert (await faults(sidecar, known, base_url=url, api_keys=["…1111"])).keys() == {
        "api_keys[0]"
    }
    assert (await faults(sidecar, known, base_url=url, headers={"X-Key": "…3333"})).keys() == {
        "headers.X-Key"
    }


async def test_a_stored_upstream_is_active_at_once(sidecar: Sidecar) -> None:
    shown = view(sidecar, await add(sidecar, api_keys=["sk-abcdefghijkl"]))

    assert (shown.id, shown.provisioned, shown.active, shown.problem) == (1, False, True, "")
    assert shown.endpoint == "https://1.1.1.1/v1/chat/completions"
    assert [upstream.name for upstream in sidecar.snapshot.upstreams] == ["mimo"]


@pytest.mark.parametrize("toml", [TWO_IN_THE_FILE], indirect=True, ids=["two"])
async def test_provisioned_ones_have_an_id_too_and_come_first(sidecar: Sidecar) -> None:
    await add(sidecar)

    shown = views(sidecar)

    assert [(one.id, one.provisioned) for one in shown] == [
        ("config:Deep", True),
        ("config:a%2Fb%20%C3%BC", True),
        (1, False),
    ]
    assert [view(sidecar, str(one.id)) for one in shown] == shown


@pytest.mark.parametrize("toml", [TWO_IN_THE_FILE], indirect=True, ids=["two"])
async def test_provisioned_ones_are_not_changed_here(sidecar: Sidecar) -> None:
    with pytest.raises(
        Conflict, match=r"“Deep” is set by .*config\.toml or the environment: change it there"
    ):
        row_of(sidecar, "config:Deep")
    with pytest.raises(Conflict, match="has an upstream “deep”"):
        await add(sidecar, name="deep")


@pytest.mark.parametrize(
    "upstream_id", ["7", "-1", "1.0", "²", "9" * 30, "config:", "config:mimo", "mimo", ""]
)
async def test_an_id_of_nothing_finds_nothing(sidecar: Sidecar, upstream_id: str) -> None:
    await add(sidecar)

    with pytest.raises(NotFoundException):
        find(sidecar, upstream_id)


async def test_one_is_replaced_under_its_id(sidecar: Sidecar) -> None:
    upstream_id = await add(sidecar, name="a")
    await add(sidecar, name="b")

    await store_over(
        sidecar, row_of(sidecar, upstream_id), await parse_upstream(sidecar, body(name="A"))
    )

    assert [(one.id, one.name) for one in views(sidecar)] == [(1, "A"), (2, "b")]
    with pytest.raises(UpstreamNameTaken):
        await store_over(
            sidecar, row_of(sidecar, upstream_id), await parse_upstream(sidecar, body(name="B"))
        )


async def test_one_that_the_file_pushed_out_says_why(
    sidecar: Sidecar, environ: dict[str, str]
) -> None:
    upstream_id = await add(sidecar, name="deep")
    write(environ["CONFIG_PATH"], TWO_IN_THE_FILE)

    shown = view(sidecar, upstream_id)

    assert not shown.active
    assert shown.problem == "the file or the environment has an upstream of this name"


async def test_one_whose_keys_cannot_be_opened_says_why_and_is_still_shown(
    sidecar: Sidecar,
) -> None:
    upstream_id = await add(sidecar)
    sidecar.store.transact(lambda work: work.run("UPDATE upstreams SET sealed = x'00'"), alone=())

    shown = view(sidecar, upstream_id)

    assert (shown.name, shown.active, shown.api_keys) == ("mimo", False, [])
    assert "can't be opened" in shown.problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "https://10.0.0.1"])
async def test_an_admin_of_this_machine_may_have_a_private_one(sidecar: Sidecar, url: str) -> None:
    upstream = await parse_upstream(sidecar, body(base_url=url), is_local=True)

    assert not upstream.guarded
    row = row_of(sidecar, str(await store_new(sidecar, upstream)))
    assert row.upstream
    assert not row.upstream.guarded
    from_afar = await parse_upstream(sidecar, body(base_url=url, models=["a"]), row.upstream)
    assert not from_afar.guarded
    assert "base_url" in await faults(sidecar, row.upstream, base_url="http://127.0.0.1:8001")


async def test_a_public_one_stays_guarded_whoever_adds_it(sidecar: Sidecar) -> None:
    assert (await parse_upstream(sidecar, body(), is_local=True)).guarded
