"""`python -m vig_notebook.local`: install, remove, look at, and serve the local model."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vig_notebook.errors import VigthoriaError
from vig_notebook.local.install import install, remove, status
from vig_notebook.local.serve import serve
from vig_notebook.local.server import CONTEXT_SIZE, LocalServer

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNTIL_INTERRUPTED_S = 365 * 86_400.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; give the exit status."""
    asked = _parser().parse_args(arguments)
    if asked.command == "serve" and asked.child:
        serve(sys.stdin, sys.stdout)
    try:
        if asked.command == "install":
            install(_tell)
        elif asked.command == "remove":
            remove(_tell)
        elif asked.command == "status":
            for line in status():
                _tell(line)
        else:
            asyncio.run(_serve(asked.gguf, asked.context_size, asked.threads))
    except VigthoriaError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vig_notebook.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="put the engine and the model into this environment (127 MB to download)")
    commands.add_parser("remove", help="take out what install put in place")
    commands.add_parser("status", help="say what is installed")
    server = commands.add_parser("serve", help="serve a model on 127.0.0.1 until interrupted")
    server.add_argument("--gguf", type=Path, help="a model file; else VIG_LOCAL_MODEL or the installed model")
    size_help = "tokens of a prompt and its answer"
    server.add_argument("--context-size", type=_positive, default=CONTEXT_SIZE, help=size_help)
    server.add_argument("--threads", type=_positive, help="at most, and by default, one less than there are cores")
    server.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


async def _serve(gguf: Path | None, context_size: int, threads: int | None) -> None:
    server = LocalServer(idle_timeout_s=_UNTIL_INTERRUPTED_S)
    try:
        endpoint = await server.start(gguf, context_size=context_size, threads=threads, on_status=_tell)
        _tell(f"{endpoint.name} listens; Ctrl-C ends it.")
        _tell(f"VIGTHORIA_BASE_URL={endpoint.base_url}")
        _tell(f"VIGTHORIA_API_KEY={endpoint.api_key.reveal() if endpoint.api_key else ''}")
        await asyncio.Event().wait()
    finally:
        await server.stop()


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
