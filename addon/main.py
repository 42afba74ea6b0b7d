"""What `mitmdump -s` loads: the addon list; mitmproxy runs it as a script and nobody imports it."""

from addon.edge.gateway import Gateway
from addon.node import Node

addons = [Gateway(Node())]
