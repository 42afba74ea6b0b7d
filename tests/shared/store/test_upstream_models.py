from contextlib import closing
from pathlib import Path

import pytest

from shared.config.schema import Upstream
from shared.store.engine import Engine
from shared.store.upstream_models import (
    Listing,
    forget_listing,
    keep_listing,
    listed_models,
    listings,
    upstreams_with_listing,
)
from tests.support.database import make_unreadable, open_database

UPSTREAM = Upstream(name="deepseek", base_url="https://api.deepseek.com")
ELSEWHERE = Upstream(name="deepseek", base_url="https://elsewhere.example")


def listing(
    at: int, *models: str, upstream: Upstream = UPSTREAM, fault: str = "", status: int = 0
) -> Listing:
    return Listing(
        upstream=upstream.name,
        endpoint=upstream.endpoint,
        asked_at=at,
        listed_at=None if fault else at,
        models=models,
        fault=fault,
        status=status,
    )


def put(engine: Engine, *what: Listing) -> None:
    for each in what:
        engine.transact(lambda work, statement=keep_listing(each): work.run(*statement), alone=())


def test_the_latest_list_counts(engine: Engine) -> None:
    put(engine, listing(1, "a", "b"), listing(2, "b", "c"))

    assert listings(engine, [UPSTREAM]) == {"deepseek": listing(2, "b", "c")}
    assert listed_models(engine, [UPSTREAM]) == {"deepseek": ("b", "c")}


def test_the_last_list_outlives_a_failure_which_is_told(engine: Engine) -> None:
    put(engine, listing(1, "a"), listing(2, fault="It is down."))

    found = listings(engine, [UPSTREAM])["deepseek"]

    assert (found.models, found.listed_at, found.asked_at) == (("a",), 1, 2)
    assert found.fault == "It is down."


def test_a_failure_that_is_over_is_forgotten(engine: Engine) -> None:
    put(engine, listing(1, fault="It is down.", status=503), listing(2, "a"))

    assert listings(engine, [UPSTREAM]) == {"deepseek": listing(2, "a")}


@pytest.mark.parametrize("fault", ["", "It is down."])
def test_a_list_of_another_endpoint_tells_nothing(engine: Engine, fault: str) -> None:
    put(engine, listing(1, "a"))
    assert listed_models(engine, [ELSEWHERE]) == {}

    put(engine, listing(2, *([] if fault else ["b"]), upstream=ELSEWHERE, fault=fault))

    assert listed_models(engine, [ELSEWHERE]) == {"deepseek": () if fault else ("b",)}
    assert listed_models(engine, [UPSTREAM]) == {}


def test_what_could_be_deployed_on_azure_is_not_offered(engine: Engine) -> None:
    azure = Upstream(name="azure", base_url="https://r.openai.azure.com/openai/v1")
    put(engine, listing(1, "gpt-5", upstream=azure))

    assert listings(engine, [azure])["azure"].models == ("gpt-5",)
    assert listed_models(engine, [azure]) == {}


def test_a_damaged_table_hides_no_configured_model(path: Path) -> None:
    open_database(path).close()
    make_unreadable(path, "upstream_models")

    with closing(open_database(path)) as engine:
        assert listed_models(engine, [UPSTREAM]) == {}


def test_an_upstream_without_a_list_is_told_from_one_that_fails(engine: Engine) -> None:
    assert listing(1, fault="No list.", status=404).has_no_list
    assert not listing(1, fault="No key.", status=401).has_no_list


def test_an_upstream_that_is_no_more_is_forgotten(engine: Engine) -> None:
    other = Upstream(name="mimo", base_url="https://mimo.example")
    put(engine, listing(1, "a"), listing(1, "b", upstream=other))
    assert upstreams_with_listing(engine) == {"deepseek", "mimo"}

    engine.transact(lambda work: work.run(*forget_listing("deepseek")), alone=())

    assert upstreams_with_listing(engine) == {"mimo"}
