"""Measures how the code is built, against its goals (`python3 -m tools.structure`)."""
