"""Parsers of what strangers and upstreams send, given any bytes."""
