import pytest

from shared.security.sealing import SealError
from shared.store.accounts import create_user, delete_user
from shared.store.engine import Engine
from shared.store.second_factors import (
    begin_second_factor,
    confirm_second_factor,
    find_second_factor,
    remove_second_factor,
    use_recovery_code,
    use_step,
)

KEY = b"k" * 32


@pytest.fixture
def user_id(engine: Engine) -> int:
    """An account with a second factor that was confirmed by the code of step 7."""
    user = create_user(
        engine, username="ada", password_hash="h", role="admin", must_change_password=False, now=1
    )
    assert begin_second_factor(engine, KEY, user.id, "SECRET", 1)
    assert confirm_second_factor(engine, user.id, step=7, digests=["a", "b"])
    return user.id


def test_it_is_found_as_it_was_kept(engine: Engine, user_id: int) -> None:
    factor = find_second_factor(engine, KEY, user_id)
    assert factor
    assert (factor.secret, factor.confirmed, factor.codes_left) == ("SECRET", True, 2)
    assert find_second_factor(engine, KEY, 999) is None
    with pytest.raises(SealError):
        find_second_factor(engine, b"x" * 32, user_id)


def test_a_step_is_used_once_and_never_an_earlier_one(engine: Engine, user_id: int) -> None:
    assert [use_step(engine, user_id, step) for step in (7, 9, 9, 8, 10)] == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_a_recovery_code_is_used_once(engine: Engine, user_id: int) -> None:
    assert [use_recovery_code(engine, user_id, each) for each in "aaxb"] == [
        True,
        False,
        False,
        True,
    ]


def test_one_that_was_confirmed_is_neither_begun_nor_confirmed_again(
    engine: Engine, user_id: int
) -> None:
    assert not begin_second_factor(engine, KEY, user_id, "OTHER", 2)
    assert not confirm_second_factor(engine, user_id, step=99, digests=[])


def test_it_goes_with_its_codes_and_with_its_account(engine: Engine, user_id: int) -> None:
    assert [remove_second_factor(engine, user_id) for _ in range(2)] == [True, False]
    assert not use_recovery_code(engine, user_id, "a")
    assert begin_second_factor(engine, KEY, user_id, "NEW", 3)
    create_user(
        engine, username="eve", password_hash="h", role="admin", must_change_password=False, now=1
    )
    delete_user(engine, user_id)
    assert find_second_factor(engine, KEY, user_id) is None
