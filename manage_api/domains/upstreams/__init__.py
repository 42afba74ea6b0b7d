"""Upstreams, as an admin sees and makes them."""
