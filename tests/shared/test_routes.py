"""A model reaches the upstreams that serve it, under the name it has there."""

import pytest

from shared.config.schema import ModelRewrite, Tiers, Upstream
from shared.routes import Route, known_models, model_owners, rewrite_for, routes, stand_in


def exact(source: str, to: str) -> ModelRewrite:
    return ModelRewrite(from_=source, to=to)


def pattern(source: str, template: str) -> ModelRewrite:
    return ModelRewrite(from_pattern=source, to_template=template)


def upstream(*rewrites: ModelRewrite, name: str = "up", models: tuple[str, ...] = ()) -> Upstream:
    return Upstream(
        name=name, base_url="https://example.com", models=models, model_rewrites=rewrites
    )


@pytest.mark.parametrize(
    ("rewrites", "model", "expected"),
    [
        pytest.param((exact("a", "b"),), "a", "b", id="exact"),
        pytest.param((exact("a", "b"),), "aa", None, id="exact is the whole name"),
        pytest.param((exact("a", "b"),), "A", None, id="case matters"),
        pytest.param((exact("a.c", "b"),), "abc", None, id="exact is no pattern"),
        pytest.param((pattern("^gpt-(.*)$", "mimo-{1}"),), "gpt-5.3", "mimo-5.3", id="group"),
        pytest.param(
            (pattern("^(a)(b)(c)$", "{3}{1}{1}{2}"),), "abc", "caab", id="groups in any order"
        ),
        pytest.param(
            (pattern("^(a)(b)?$", "x{1}-{2}"),), "a", "xa-", id="a group that took no part"
        ),
        pytest.param((pattern("^(?:(a)|(b))$", "{1}{2}!"),), "b", "b!", id="one of two groups"),
        pytest.param(
            (pattern("^a$", "{0}-{x}-{}"),), "a", "a-{x}-{}", id="the whole match, and no groups"
        ),
        pytest.param(
            (pattern("(.+)", "{1}"),), "{1}\\1", "{1}\\1", id="what a group holds is no template"
        ),
        pytest.param((pattern("5", "five"),), "gpt-5", "five", id="a pattern matches anywhere"),
        pytest.param(
            (exact("a", "first"), pattern("^a", "second")), "a", "first", id="exact first"
        ),
        pytest.param(
            (pattern("^a", "first"), exact("a", "second")), "a", "first", id="pattern first"
        ),
        pytest.param((exact("a", "b"), exact("b", "c")), "a", "b", id="rewrites do not chain"),
        pytest.param((pattern("^(模型)-(.+)$", "{2}"),), "模型-é", "é", id="any language"),
        pytest.param((), "a", None, id="none"),
    ],
)
def test_the_first_rewrite_that_matches_decides(
    rewrites: tuple[ModelRewrite, ...], model: str, expected: str | None
) -> None:
    _, name = rewrite_for(upstream(*rewrites), model) or (None, None)
    assert name == expected


def test_upstreams_serve_a_model_by_rewrite_by_name_or_because_they_take_all() -> None:
    by_name = upstream(name="by name", models=("m", "n"))
    other = upstream(name="other", models=("n",))
    rewriting = upstream(exact("m", "theirs"), name="rewriting", models=("theirs",))
    takes_all = upstream(name="all")
    found = routes((by_name, other, rewriting, takes_all), "m")
    assert found == [Route(by_name, "m"), Route(rewriting, "theirs"), Route(takes_all, "m")]


def test_a_model_that_nobody_serves_has_no_route() -> None:
    assert routes((upstream(exact("a", "b"), models=("b",)),), "c") == []
    assert routes((), "c") == []


def test_the_models_there_are_are_those_that_can_be_asked_for_by_name() -> None:
    first = upstream(exact("alias", "b"), pattern("^gpt-", "b"), models=("b", "a"))
    second = upstream(exact("alias", "c"), exact("other", "c"), models=("a",))
    assert known_models((first, second, upstream())) == ["b", "a", "alias", "other"]


def test_an_upstream_without_configured_models_offers_what_it_lists() -> None:
    named = upstream(exact("alias", "b"), name="named", models=("b",))
    open_one = upstream(exact("mine", "c"), name="open")
    listed = {"named": ("x",), "open": ("c", "b"), "gone": ("z",)}
    assert model_owners((named, open_one), listed) == {
        "b": "named",
        "alias": "named",
        "mine": "open",
        "c": "open",
    }
    assert known_models((named, open_one), listed) == ["b", "alias", "mine", "c"]


def test_the_rewrite_that_matched_is_told() -> None:
    first, second = (
        ModelRewrite(from_="a", to="b"),
        ModelRewrite(from_pattern="^x-(.+)$", to_template="y-{1}"),
    )
    upstream = Upstream(name="up", base_url="https://up.example", model_rewrites=(first, second))
    assert rewrite_for(upstream, "a") == (first, "b")
    assert rewrite_for(upstream, "x-1") == (second, "y-1")
    assert rewrite_for(upstream, "z") is None


TIERS = Tiers(small_model="flash", small_effort="low", big_model="pro", big_effort="high")


@pytest.mark.parametrize(
    ("model", "stands_for"),
    [
        ("claude-haiku-4-5-20251001", ("flash", "low")),
        ("Claude-Sonnet-5", ("pro", "high")),
        ("claude-opus-4-8", ("pro", "high")),
        ("claude-fable-5-1[1m]", ("pro", "high")),
        ("gpt-5", ("gpt-5", "")),
    ],
)
def test_another_model_stands_for_claudes(model: str, stands_for: tuple[str, str]) -> None:
    found = routes((upstream(name="all"),), model, TIERS)
    assert [(route.model, route.effort) for route in found] == [stands_for]


def test_a_claude_model_that_an_upstream_names_is_itself() -> None:
    named = upstream(name="anthropic", models=("claude-haiku-4-5",))
    assert [
        route.model for route in routes((named, upstream(name="all")), "claude-haiku-4-5", TIERS)
    ] == [
        "claude-haiku-4-5",
        "claude-haiku-4-5",
    ]


def test_what_stands_for_a_claude_model_is_renamed_as_others_are() -> None:
    rewrite = ModelRewrite(from_="pro", to="deployment", effort="max")
    found = routes((upstream(rewrite),), "claude-opus-5", TIERS)
    assert [(route.model, route.effort) for route in found] == [("deployment", "max")]


def test_without_tiers_a_claude_model_is_asked_for_as_it_is() -> None:
    assert [route.model for route in routes((upstream(),), "claude-haiku-4-5")] == [
        "claude-haiku-4-5"
    ]


def test_what_stands_for_a_model_is_known_without_a_route() -> None:
    assert stand_in((), "claude-opus-5", TIERS) == ("pro", "high")
    assert stand_in((upstream(models=("claude-opus-5",)),), "claude-opus-5", TIERS) is None
    assert stand_in((), "gpt-5", TIERS) is None


@pytest.mark.parametrize(
    ("models", "asked", "found"),
    [
        pytest.param(("m",), "m-high", ("m", "high"), id="listed"),
        pytest.param(("m",), "m:max", ("m", "max"), id="colon"),
        pytest.param(("m",), "m-nothink", ("m", "none"), id="off"),
        pytest.param(("m", "m-high"), "m-high", ("m-high", ""), id="a model of its own"),
        pytest.param((), "m:low", ("m", "low"), id="colon where every model is taken"),
        pytest.param((), "o4-mini-high", ("o4-mini-high", ""), id="a dash may belong to the name"),
        pytest.param(("m",), "m-tall", None, id="no effort"),
        pytest.param(("m",), "n-high", None, id="another model"),
    ],
)
def test_a_name_may_end_in_an_effort(
    models: tuple[str, ...], asked: str, found: tuple[str, str] | None
) -> None:
    expected = [found] if found else []
    assert [
        (route.model, route.effort) for route in routes((upstream(models=models),), asked)
    ] == expected


def test_a_rewritten_name_may_end_in_an_effort_too() -> None:
    found = routes((upstream(exact("alias", "theirs"), models=("theirs",)),), "alias-high")
    assert [(route.model, route.effort) for route in found] == [("theirs", "high")]
