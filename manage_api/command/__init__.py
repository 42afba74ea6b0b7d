"""The command line, and the two programs that it starts and watches."""
