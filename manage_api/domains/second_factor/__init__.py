"""The second factor of an account: codes of an authenticator app."""
