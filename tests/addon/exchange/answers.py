"""What upstreams of each kind answer, alike in all but what was thought."""

import json

from tests.addon.recall.chat import Json
from tests.support.turns import Turn, completion

__all__ = ("KINDS", "answer", "chat_members", "turn")

KINDS = (
    "deepseek-v4",
    "field-generic",
    "groq",
    "vllm",
    "openrouter",
    "minimax",
    "mistral",
    "gemini",
    "responses",
    "messages",
)


def answer(kind: str, thought: str) -> bytes:
    """An upstream's answer, the same but for what was thought."""
    match kind:
        case "responses":
            words = [{"type": "reasoning_text", "text": thought}]
            item = {"type": "reasoning", "id": f"rs_{thought[-1]}", "summary": [], "content": words}
            said = {"type": "output_text", "text": "Done."}
            text = {"type": "message", "role": "assistant", "content": [said]}
            output = [item | {"encrypted_content": f"gAAA {thought}"}, text]
            return json.dumps({"id": "r", "status": "completed", "output": output}).encode()
        case "messages":
            block = {"type": "thinking", "thinking": thought, "signature": f"sig {thought}"}
            content = [block, {"type": "text", "text": "Done."}]
            head = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
            return json.dumps({**head, "content": content, "stop_reason": "end_turn"}).encode()
    message = {"role": "assistant", "content": "Done.", **chat_members(kind, thought)}
    return completion(Turn(reasoning=None), "m", message=message)


def chat_members(kind: str, thought: str) -> Json:
    """Where a chat upstream has the thought."""
    match kind:
        case "openrouter":
            item = {"type": "reasoning.text", "text": thought, "signature": f"sig {thought}"}
            return {"reasoning": thought, "reasoning_details": [item]}
        case "minimax":
            return {"content": f"<think>{thought}</think>Done."}
        case "mistral":
            chunk = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
            return {"content": [chunk, {"type": "text", "text": "Done."}]}
        case "gemini":
            annex = {"google": {"thought_signature": f"sig {thought}"}}
            function = {"name": "Read", "arguments": "{}"}
            call = {"id": "", "type": "function", "function": function, "extra_content": annex}
            return {"content": None, "tool_calls": [call]}
        case "groq" | "field-generic":
            return {"reasoning": thought}
    return {"reasoning_content": thought}


def turn(kind: str, thought: str, text: str, number: int) -> bytes:
    """An answer with text and a call, alike in all conversations but for the thought."""
    made = json.loads(answer(kind, thought))
    given = json.dumps({"path": f"{number}.py"})
    match kind:
        case "responses":
            item, said = made["output"]
            item |= {"id": f"rs_{thought.replace(' ', '_')}", "encrypted_content": "gAAA"}
            item["encrypted_content"] += thought.removeprefix("thought")
            said["content"][0]["text"] = text
            call = {"type": "function_call", "call_id": "c", "name": "Read", "arguments": given}
            made["output"].append(call)
        case "messages":
            block, said = made["content"]
            block["signature"] = thought.removeprefix("thought")
            said["text"] = text
            use = {"type": "tool_use", "id": "c", "name": "Read", "input": json.loads(given)}
            made["content"].append(use)
        case _:
            message = made["choices"][0]["message"]
            call = {"id": "c", "type": "function", "function": {"name": "Read", "arguments": given}}
            calls = message.setdefault("tool_calls", [call])
            calls[0]["function"]["arguments"] = given
            message["content"] = told(message["content"], text)
    return json.dumps(made).encode()


def told(content: object, text: str) -> object:
    """The content with this text in the place of its own."""
    if isinstance(content, list):
        return [*content[:-1], {"type": "text", "text": text}]
    return text if content is None else str(content).replace("Done.", text)
