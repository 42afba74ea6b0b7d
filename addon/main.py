"""What `mitmdump -s` loads: the addon list; mitmproxy runs it as a script and nobody imports it."""

from addon.edge.gateway import Gateway
from addon.node import Node
from shared.errors import ThinkbackError

try:
    addons = [Gateway(Node())]
except ThinkbackError as error:
    raise SystemExit(str(error)) from None
