"""The line commands of `%vigthoria`, each by its word; the larger ones have modules of their own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Protocol

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.display import display

from vig_notebook.chats import named_chats
from vig_notebook.engine import engine
from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.doctor import run_doctor
from vig_notebook.notebook.history_commands import run_history, run_rerun, run_resume, run_show
from vig_notebook.notebook.local_commands import run_local
from vig_notebook.notebook.log_commands import run_export, run_forget, run_import, run_log_command, run_replay
from vig_notebook.notebook.options import nearest
from vig_notebook.notebook.profile_commands import run_profile
from vig_notebook.notebook.set_command import held, run_set
from vig_notebook.notebook.words import error_text, facts
from vig_notebook.render import visible
from vig_notebook.servers import choose, models
from vig_notebook.store import forget_chat, run_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from vig_notebook.servers import Server

__all__ = ["COMMANDS", "chosen_server", "known_models", "run_command"]

MODELS_LIMIT_S = 15.0
"""How long `%vigthoria models` waits: the list is short, and a person is looking at the cell."""

LONGEST_NAME = 200
"""Characters of a model's name that are printed: the server chooses them."""


class Defaults(Protocol):
    """The settings of the magic that a command reads or sets."""

    model: Any
    base_url: Any
    key_env: Any
    profile: Any

    def trait_names(self, **metadata: Any) -> list[str]:
        """The names of the settings."""

    def set_trait(self, name: str, value: Any) -> None:
        """Set one of them."""

    def traits(self) -> dict[str, Any]:
        """The settings with their kinds and defaults."""


def run_command(magic: Defaults, line: str) -> None:
    """Run a line command.

    Raises:
        UsageError: There is no such command, or it was not given what it needs.
    """
    try:
        word, *words = shlex.split(line) or ["status"]
    except ValueError as error:
        raise UsageError(f"the line cannot be read: {str(error).lower()}; check the quotes") from None
    command = COMMANDS.get(word)
    if command is None:
        raise UsageError(_unknown(word))
    if words and word in ALONE:
        raise UsageError(f"{word} stands alone; what is {words[0]!r} meant to be?")
    try:
        command(magic, words)
    except VigthoriaError as error:
        raise UsageError(error_text(error)) from None


def chosen_server(magic: Defaults) -> Server:
    """The server that a cell without options would ask.

    Raises:
        ConfigError: The settings are wrong.
    """
    return choose(base_url=magic.base_url, key_env=magic.key_env, profile=magic.profile)


def known_models(magic: Defaults) -> list[str]:
    """The models of the server as last seen; asks for them in the background when they were not seen yet."""
    try:
        server = chosen_server(magic)
    except VigthoriaError:
        return []
    kept, name = engine().kept, _models_of(server)
    if name not in kept:
        kept[name] = engine().run(_quiet_models(server))
    future = kept[name]
    return future.result() if future.done() else []  # type: ignore[attr-defined]  # what this function keeps


def _models_of(server: Server) -> str:
    """The name under which the engine keeps a server's models; our own servers have another address each time."""
    return f"models {server.endpoint.name if server.connect else server.endpoint.base_url}"


async def _quiet_models(server: Server) -> list[str]:
    try:
        return await models(server)
    except VigthoriaError:
        return []  # completion is no place to complain


def _unknown(word: str) -> str:
    if word.startswith("-"):
        return "options belong to a cell: start it with %%vigthoria, the prompt in the lines below"
    near = nearest(word, COMMANDS)
    return f"there is no command {word!r}{f'; did you mean {near}?' if near else '; see %vigthoria help'}"


def _status(magic: Defaults, _words: list[str]) -> None:
    endpoint = chosen_server(magic).endpoint
    if own := endpoint.kind in {"demo", "local"}:
        key = "none is needed (set VIGTHORIA_API_KEY before Jupyter starts to ask Vigthoria)"
    else:
        key = "set, and sent to this server alone" if endpoint.api_key is not None else endpoint.note or "not set"
    address = f" ({endpoint.base_url})" if endpoint.base_url else ""
    lines = [
        f"server  {endpoint.name}{f': {endpoint.note}' if own else ''}{address}",
        f"model   {magic.model or endpoint.default_model}",
        f"key     {key}",
    ]
    if settings := held(magic):
        lines.append(f"set     {', '.join(settings)}")
    runs = engine().runs
    lines.append(f"runs    {len(runs)} under way" + (", stop them with %vigthoria stop" if runs else ""))
    lines += [f"        {' · '.join(filter(None, facts(run)))}" for run in runs]
    if chats := [f"{chat.name} ({len(chat.turns)} turns)" for chat in named_chats() if chat.turns]:
        lines.append(f"chats   {', '.join(chats)}")
    if (now := run_log().replaying).mode != "off":
        lines.append(f"replay  {now.mode}, from {now.file or 'the run log'}")
    if warning := run_log().warning:
        lines.append(f"log     {warning}")
    _say("\n".join(lines))


def _help(_magic: Defaults, _words: list[str]) -> None:
    get_ipython().run_line_magic("pinfo", "%vigthoria")


def _stop(_magic: Defaults, _words: list[str]) -> None:
    stopped = engine().stop_all()
    for run in stopped:
        run.wait(MODELS_LIMIT_S)
    _say(f"stopped {len(stopped)} {'run' if len(stopped) == 1 else 'runs'}; what had come is kept")


def _models(magic: Defaults, _words: list[str]) -> None:
    server = chosen_server(magic)
    future = engine().run(models(server))
    try:
        names = future.result(MODELS_LIMIT_S)
    except TimeoutError:
        raise UsageError(f"{server.endpoint.name} did not list its models within {MODELS_LIMIT_S:.0f} s") from None
    finally:
        future.cancel()
    engine().kept[_models_of(server)] = future
    _say(
        "\n".join(visible(name[:LONGEST_NAME]) for name in names)
        if names
        else "the server lists no models; any name can be given with --model"
    )


def _reset(_magic: Defaults, words: list[str]) -> None:
    names = [chat.name for chat in named_chats()]
    if len(words) != 1:
        raise UsageError(f"reset wants the name of one chat; there {_are(names)}")
    if not forget_chat(words[0]) and words[0] not in names:
        raise UsageError(f"there is no chat {words[0]!r}; there {_are(names)}")
    _say(f"the chat {words[0]} begins anew")


def _panel(_magic: Defaults, words: list[str]) -> None:
    if words and (words[0] != "--chat" or len(words) != 2):
        raise UsageError("panel takes nothing but --chat NAME")
    from vig_notebook.notebook.panel import Panel  # its widgets are imported when there is a panel

    display(Panel(chat=words[1] if words else None))


def _set(magic: Defaults, words: list[str]) -> None:
    run_set(magic, words, _say)


def _profile(magic: Defaults, words: list[str]) -> None:
    run_profile(magic, words, _say)


def _doctor(magic: Defaults, _words: list[str]) -> None:
    run_doctor(magic, _say)


def _local(_magic: Defaults, words: list[str]) -> None:
    run_local(words, _say)


def _are(names: list[str]) -> str:
    return f"are {', '.join(names)}" if names else "is none yet"


def _say(text: str) -> None:
    print(text)  # noqa: T201  a line command answers in the cell


def _quiet(command: Callable[[list[str], Callable[[str], None]], None]) -> Callable[[Defaults, list[str]], None]:
    """A command that needs nothing of the magic."""
    return lambda _magic, words: command(words, _say)


def _tuning_or(word: str, other: Callable[[Defaults, list[str]], None]) -> Callable[[Defaults, list[str]], None]:
    """A command on a named prompt; where the first word names none, it is one on the run log."""

    def run(magic: Defaults, words: list[str]) -> None:
        (_tuning(word) if words and _is_prompt(words[0]) else other)(magic, words)

    return run


def _is_prompt(name: str) -> bool:
    from vig_notebook.notebook.tuning_commands import is_prompt

    return is_prompt(name)


def _tuning(word: str) -> Callable[[Defaults, list[str]], None]:
    """A command on named prompts; its room is imported when it is used."""

    def run(magic: Defaults, words: list[str]) -> None:
        from vig_notebook.notebook.tuning_commands import run_tuning

        run_tuning(word, words, _say, magic)

    return run


ALONE = ("status", "help", "stop", "models", "doctor")
"""Commands that take nothing more: what is written behind them is a misunderstanding."""

TUNING = ("compare", "diff", "holdout", "plan", "rate", "use", "versions")

COMMANDS: dict[str, Callable[[Defaults, list[str]], None]] = {
    "status": _status,
    "help": _help,
    "stop": _stop,
    "models": _models,
    "panel": _panel,
    "history": run_history,
    "show": _tuning_or("show", run_show),
    "rerun": run_rerun,
    "resume": _tuning_or("resume", run_resume),
    "forget": _quiet(run_forget),
    "export": _tuning_or("export", _quiet(run_export)),
    "import": _quiet(run_import),
    "log": _quiet(run_log_command),
    "replay": _quiet(run_replay),
    "reset": _reset,
    "set": _set,
    "profile": _profile,
    "doctor": _doctor,
    "local": _local,
    **{word: _tuning(word) for word in TUNING},
}
