"""Settings, and the configuration file they can be exported to."""
