"""What Cursor sends, by dialect and version: one `*.jsonl` for each, played by
tests/e2e/test_cursor_dialects.py.

The bodies are made up after the shapes that the sources in their first lines document;
nothing in them was recorded from anybody. To add a dialect, put a file of JSON lines here;
the tests find it by themselves.

The first line says what it is, with the public pages or repositories that its shape was taken from:

    {"dialect": "…", "cursor": "3.17.8", "sources": ["https://…"]}

Then one line per request, with what the model answers to it. `method`, `path` and `headers`
that a line leaves out are those of the line before; `$key` in a header is the caller's key:

    {"method": "POST", "path": "/v1/chat/completions", "headers": {"Authorization": "Bearer $key"}, "body": {…},
     "answer": {"text": "…", "calls": [{"name": "Read", "arguments": {…}}, {"name": "ApplyPatch", "input": "…"}]}}

In a body stand for what only a conversation can know (`of` is the number of a request, from
1; without it, the last):

    {"$again": "messages"}             the member of that request's body; in an array, all that is in it
    {"$answer": "text"}                the text of the answer to that request
    {"$answer": "quote"}               the same in another conversation, which does not make it a turn there
    {"$answer": "id", "call": 0}       the id of its first call, as the gateway gave it; so `name` and `arguments`
    {"$answer": "input", "call": 0}    the call's arguments as an object
    {"$answer": "tool_calls"}          all its calls as Chat Completions has them; `"compact": true`: their arguments
                                       are spelt without spaces, as Cursor does since 3.17

The last line says what the upstream must have been asked: one value for all requests or a
list with one for each, and under `chat` or `responses` what differs with the upstream's
API. Reasoning needs no word: every replayed turn must have its own again.

    {"asked": {"model": "strong-model", "effort": "high", "tools": 2, "custom": 0, "images": [0, 1]},
     "responses": {"custom": 1}}
"""
