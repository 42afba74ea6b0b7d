"""Where the data plane meets mitmproxy: the only folder that imports it."""
