"""What must hold of key rotation and fail-over for any order of events."""

from email.utils import format_datetime

from hypothesis import example, given
from hypothesis import strategies as st

from addon.routing.failover import retry_after_seconds
from addon.routing.keyring import Keyring
from shared.config.schema import Upstream

THREE = Upstream(name="up", base_url="https://example.com", api_keys=("a", "b", "c"))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("failed"), st.sampled_from("abc"), st.floats(0, 20)),
            st.tuples(st.just("worked"), st.sampled_from("abc"), st.none()),
            st.tuples(st.just("asked"), st.just(""), st.none()),
        )
    )
)
def test_every_key_is_offered_once_and_no_resting_one_before_a_fit_one(
    steps: list[tuple[str, str, float | None]],
) -> None:
    keyring = Keyring()
    for now, (step, key, seconds) in enumerate(steps):
        if seconds is not None:
            keyring.failed(THREE, key, now + seconds)
        elif step == "worked":
            keyring.worked(THREE, key)
        order = keyring.order(THREE, now)
        rests = [keyring.rests(THREE, key, now) for key in order]
        assert sorted(order) == ["a", "b", "c"]
        assert rests == sorted(rests)


@given(
    st.one_of(
        st.text(), st.text('0123456789:+- JanMonGMT,()"'), st.datetimes().map(format_datetime)
    )
)
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_header_is_read_or_ignored(retry_after: str) -> None:
    seconds = retry_after_seconds({"retry-after": retry_after}, now_epoch=1_790_000_000.0)
    assert seconds is None or seconds >= 0
