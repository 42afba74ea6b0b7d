"""Wire formats, sans-io: bytes in, neutral turns and deltas out, and back."""
