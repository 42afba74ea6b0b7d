"""Accounts, as an admin sees them."""
