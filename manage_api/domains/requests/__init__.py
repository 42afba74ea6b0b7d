"""Single exchanges, and how upstreams do."""
