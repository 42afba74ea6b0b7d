"""`python -m manage_api.command FD TUNNEL …`: what of a launcher stays, with the plan that it has
left in an open file; what follows says in lists of processes what was started.
"""

import sys

if sys.argv[2] == "without-tunnel":
    # It makes no connections, and asyncio works without TLS, whose libraries would be a quarter
    # of this process. Only a tunnel is asked for by https.
    sys.modules["ssl"] = None  # type: ignore[assignment]

from manage_api.command.resident import exit_status, received, stay

if code := stay(received(int(sys.argv[1]))):
    sys.exit(exit_status(code))
