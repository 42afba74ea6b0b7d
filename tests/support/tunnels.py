"""Stand-ins for the programs that open a tunnel: they take the same arguments, print the same
lines, and pass on what comes to their "public" address, a loopback one, to the target.
"""

import sys
from pathlib import Path
from stat import S_IRWXU

__all__ = ("install_tunnels",)

SCRIPT = '''#!{python}
import asyncio, json, re, sys
from pathlib import Path

PROGRAM, ARGS = Path(sys.argv[0]).name, sys.argv[1:]

def said(url, target):
    """What the program prints once the tunnel is open, and where."""
    if PROGRAM == "cloudflared" and "run" not in ARGS:
        box = ["Your quick Tunnel has been created! Visit it at (it may take some time):", url]
        rows = ["+" + "-" * 92 + "+", *(f"|  {{each:<90}}|" for each in box), "+" + "-" * 92 + "+"]
        return "".join(f"2026-01-16T08:32:58Z INF {{row}}\\n" for row in rows), sys.stderr
    if PROGRAM == "cloudflared":
        return "2026-01-16T08:32:59Z INF Registered tunnel connection connIndex=0\\n", sys.stderr
    if PROGRAM == "tailscale":
        lines = f"Available on the internet:\\n\\n{{url}}/\\n|-- proxy {{target}}\\n"
        return lines + "\\nPress Ctrl+C to exit.\\n", sys.stdout
    first = {{"lvl": "info", "msg": "starting web service", "addr": "127.0.0.1:4040"}}
    started = {{"lvl": "info", "msg": "started tunnel", "addr": target, "url": url}}
    return json.dumps(first) + "\\n" + json.dumps(started) + "\\n", sys.stdout

async def copy(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    writer.close()

async def main():
    target = next(each for each in ARGS if each.startswith("http://127.0.0.1:"))
    asked = Path(__file__).with_name("own-port")

    async def pass_on(reader, writer):
        try:
            line = await reader.readline()
            far, near = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
        except OSError:
            writer.close()
            return
        near.write(line + b"Cf-Connecting-Ip: 203.0.113.9\\r\\nX-Forwarded-For: 203.0.113.9\\r\\n")
        await asyncio.gather(copy(reader, near), copy(far, writer))

    port = int(asked.read_text()) if asked.exists() else 0
    server = await asyncio.start_server(pass_on, "127.0.0.9", port)
    url = "http://127.0.0.9:%d" % server.sockets[0].getsockname()[1]
    text, stream = said(url, target)
    print(text, end="", file=stream, flush=True)
    await server.serve_forever()

asyncio.run(main())
'''


def install_tunnels(directory: Path, *programs: str, port: int = 0) -> str:
    """Make stand-ins of these programs in a directory; return it for `PATH`.

    Each listens on 127.0.0.9, at a port of its own each time unless one is given.
    """
    directory.mkdir(exist_ok=True)
    for program in programs:
        file = directory / program
        file.write_text(SCRIPT.format(python=sys.executable), "utf-8")
        file.chmod(S_IRWXU)
    if port:
        (directory / "own-port").write_text(str(port))
    return str(directory)
