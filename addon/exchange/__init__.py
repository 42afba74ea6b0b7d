"""One request's life, from its headers to settlement, without mitmproxy."""
