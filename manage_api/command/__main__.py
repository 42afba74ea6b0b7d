"""`python -m manage_api.command FD`: what of a launcher stays, with the plan that it has left in
an open file.
"""

import sys

if len(sys.argv) == 2:
    # It makes no connections, and asyncio works without TLS, whose libraries would be a quarter
    # of this process. Only a tunnel is asked for by https.
    sys.modules["ssl"] = None  # type: ignore[assignment]

from manage_api.command.resident import exit_status, received, stay

if code := stay(received(int(sys.argv[1]))):
    sys.exit(exit_status(code))
