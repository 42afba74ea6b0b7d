"""What stands in deploy/ and the Dockerfile does what the documentation says."""
