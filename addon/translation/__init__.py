"""Client format by upstream format: the same is patched, another is translated."""
