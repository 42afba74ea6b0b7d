"""Who asked what."""
