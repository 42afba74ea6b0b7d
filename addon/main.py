"""What `mitmdump -s` loads: the addon list; mitmproxy runs it as a script and nobody imports it."""

from addon.edge.gateway import Gateway
from addon.wiring import Wiring

addons = [Gateway(Wiring())]
