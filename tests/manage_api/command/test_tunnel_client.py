import pytest

from manage_api.command.tunnel_client import PROGRAMS, TunnelClient, TunnelError, choose

TARGET = "http://127.0.0.1:8787"

CLOUDFLARED = """\
2026-01-16T08:32:54Z INF Thank you for trying Cloudflare Tunnel. Doing so, without a Cloudflare account, is a quick way. If you intend to use Tunnels in production you should use a pre-created named tunnel by following: https://developers.cloudflare.com/cloudflare-one/connections/connect-apps
2026-01-16T08:32:54Z INF Requesting new quick Tunnel on trycloudflare.com...
2026-01-16T08:32:58Z INF +-----------------------------------------------------------------+
2026-01-16T08:32:58Z INF |  Your quick Tunnel has been created! Visit it at (it may take   |
2026-01-16T08:32:58Z INF |  https://oklahoma-solo-younger-truck.trycloudflare.com          |
2026-01-16T08:32:58Z INF +-----------------------------------------------------------------+
2026-01-16T08:32:59Z INF Registered tunnel connection connIndex=0 location=del04 protocol=quic
"""

TAILSCALE = """\
Available on the internet:

https://desk.tail1a2b3.ts.net/
|-- proxy http://127.0.0.1:8787

Press Ctrl+C to exit.
"""

NOT_ENABLED = """\
Funnel is not enabled on your tailnet.
To enable, visit:

         https://login.tailscale.com/f/funnel?node=nWNmPtVzjN11CNTRL
"""

NGROK = """\
{"addr":"127.0.0.1:4040","lvl":"info","msg":"starting web service","obj":"web"}
{"lvl":"info","msg":"client session established","obj":"tunnels.session"}
{"addr":"http://127.0.0.1:8787","lvl":"info","msg":"started tunnel","name":"command_line","obj":"tunnels","url":"https://8e00-35-197-38-167.ngrok-free.app"}
"""


def installed(*names: str) -> dict[str, str]:
    return {name: f"/bin/{name}" for name in names}


def chosen(wanted: str = "", *names: str, name: str = "", url: str = "") -> TunnelClient:
    """What is chosen where these are installed, all by default."""
    find = installed(*(names or PROGRAMS)).get
    return choose(wanted, target=TARGET, name=name, url=url, find=find)


@pytest.mark.parametrize(
    ("program", "output", "urls"),
    [
        ("cloudflared", CLOUDFLARED, ["https://oklahoma-solo-younger-truck.trycloudflare.com"]),
        ("tailscale", TAILSCALE, ["https://desk.tail1a2b3.ts.net"]),
        ("tailscale", NOT_ENABLED, []),
        ("ngrok", NGROK, ["https://8e00-35-197-38-167.ngrok-free.app"]),
        ("ngrok", "ERROR:  authentication failed: https://ngrok.com/signup", []),
    ],
)
def test_the_url_is_read_from_what_the_program_prints(
    program: str, output: str, urls: list[str]
) -> None:
    client = chosen(program)
    assert [url for line in output.splitlines() if (url := client.url_in(line))] == urls


@pytest.mark.parametrize("program", PROGRAMS)
def test_whichever_is_installed_is_taken(program: str) -> None:
    client = chosen("", program)
    assert (client.program, client.command[0]) == (program, f"/bin/{program}")
    assert TARGET in client.command


def test_a_quick_tunnel_says_what_it_can_not_do() -> None:
    assert all(word in chosen("cloudflared").note for word in ("changes", "200", "buffers"))


def test_a_named_tunnel_has_the_address_that_belongs_to_it() -> None:
    client = chosen("", name="home", url="ai.example.com")
    assert client.command == (
        *("/bin/cloudflared", "tunnel", "--no-autoupdate", "run", "--url", TARGET, "home"),
    )
    assert (client.url, client.note) == ("https://ai.example.com", "")


def test_an_address_of_ones_own_without_a_name_is_ngroks() -> None:
    client = chosen("", url="ai.example.com")
    assert client.program == "ngrok"
    assert client.command[-2:] == ("--url", "https://ai.example.com")
    assert "changes" not in client.note


def test_when_none_is_installed_it_says_how_to_install_each() -> None:
    with pytest.raises(TunnelError) as caught:
        choose("", target=TARGET, find={}.get)
    assert all(program in str(caught.value) for program in PROGRAMS)


@pytest.mark.parametrize(
    ("wanted", "name", "url", "said"),
    [
        ("cloudflared", "home", "", "PUBLIC_URL"),
        ("cloudflared", "", "ai.example.com", "cloudflared tunnel create"),
        ("tailscale", "", "ai.example.com", "own name"),
        ("tailscale", "home", "", "no named tunnels"),
        ("ngrok", "home", "ai.example.com", "no named tunnels"),
        ("ngrok", "", "https://ai.example.com/v1", "must end after the host"),
    ],
)
def test_what_a_program_can_not_do_is_refused_with_the_remedy(
    wanted: str, name: str, url: str, said: str
) -> None:
    with pytest.raises(TunnelError, match=said):
        chosen(wanted, name=name, url=url)


def test_a_program_that_is_asked_for_and_not_there_is_named() -> None:
    with pytest.raises(TunnelError, match="ngrok is not installed"):
        chosen("ngrok", "cloudflared")
