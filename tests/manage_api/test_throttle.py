from manage_api.throttle import Throttle, network_of
from tests.manage_api.world import ManualClock


def throttle(clock: ManualClock) -> Throttle:
    return Throttle(capacity=2, refill_seconds=10, clock=clock)


def test_there_are_as_many_attempts_as_the_capacity() -> None:
    attempts = throttle(ManualClock())

    assert [attempts.take("ada") for _ in range(3)] == [0, 0, 10]


def test_names_do_not_share_attempts() -> None:
    attempts = throttle(ManualClock())
    taken = [attempts.take("ada") for _ in range(2)]

    assert (taken, attempts.take("grace")) == ([0, 0], 0)


def test_the_wait_is_until_the_next_attempt_and_then_there_is_one() -> None:
    clock = ManualClock()
    attempts = throttle(clock)
    for _ in range(2):
        attempts.take("ada")
    clock.seconds += 4

    wait = attempts.take("ada")
    clock.seconds += wait

    assert wait == 6
    assert [attempts.take("ada"), attempts.take("ada")] == [0, 10]


def test_a_good_attempt_is_given_back_and_never_more_than_that() -> None:
    attempts = throttle(ManualClock())
    for _ in range(5):
        attempts.take("ada")
        attempts.give_back("ada")

    assert [attempts.take("ada") for _ in range(3)] == [0, 0, 10]


def test_a_long_rest_does_not_save_up_attempts() -> None:
    clock = ManualClock()
    attempts = throttle(clock)
    attempts.take("ada")
    clock.seconds += 1000

    assert [attempts.take("ada") for _ in range(3)] == [0, 0, 10]


def test_strangers_cannot_fill_the_memory() -> None:
    attempts = throttle(ManualClock())
    for number in range(10_001):
        for _ in range(2):
            attempts.take(str(number))

    assert attempts.take("0") == 0
    assert attempts.take("10000") == 10


def test_ipv6_is_counted_by_its_network_and_ipv4_by_the_address() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("203.0.113.1") != network_of("203.0.113.2")
    assert network_of("") == ""
