"""Upstreams are trusted by the authorities that are named, or else by those of browsers."""

import ssl
from pathlib import Path

from shared.security.trust import tls_context
from tests.support.tls import make_certificate


def test_authorities_of_browsers_are_trusted_unless_others_are_named(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    make_certificate(tmp_path, authority)
    assert len(tls_context().get_ca_certs()) > 50
    (named,) = tls_context(str(authority)).get_ca_certs()
    assert "Thinkback test authority" in str(named["subject"])


def test_certificates_and_names_are_checked_as_mitmproxy_checks_them() -> None:
    context = tls_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
