"""Which upstream, which key, which model: pure."""
