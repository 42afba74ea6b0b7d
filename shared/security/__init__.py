"""Passwords, session tokens, virtual keys and the secret they rest on."""
