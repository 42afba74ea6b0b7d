"""Who may call: pure."""
