"""The data plane: a mitmproxy addon that takes LLM requests, restores their reasoning and
sends them upstream.
"""
