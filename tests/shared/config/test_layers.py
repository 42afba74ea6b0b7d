"""What is stored lies below file and environment; what of it can't be used is left out alone."""

import pytest

from shared.config.layers import SETTINGS, Base, combine
from shared.config.overrides import EDITABLE, DatabaseUpstream, Overrides
from shared.config.schema import Upstream
from shared.errors import Problem

FILE = {
    "audit": {"mode": "full"},
    "logging": {"level": "error"},
    "upstreams": [{"name": "Deep", "base_url": "https://a.b"}],
}
BASE = Base(FILE, frozenset({"logging.level"}))
NOTHING = Base({}, frozenset())


def stored_upstream(name: str, base_url: str = "https://c.d") -> DatabaseUpstream:
    return DatabaseUpstream(id=1, name=name, base_url=base_url)


def unfit(key: str, message: str) -> tuple[Problem, ...]:
    return (Problem(key, message, source="database"),)


def test_what_is_stored_comes_before_the_default() -> None:
    effective = combine(
        BASE, Overrides(settings={"recall.max_mib": 5, "registration.invite_codes": ["a", "b"]})
    )

    assert effective.snapshot.recall.max_mib == 5
    assert effective.snapshot.registration.invite_codes == ("a", "b")
    assert effective.problems == ()


def test_file_and_environment_come_before_what_is_stored() -> None:
    effective = combine(
        BASE,
        Overrides(settings={"audit.mode": "off", "logging.level": "debug", "audit.max_mib": 7}),
    )

    assert (effective.snapshot.audit.mode, effective.snapshot.audit.max_mib) == ("full", 7)
    assert effective.snapshot.logging.level == "error"
    assert effective.problems == ()


def test_every_setting_tells_which_layer_it_is_from() -> None:
    sources = combine(BASE, Overrides(settings={"audit.mode": "off", "audit.max_mib": 7})).sources

    assert sources.keys() == SETTINGS.keys()
    assert {name: source for name, source in sources.items() if source != "default"} == {
        "logging.level": "environment",
        "audit.mode": "file",
        "audit.max_mib": "database",
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("recall.max_mib", -1, "must be from 0 to 1048576"),
        ("recall.max_mib", "5", "must be a whole number, not text"),
        ("audit.mode", "most", "must be one of full, last, off"),
        ("registration.invite_codes", ["a", ""], "must not be empty or hold control characters"),
        ("server.allow_private_upstreams", True, "can't be set in the database"),
        ("upstreams", [], "can't be set in the database"),
        ("no.such", 1, "can't be set in the database"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_stored_setting_that_cannot_be_used_is_left_out_alone(
    name: str, value: object, message: str
) -> None:
    effective = combine(NOTHING, Overrides(settings={name: value, "audit.max_mib": 7}))

    assert effective.problems == unfit(name, message)
    assert effective.snapshot == combine(NOTHING, Overrides(settings={"audit.max_mib": 7})).snapshot


def test_what_can_be_stored_exists() -> None:
    assert set(EDITABLE) <= SETTINGS.keys()


def test_stored_upstreams_follow_the_provisioned_ones() -> None:
    upstreams = combine(
        BASE, Overrides(upstreams=(stored_upstream("z"), stored_upstream("c")))
    ).snapshot.upstreams

    assert [upstream.name for upstream in upstreams] == ["Deep", "z", "c"]
    assert [upstream.guarded for upstream in upstreams] == [False, True, True]
    assert upstreams[0] == Upstream(name="Deep", base_url="https://a.b")


def test_a_stored_upstream_gives_way_to_a_provisioned_one_of_its_name() -> None:
    effective = combine(BASE, Overrides(upstreams=(stored_upstream("DEEP"), stored_upstream("c"))))

    assert [upstream.name for upstream in effective.snapshot.upstreams] == ["Deep", "c"]
    assert effective.problems == unfit(
        "upstreams.DEEP", "the file or the environment has an upstream of this name"
    )


@pytest.mark.parametrize(
    ("allowed", "names"), [(False, []), (True, ["plain"])], ids=["refused", "allowed"]
)
def test_a_stored_upstream_in_clear_needs_the_permission(allowed: bool, names: list[str]) -> None:
    base = Base({"server": {"allow_private_upstreams": allowed}}, frozenset())

    effective = combine(base, Overrides(upstreams=(stored_upstream("plain", "http://c.d"),)))

    assert [upstream.name for upstream in effective.snapshot.upstreams] == names
    assert len(effective.problems) == (not allowed)


def test_a_stored_upstream_in_clear_needs_none_if_an_admin_of_this_machine_added_it() -> None:
    own = DatabaseUpstream(id=1, name="own", base_url="http://127.0.0.1:8000", local=True)

    assert combine(NOTHING, Overrides(upstreams=(own,))).snapshot.upstreams == (own,)


def test_rows_that_could_not_be_read_are_problems() -> None:
    problem = Problem("audit.mode", "can't be read", source="database")

    assert combine(NOTHING, Overrides(problems=(problem,))).problems == (problem,)


EXPOSED = {"server": {"listen_addr": "0.0.0.0:8787"}}
OPEN = {"registration": {"allowed": True}}


@pytest.mark.parametrize(
    ("base", "stored", "allowed"),
    [
        (NOTHING, {}, True),
        (Base(EXPOSED, frozenset()), {}, False),
        (NOTHING, {"server.public_url": "https://think.example.com"}, False),
        (Base(EXPOSED, frozenset()), {"registration.invite_codes": ["x"]}, False),
        (Base(EXPOSED | OPEN, frozenset()), {}, True),
        (Base(EXPOSED | OPEN, frozenset({"registration.allowed"})), {}, True),
        (Base(EXPOSED, frozenset()), {"registration.allowed": True}, True),
        (NOTHING, {"registration.allowed": False}, False),
    ],
    ids=["local", "listener", "public URL", "codes", "file", "environment", "stored", "closed"],
)
def test_registration_is_open_to_this_machine_alone_unless_a_layer_says_so(
    base: Base, stored: dict[str, object], allowed: bool
) -> None:
    assert combine(base, Overrides(settings=stored)).snapshot.registration.allowed is allowed
