"""`python -m vig_notebook "prompt"`: the answer on standard output, as it comes.

The prompt comes from the words of the command line, or from standard input; with both, what is piped in
stands below the words. Exit code 0 for a whole answer, 1 for one that failed, 2 for a bad call, 130 for Ctrl+C.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from vig_notebook.api import question, stream
from vig_notebook.errors import ConfigError, VigthoriaError
from vig_notebook.render import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED, BAD_CALL, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str]) -> int:
    """Ask, and print the answer. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _print_answer(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the answer has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigError as error:
        return _complain(error, BAD_CALL)
    except VigthoriaError as error:
        return _complain(error, FAILED)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vig_notebook", description=__doc__.splitlines()[0])
    parser.add_argument("prompt", nargs="*", help="what to ask; what is piped in stands below it")
    parser.add_argument("--model", "-m", help="the model; by default the one of the server")
    parser.add_argument("--system", "-s", help="the system prompt")
    parser.add_argument("--temperature", "-t", type=float, help="how free the choice of words is; 0 is least")
    parser.add_argument("--max-tokens", type=int, help="the longest answer, in tokens")
    parser.add_argument("--base-url", help="another server; it gets no key unless --key-env names one")
    parser.add_argument("--key-env", help="the environment variable that holds the key")
    parser.add_argument("--profile", help="a profile of the settings file")
    return parser


def _print_answer(options: argparse.Namespace) -> None:
    asked = question(
        _prompt(options.prompt),
        model=options.model,
        system=options.system,
        base_url=options.base_url,
        key_env=options.key_env,
        profile=options.profile,
        parameters={"temperature": options.temperature, "max_tokens": options.max_tokens},
    )
    if asked.server.endpoint.kind == "demo":
        print(f"[{asked.server.endpoint.name}: set VIGTHORIA_API_KEY to ask Vigthoria]", file=sys.stderr)
    # A terminal obeys the escape codes that a model writes; a file or a pipe takes the text as it is.
    shown = visible if sys.stdout.isatty() else str
    try:
        for piece in stream(asked):
            sys.stdout.write(shown(piece))
            sys.stdout.flush()
    finally:
        print(flush=True)


def _prompt(words: list[str]) -> str:
    piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    return "\n\n".join(filter(None, [" ".join(words), piped.strip()]))


def _complain(error: VigthoriaError, code: int) -> int:
    print(f"vig_notebook: {visible(str(error))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
