from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest
from litestar.testing import AsyncTestClient, TestClient

from manage_api.app import create_app
from shared.config.watch import Watch
from shared.store import open_engine
from shared.store.accounts import find_user_by_name
from shared.store.engine import Engine
from shared.store.nodes import Process, beat
from shared.store.settings import change_settings
from tests.manage_api.strangers import strangers
from tests.manage_api.world import ManualClock, People, Person, bearer, remember
from tests.support.database import make_unreadable
from tests.support.gateway import eventually

HEALTH, BACKUP = "/api/admin/health", "/api/admin/backup"


DAY = 86_400_000


@pytest.fixture
def admin(root: Person, people: People) -> dict[str, str]:
    """An admin's headers."""
    return bearer(people.key(root, "admin"))


async def test_anybody_may_see_the_public_configuration(client: AsyncTestClient) -> None:
    answer = await client.get("/api/config")

    assert answer.json() == {
        "allow_registration": True,
        "invite_needed": False,
        "public_url": "",
        "version": version("thinkback"),
    }


@pytest.mark.parametrize("environ", [{"PUBLIC_URL": "https://think.example.com"}], indirect=True)
@pytest.mark.parametrize(
    ("toml", "allowed"), [("", False), ("[registration]\nallowed = true", True)], indirect=["toml"]
)
async def test_under_a_public_url_nobody_registers_unless_it_is_allowed(
    client: AsyncTestClient, allowed: bool
) -> None:
    answer = await client.get("/api/config")

    assert answer.json()["allow_registration"] is allowed


@pytest.mark.parametrize(
    "toml", ['[registration]\ninvite_codes = ["x"]\n'], indirect=True, ids=["codes"]
)
async def test_the_public_configuration_tells_of_invite_codes_but_not_which(
    client: AsyncTestClient,
) -> None:
    answer = await client.get("/api/config")

    assert answer.json()["invite_needed"] is True
    assert '"x"' not in answer.text


async def test_it_says_that_it_works(client: AsyncTestClient) -> None:
    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_starts_without_reading_any_turn(environ: dict[str, str], tmp_path: Path) -> None:
    with closing(open_engine(environ["DATABASE_URL"])) as engine:
        remember(engine, [1, 2, 3])
    turns = ("recall_turns", "recall_keys", "recall_sent", "recall_days")
    make_unreadable(tmp_path / "data" / "adapter.db", *turns)

    with TestClient(create_app(Watch(environ))) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/config").status_code == 200


def test_an_edited_configuration_is_taken_over(environ: dict[str, str]) -> None:
    with TestClient(create_app(Watch(environ))) as client:
        Path(environ["CONFIG_PATH"]).write_text("[registration]\nallowed = false\n")

        assert eventually(lambda: not client.get("/api/config").json()["allow_registration"])


def test_a_stored_setting_is_taken_over(environ: dict[str, str], store: Engine) -> None:
    with TestClient(create_app(Watch(environ))) as client:
        change_settings(store, {"registration.allowed": False}, 1)

        assert eventually(lambda: not client.get("/api/config").json()["allow_registration"])


async def test_an_admin_sees_how_the_installation_does(
    client: AsyncTestClient, admin: dict[str, str], clock: ManualClock
) -> None:
    clock.seconds += 5

    answer = await client.get(HEALTH, headers=admin)

    health = answer.json()
    assert answer.status_code == 200
    assert health["versions"].keys() == {"thinkback", "mitmproxy", "litestar", "sqlite", "python"}
    assert health["uptime_seconds"] == 5
    assert health["database"]["bytes"] > 0
    assert health["database"]["wal_bytes"] > 0
    assert health["database"]["integrity"] is None
    assert (health["nodes"], health["problems"], health["last_settled_at"]) == ([], [], None)


@pytest.mark.parametrize("toml", ["[recall]\nmax_mib = 1\nmax_age_days = 9\n"], indirect=True)
async def test_an_admin_sees_how_much_is_remembered_and_for_how_long_there_is_room(
    client: AsyncTestClient, admin: dict[str, str], store: Engine, clock: ManualClock
) -> None:
    now = clock.now_ms()
    remember(store, [now, now - 4 * DAY])

    recall = (await client.get(HEALTH, headers=admin)).json()["recall"]

    taken = recall.pop("bytes")
    assert 200_000 < taken < 300_000
    assert recall == {
        "turns": 2,
        "max_bytes": 1024 * 1024,
        "max_age_days": 9,
        "oldest_at": now - 4 * DAY,
        "days_fitting": 1024 * 1024 // (taken // 4),
    }


@pytest.mark.parametrize("toml", [""], indirect=True)
async def test_without_a_bound_it_is_what_the_disk_has_room_for(
    client: AsyncTestClient, admin: dict[str, str]
) -> None:
    recall = (await client.get(HEALTH, headers=admin)).json()["recall"]

    assert 512 * 1024**2 <= recall["max_bytes"] <= 20 * 1024**3
    assert (recall["turns"], recall["oldest_at"], recall["days_fitting"]) == (0, None, None)


async def test_the_database_is_checked_when_asked_for(
    client: AsyncTestClient, admin: dict[str, str]
) -> None:
    assert (await client.get(f"{HEALTH}?check=1", headers=admin)).json()["database"][
        "integrity"
    ] == "ok"
    assert (await client.get(f"{HEALTH}?check=perhaps", headers=admin)).status_code == 400


async def test_nodes_are_listed_with_when_they_were_seen(
    client: AsyncTestClient, admin: dict[str, str], store: Engine, clock: ManualClock
) -> None:
    now = clock.now_ms()
    store.transact(
        lambda work: [
            work.run(*beat(node, "1", 5, now - ago, Process("here", 1, worker)))
            for node, ago, worker in (("old", 50_000, ""), ("new", 0, "worker 2"))
        ],
        alone=(),
    )

    nodes = (await client.get(HEALTH, headers=admin)).json()["nodes"]

    assert nodes == [
        {"node": "new", "worker": "worker 2", "version": "1", "started_at": 5, "seen_at": now}
        | {"alive": True},
        {"node": "old", "worker": "", "version": "1", "started_at": 5, "seen_at": now - 50_000}
        | {"alive": False},
    ]


async def test_the_last_settlement_is_told(
    client: AsyncTestClient, admin: dict[str, str], root: Person, people: People, clock: ManualClock
) -> None:
    people.spend(root, 10)

    assert (await client.get(HEALTH, headers=admin)).json()["last_settled_at"] == clock.now_ms()


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


async def test_what_of_the_configuration_cannot_be_used_is_told(
    client: AsyncTestClient, admin: dict[str, str], store: Engine, environ: dict[str, str]
) -> None:
    change_settings(store, {"audit.mode": "most"}, 1)
    write(environ["CONFIG_PATH"], "\n[recall]\nmax_mib = -1\n")

    problems = (await client.get(HEALTH, headers=admin)).json()["problems"]

    assert [(each["key"], each["source"], each["line"]) for each in problems] == [
        ("recall.max_mib", environ["CONFIG_PATH"], 3),
        ("audit.mode", "database", None),
    ]


@pytest.fixture
def folder(environ: dict[str, str], store: Engine) -> Iterator[Path]:
    """The data directory, in which nothing may be left behind."""
    folder = Path(environ["DATABASE_URL"].removeprefix("sqlite:")).parent
    before = sorted(folder.iterdir())
    yield folder
    assert [
        path
        for path in sorted(folder.iterdir())
        if path not in before and path.name != "secret.key"
    ] == []


async def test_a_backup_is_a_whole_database(
    client: AsyncTestClient, admin: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    answer = await client.get(BACKUP, headers=admin)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.sqlite3")
    assert answer.headers["content-disposition"] == 'attachment; filename="thinkback-2027-01-15.db"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    (tmp_path / "copy.db").write_bytes(answer.content)
    copy = open_engine(f"sqlite:{tmp_path}/copy.db")
    assert find_user_by_name(copy, "root")
    copy.close()


@pytest.mark.parametrize("path", [HEALTH, BACKUP])
async def test_only_an_admin_may(
    client: AsyncTestClient, people: People, store: Engine, path: str
) -> None:
    for name, (headers, status) in strangers(people, store).items():
        assert (name, (await client.get(path, headers=headers)).status_code) == (name, status)
