"""Passwords, session tokens, keys, seals, and the secret they rest on; which addresses are
private.
"""
