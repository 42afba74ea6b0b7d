"""An editor's side of the Agent Client Protocol: JSON-RPC in lines, over a program's own input
and output.

Its messages: https://agentclientprotocol.com/protocol/v1/overview.
"""

import json
from subprocess import Popen

from tests.support.turns import Json

__all__ = ("Editor",)


class Editor:
    """Talks to an agent that has just been started."""

    def __init__(self, agent: Popen[str]) -> None:
        self._agent = agent
        self._asked = 0
        self._told: list[Json] = []
        """What the agent has told of its own accord since it was asked last."""

    def ask(self, method: str, **params: object) -> Json:
        """Send a request; its result. Raises AssertionError when there is none."""
        assert self._agent.stdin
        assert self._agent.stdout
        self._asked += 1
        request = {"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params}
        self._agent.stdin.write(f"{json.dumps(request)}\n")
        self._agent.stdin.flush()
        self._told.clear()
        for line in self._agent.stdout:
            message = json.loads(line)
            if message.get("id") == self._asked:
                assert "result" in message, message
                return dict(message["result"])
            self._told.append(message)
        raise AssertionError(f"no answer to {request}")

    def resume(self, session: str, model: str, prompt: str, folder: str) -> str:
        """What the agent says to a prompt in a session that it has kept."""
        self.ask("initialize", protocolVersion=1, clientCapabilities={})
        self.ask("session/load", sessionId=session, cwd=folder, mcpServers=[])
        self.ask("session/set_model", sessionId=session, modelId=model)
        self.ask("session/prompt", sessionId=session, prompt=[{"type": "text", "text": prompt}])
        updates = [told["params"]["update"] for told in self._told if "params" in told]
        return "".join(
            update["content"]["text"]
            for update in updates
            if update["sessionUpdate"] == "agent_message_chunk"
        )
