"""Bytes and JSON text: event streams, splices, lenient reading, compression; no format in
particular.
"""
