"""Whom upstreams' certificates are trusted by: the same wherever one is connected to."""

import ssl

import certifi

__all__ = ("tls_context",)


def tls_context(file: str | None = None, folder: str | None = None) -> ssl.SSLContext:
    """TLS towards upstreams that trusts as mitmproxy does: the authorities in the file and the
    folder, which are its `ssl_verify_upstream_trusted_ca` and `…_confdir`, or else certifi's.
    """
    if not file and not folder:
        file = certifi.where()
    context = ssl.create_default_context(cafile=file, capath=folder)
    # Python turns this on by default, mitmproxy does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
