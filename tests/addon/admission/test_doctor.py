"""The doctor reaches its stand-in, or the one key that its token names."""

from addon.admission.doctor import doctor_principal, snapshot_for
from shared.config.schema import Snapshot, Upstream
from shared.doctor import STAND_IN, DoctorToken
from shared.model import Principal
from shared.security.keys import digest

UPSTREAM = Upstream(name="a", base_url="https://example.com", api_keys=("sk-one", "sk-two"))
OPEN = Upstream(name="open", base_url="https://example.org")
JTI = "0" * 16


def doctor(**fields: str) -> Principal | None:
    """Who the caller with such a token is."""
    token = DoctorToken(jti=JTI, exp=1, **fields)
    return doctor_principal({"authorization": "Bearer x.y.z"}, (UPSTREAM, OPEN), lambda _: token)


def test_the_stand_in_gets_the_token_itself_and_is_all_there_is() -> None:
    caller = doctor()

    assert caller
    assert (caller.upstream, caller.upstream_key) == (STAND_IN, "x.y.z")
    [upstream] = snapshot_for(caller, Snapshot(upstreams=(UPSTREAM,))).upstreams
    assert upstream.name == STAND_IN


def test_a_key_of_an_upstream_is_found_by_its_digest() -> None:
    caller = doctor(upstream="a", key=digest("sk-two"))

    assert caller
    assert (caller.upstream, caller.upstream_key) == ("a", "sk-two")
    snapshot = Snapshot(upstreams=(UPSTREAM,))
    assert snapshot_for(caller, snapshot) is snapshot


def test_an_upstream_without_keys_is_reached_without_one() -> None:
    caller = doctor(upstream="open", key=digest(""))

    assert caller
    assert caller.upstream_key == ""


def test_a_key_that_is_gone_and_another_upstream_s_reach_nobody() -> None:
    assert doctor(upstream="a", key=digest("sk-three")) is None
    assert doctor(upstream="open", key=digest("sk-two")) is None
    assert doctor(upstream="b", key=digest("")) is None


def test_other_callers_are_not_the_doctor() -> None:
    headers = {"authorization": "Bearer sk-one"}

    assert doctor_principal(headers, (UPSTREAM,), lambda _: None) is None
    assert doctor_principal({}, (UPSTREAM,), lambda _: DoctorToken(jti=JTI, exp=1)) is None
