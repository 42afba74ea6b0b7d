"""Who calls the sidecar, and what they may."""
