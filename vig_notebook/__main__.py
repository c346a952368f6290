"""`python -m vig_notebook "prompt"`: the answer on standard output, as it comes.

The prompt comes from the words of the command line, or from standard input; with both, what is piped in
stands below the words. What else there is to say goes to standard error.

====  ==========================================================
0     the answer is whole, or whoever read it has enough
1     it failed; what had come is on standard output
2     a bad call or setting: nothing was sent
130   Ctrl+C; what had come is on standard output
====  ==========================================================
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from contextlib import closing
from io import TextIOWrapper
from typing import TYPE_CHECKING

from vig_notebook.errors import ConfigError, VigthoriaError, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vig_notebook.api.printing import Echo
    from vig_notebook.settings import Endpoint

FAILED, BAD_CALL, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str]) -> int:
    """Ask, and print the answer. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _print_answer(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the answer has enough
        _drop_output()
        return 0
    except OSError as error:  # only standard input and output are files here
        _drop_output()
        return _complain(f"standard input or output failed: {error.strerror}.", FAILED)
    except ConfigError as error:
        return _complain(str(error), BAD_CALL)
    except VigthoriaError as error:
        return _complain(str(error), FAILED)
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
    # Imported here, where Ctrl+C is expected: it is most of the time that a start takes.
    from vig_notebook.api import question, stream
    from vig_notebook.api.printing import Echo, tell_wait

    _prepare_output()
    asked = question(
        _prompt(options.prompt),
        model=options.model,
        system=options.system,
        base_url=options.base_url,
        key_env=options.key_env,
        profile=options.profile,
        parameters={"temperature": options.temperature, "max_tokens": options.max_tokens},
    )
    _say_who_answers(asked.server.endpoint)
    with closing(stream(asked, on_wait=tell_wait)) as pieces:
        _print(pieces, Echo(asked.server.endpoint.api_key))


def _print(pieces: Iterable[str], echo: Echo) -> None:
    """Print the pieces as they come, and end the last line, also when they end in an error."""
    try:
        for piece in pieces:
            echo.write(piece)
    finally:
        echo.end()


def _prepare_output() -> None:
    if sys.stdout is None:  # closed by whoever started this
        raise OSError(errno.EBADF, "there is no standard output")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an encoding that lacks a letter loses the letter alone


def _drop_output() -> None:
    """Send what is still to be written nowhere: Python would try again at its end, and complain."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prompt(words: list[str]) -> str:
    return "\n\n".join(filter(None, [" ".join(words), _piped().strip()]))


def _piped() -> str:
    """What is piped in: UTF-8 whatever the locale, and else what the locale says."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(sys.stdin.encoding, "replace")


def _say_who_answers(endpoint: Endpoint) -> None:
    if endpoint.kind in {"demo", "local"}:
        print(f"[{endpoint.name}: set VIGTHORIA_API_KEY to ask Vigthoria]", file=sys.stderr)


def _complain(sentence: str, code: int) -> int:
    # Not `render.visible`, which is most of what there is to import: an error is one line.
    print(f"vig_notebook: {excerpt(sentence, max_chars=2000)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
