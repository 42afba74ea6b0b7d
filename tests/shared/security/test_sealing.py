import pytest

from shared.security.sealing import SealError, seal, unseal

SECRET = b"s" * 32


@pytest.mark.parametrize(
    "plain", [b"", b"sk-secret", bytes(range(256)) * 100], ids=["empty", "key", "long"]
)
def test_what_was_sealed_is_had_back(plain: bytes) -> None:
    assert (
        unseal(SECRET, seal(SECRET, plain, bound_to="upstream:1"), bound_to="upstream:1") == plain
    )


def test_what_is_sealed_does_not_show() -> None:
    assert b"sk-secret" not in seal(SECRET, b"sk-secret", bound_to="upstream:1")


def test_no_two_seals_are_alike() -> None:
    assert seal(SECRET, b"x", bound_to="") != seal(SECRET, b"x", bound_to="")


@pytest.mark.parametrize(
    ("secret", "bound_to"),
    [(b"t" * 32, "upstream:1"), (SECRET, "upstream:2")],
    ids=["secret", "place"],
)
def test_with_another_secret_or_for_another_place_it_stays_shut(
    secret: bytes, bound_to: str
) -> None:
    sealed = seal(SECRET, b"x", bound_to="upstream:1")

    with pytest.raises(SealError, match=r"another secret\.key"):
        unseal(secret, sealed, bound_to=bound_to)


@pytest.mark.parametrize(
    "at", [0, 1, 12, 13, 20, -1], ids=["version", "nonce", "nonce-end", "text", "middle", "tag"]
)
def test_a_flipped_bit_is_noticed(at: int) -> None:
    sealed = bytearray(seal(SECRET, b"sixteen bytes...", bound_to="x"))
    sealed[at] ^= 1

    with pytest.raises(SealError):
        unseal(SECRET, bytes(sealed), bound_to="x")


@pytest.mark.parametrize("length", [0, 1, 12, 28])
def test_a_piece_is_no_seal(length: int) -> None:
    sealed = seal(SECRET, b"", bound_to="x")

    with pytest.raises(SealError, match="not sealed by this version"):
        unseal(SECRET, sealed[:length], bound_to="x")
