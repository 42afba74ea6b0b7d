"""Configuration: TOML and environment become one immutable snapshot."""
