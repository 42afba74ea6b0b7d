"""Recall: a model's reasoning is remembered, and restored where a client dropped it."""
