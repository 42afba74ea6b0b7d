import base64

import pytest

from shared.security.totp import (
    address_of,
    digest_of_code,
    matching_step,
    mint_recovery_codes,
    mint_totp_secret,
    qr_svg,
)

RFC = base64.b32encode(b"12345678901234567890").decode()
"""The secret of RFC 6238's test vectors (appendix B)."""


@pytest.mark.parametrize(
    ("now", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_rfc(now: int, code: str) -> None:
    assert matching_step(RFC, code, now=now) == now // 30
    assert matching_step(RFC, f" {code[:3]} {code[3:]} ", now=now + 30) == now // 30
    assert matching_step(RFC, code, now=now + 61) is None
    assert matching_step(RFC, "", now=now) is None
    assert matching_step(RFC, "²" * 6, now=now) is None


def test_secrets_and_codes_are_new_each_time() -> None:
    assert mint_totp_secret() != mint_totp_secret()
    assert len(base64.b32decode(mint_totp_secret())) == 20
    assert len({*mint_recovery_codes(), *mint_recovery_codes()}) == 20


def test_a_recovery_code_is_the_same_however_it_is_typed() -> None:
    assert digest_of_code("abcde-fghjk") == digest_of_code(" ABCDE fghjk")


def test_the_address_names_account_and_issuer_and_fits_in_a_picture() -> None:
    address = address_of(RFC, "ada & co")
    assert address.startswith("otpauth://totp/Thinkback:ada%20%26%20co?secret=")
    assert "issuer=Thinkback" in address
    assert qr_svg(address).startswith("<svg ")
