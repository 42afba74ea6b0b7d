"""What another gateway has is checked by our own rules."""

from manage_api.command.foreign import Found, served, words
from shared.config.schema import ModelRewrite, Upstream

ONE = Upstream(name="one", base_url="https://one.example")


def test_names_are_told_apart_and_faults_are_told() -> None:
    found = Found()
    for each in (
        ONE,
        ONE,
        Upstream(name="ONE", base_url="https://b.c"),
        Upstream(name="bad", base_url="x"),
    ):
        found.add(each)

    assert [each.name for each in found.upstreams] == ["one", "one-2", "ONE-3"]
    [fault] = found.left_out
    assert fault.startswith("bad: base_url must start with http")


def test_an_upstream_serves_its_names_and_no_others() -> None:
    names = {"a": ModelRewrite(from_="a", to="a"), "b": ModelRewrite(from_="b", to="c")}
    upstream = served(ONE, names)

    assert upstream.models == ("a", "c")
    assert upstream.model_rewrites == (names["b"],)


def test_words_are_separated_by_commas_or_lines() -> None:
    assert words(" a,b\n c ,,") == ["a", "b", "c"]
    assert words(None) == []
