"""Upstreams are asked for their models by themselves, and what comes of it is kept and said
once.
"""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from manage_api.domains.upstreams.model_lists import ModelLists
from manage_api.sidecar import Sidecar
from shared.store.upstream_models import listings
from tests.manage_api.world import ManualClock
from tests.support.database import make_unreadable
from tests.support.gateway import upstream_table
from tests.support.provider import Refusal, StrictProvider

HOUR = 3600
LISTED = ("deepseek-v4-pro",)


@pytest.fixture(scope="module")
def strict() -> Iterator[StrictProvider]:
    with StrictProvider(
        keys=("sk-good", "sk-other"), refused={"sk-busy": Refusal(503)}
    ) as provider:
        yield provider


@pytest.fixture
def provider(strict: StrictProvider) -> StrictProvider:
    strict.reset()
    return strict


@pytest.fixture
def refresh(request: pytest.FixtureRequest) -> str:
    """How often lists are refreshed."""
    return str(getattr(request, "param", HOUR))


@pytest.fixture
def environ(environ: dict[str, str], refresh: str) -> dict[str, str]:
    return environ | {"MODELS_REFRESH_SECONDS": refresh}


class Asker:
    """The lists, asked when the test says so."""

    def __init__(self, sidecar: Sidecar, config: Path, clock: ManualClock) -> None:
        self.sidecar = sidecar
        self.lists = ModelLists(sidecar)
        self._config = config
        self._clock = clock

    def configure(self, *tables: str) -> None:
        self._config.write_text("".join(tables))
        self.sidecar.configuration.reload()

    async def look(self, after: float = 0) -> list[str]:
        """Ask those who are due so many seconds later, and return their names."""
        self._clock.seconds += after
        due = self.lists.due()
        for each in due:
            await self.lists.ask(each)
        return [each.upstream.name for each in due]

    def models(self) -> dict[str, tuple[str, ...]]:
        self.sidecar.store.flush()
        kept = listings(self.sidecar.store, self.sidecar.snapshot.upstreams)
        return {name: listing.models for name, listing in kept.items()}

    def fault(self, name: str = "a") -> str:
        return listings(self.sidecar.store, self.sidecar.snapshot.upstreams)[name].fault


class Told(logging.Handler):
    """Sets its event when the log has these words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.event = asyncio.Event()
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        if self._words in record.getMessage():
            self.event.set()


@pytest.fixture
def asker(
    sidecar: Sidecar, tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> Asker:
    caplog.set_level(logging.INFO, "thinkback.sidecar")
    return Asker(sidecar, tmp_path / "config.toml", clock)


async def test_each_is_asked_at_the_start_and_after_an_hour(
    asker: Asker, provider: StrictProvider
) -> None:
    asker.configure(upstream_table("a", provider.base_url), upstream_table("b", provider.base_url))

    assert await asker.look() == ["a", "b"]
    assert asker.models() == {"a": LISTED, "b": LISTED}
    assert await asker.look(HOUR - 1) == []
    assert await asker.look(1) == ["a", "b"]
    assert [request.target for request in provider.requests] == ["/v1/models"] * 4


async def test_a_changed_upstream_is_asked_at_once_and_no_other(
    asker: Asker, provider: StrictProvider
) -> None:
    first, second = (upstream_table(name, provider.base_url) for name in "ab")
    asker.configure(first, second)
    await asker.look()

    asker.configure(first, upstream_table("b", provider.base_url, api_keys=["sk-other"]))

    assert await asker.look() == ["b"]
    assert provider.requests[-1].key == "sk-other"


async def test_a_change_of_state_is_one_line(
    asker: Asker, provider: StrictProvider, caplog: pytest.LogCaptureFixture
) -> None:
    asker.configure(upstream_table("a", provider.base_url, api_keys=["sk-wrong"]))
    for _ in range(3):
        await asker.look(HOUR)
    asker.configure(upstream_table("a", provider.base_url))
    for _ in range(3):
        await asker.look(HOUR)

    assert [text for text in caplog.messages if text.startswith("Upstream a")] == [
        "Upstream a: The upstream rejects this key (401).",
        "Upstream a works again and lists 1 model.",
    ]


async def test_an_upstream_that_works_is_not_worth_a_line(
    asker: Asker, provider: StrictProvider, caplog: pytest.LogCaptureFixture
) -> None:
    asker.configure(upstream_table("a", provider.base_url))
    await asker.look()

    assert not [text for text in caplog.messages if "Upstream" in text]


async def test_the_last_list_is_kept_while_an_upstream_is_down_and_it_is_asked_sooner(
    asker: Asker, provider: StrictProvider
) -> None:
    asker.configure(upstream_table("a", provider.base_url))
    await asker.look()
    provider.refuse()

    assert await asker.look(HOUR) == ["a"]
    assert (asker.models(), "refused" in asker.fault()) == ({"a": LISTED}, True)
    provider.listen()
    assert await asker.look(300) == ["a"]
    assert asker.fault() == ""


async def test_a_refused_key_is_not_tried_again_before_its_time(
    asker: Asker, provider: StrictProvider
) -> None:
    asker.configure(upstream_table("a", provider.base_url, api_keys=["sk-wrong"]))
    await asker.look()

    assert await asker.look(HOUR - 1) == []


async def test_the_keys_that_fail_are_named_and_the_others_list(
    asker: Asker, provider: StrictProvider
) -> None:
    keys = ["sk-wrong-1111", "sk-good"]
    asker.configure(upstream_table("a", provider.base_url, api_keys=keys))
    await asker.look()

    assert asker.models() == {"a": LISTED}
    assert asker.fault() == "Key …1111: The upstream rejects this key (401)."


async def test_what_was_removed_is_forgotten_also_while_nothing_ran(
    asker: Asker, provider: StrictProvider
) -> None:
    tables = [upstream_table(name, provider.base_url) for name in "abc"]
    asker.configure(*tables)
    await asker.look()

    asker.lists = ModelLists(asker.sidecar)
    asker.configure(*tables[:2])
    await asker.look()
    asker.configure(*tables[:1])
    await asker.look()
    asker.configure(*tables)

    assert asker.models() == {"a": LISTED}


async def test_an_answer_that_comes_after_a_change_is_dropped(
    asker: Asker, provider: StrictProvider
) -> None:
    asker.configure(upstream_table("a", provider.base_url))
    [before] = asker.lists.due()
    asker.configure(upstream_table("a", provider.base_url, api_keys=["sk-wrong"]))
    await asker.look()

    await asker.lists.ask(before)

    assert (asker.models(), "rejects" in asker.fault()) == ({"a": ()}, True)


@pytest.mark.parametrize("refresh", ["0"], indirect=True)
async def test_nobody_is_asked_where_that_is_turned_off(
    asker: Asker, provider: StrictProvider
) -> None:
    asker.configure(upstream_table("a", provider.base_url))

    assert await asker.look(HOUR) == []
    assert provider.requests == []


async def test_asking_goes_on_by_itself_whatever_fails(
    asker: Asker, provider: StrictProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_unreadable(tmp_path / "data" / "adapter.db", "upstream_models")
    asker.configure(upstream_table("a", provider.base_url))

    failed = Told("could not be asked")
    logging.getLogger("thinkback.sidecar").addHandler(failed)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        following = group.create_task(asker.lists.follow())
        await failed.event.wait()
        assert not following.done()
        following.cancel()

    assert [text for text in caplog.messages if "Can't tell which upstreams" in text]
