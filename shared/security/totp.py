"""Time-based one-time passwords (RFC 6238), and the codes for who has lost the device."""

import secrets
from hmac import compare_digest

import pyotp
import segno

from shared.security.keys import digest

__all__ = (
    "address_of",
    "digest_of_code",
    "matching_step",
    "mint_recovery_codes",
    "mint_totp_secret",
    "qr_svg",
)

ISSUER = "Thinkback"
STEP_SECONDS = 30
DRIFT = 1
"""Steps by which a device's clock may differ: RFC 6238, section 5.2, recommends one."""

RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without look-alikes."""


def mint_totp_secret() -> str:
    """Generate a secret: 160 random bits in base 32 (RFC 4226, section 4)."""
    return pyotp.random_base32()


def address_of(secret: str, username: str) -> str:
    """The `otpauth://` address that authenticator apps read."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)


def qr_svg(address: str) -> str:
    """The address as a QR code, an SVG element to put into a page."""
    return segno.make(address, error="m").svg_inline(scale=4, light="#fff", border=4)


def matching_step(secret: str, code: str, *, now: int) -> int | None:
    """Return the time step that a code is of at `now` (epoch seconds), give or take one; None
    if of none. All are compared, in the same time.
    """
    totp, entered = pyotp.TOTP(secret), _plain(code)
    steps = range(now // STEP_SECONDS - DRIFT, now // STEP_SECONDS + DRIFT + 1)
    found = [step for step in steps if compare_digest(totp.generate_otp(step), entered)]
    return max(found, default=None)


def mint_recovery_codes() -> list[str]:
    """Generate codes that each work once: two groups of five, 49 bits."""
    return ["-".join(_word() for _ in range(2)) for _ in range(RECOVERY_CODES)]


def digest_of_code(code: str) -> str:
    """What is stored of a recovery code, however its groups were typed."""
    return digest(_plain(code))


def _word() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(5))


def _plain(code: str) -> str:
    """A code as people type it: with blanks, dashes or capitals."""
    return "".join(each for each in code.lower() if each.isascii() and each.isalnum())
