"""Reasoning shown within the content, for clients that show it nowhere else."""
