"""Recall: what a model thought is remembered and put back where a client dropped it."""
