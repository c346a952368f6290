"""``python -m vig_notebook.demo [--port N] [--pace N]``: the demo server on its own, until Ctrl+C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import suppress

from vig_notebook.demo import DemoServer
from vig_notebook.errors import ConfigError

_HELLO = """\
Demo server: scripted answers, no model. Ctrl+C ends it.

  address  {base_url}
  key      {token}

Try it:

curl {base_url}/chat/completions \\
  -H "Authorization: Bearer {token}" \\
  -H "Content-Type: application/json" \\
  -d '{{
    "model": "vigthoria-creative-v2",
    "messages": [{{"role": "user", "content": "Write a poem about technology"}}],
    "stream": true
  }}'
"""


def main() -> int:
    """Run the server; give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m vig_notebook.demo", description="Run the scripted demo server on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument(
        "--pace", type=float, help="tokens per second, 0 is as fast as it goes (default: VIG_DEMO_PACE or 40)"
    )
    options = parser.parse_args()
    try:
        asyncio.run(_serve(DemoServer(pace=options.pace, port=options.port)))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, OverflowError) as error:
        print(
            f"The demo server cannot listen on port {options.port} ({error}). Choose another --port.", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:  # where the loop takes no signal handlers
        return 130
    return 0


async def _serve(server: DemoServer) -> None:
    ended = asyncio.Event()
    with suppress(NotImplementedError):
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, ended.set)
    await server.start()
    try:
        print(_HELLO.format(base_url=server.base_url, token=server.token), flush=True)
        await ended.wait()
    finally:
        await server.stop()


if __name__ == "__main__":
    sys.exit(main())
