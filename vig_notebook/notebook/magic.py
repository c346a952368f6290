"""The `%%vigthoria` cell magic and the `%vigthoria` line commands: parse, start, show."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from IPython.display import display
from traitlets import Enum, Float, Int, Unicode

from vig_notebook.answers import first_code_block
from vig_notebook.api import question
from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.commands import run_command
from vig_notebook.notebook.defaults import server_choice, settings_of
from vig_notebook.notebook.dry_run import request_bundle
from vig_notebook.notebook.options import cell_options, is_grid, parse_line, parser_of, text_or_file
from vig_notebook.notebook.show import FrontEnd, front_end, show
from vig_notebook.notebook.variables import user_variables
from vig_notebook.notebook.words import error_card, error_text
from vig_notebook.render import escape_text
from vig_notebook.run import Run, RunState
from vig_notebook.store import GOES_ON, continue_chat, fork_chat
from vig_notebook.templates import render_template

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

    from vig_notebook.api import Question
    from vig_notebook.chats import Chat
    from vig_notebook.notebook.record import Format

__all__ = ["Vigthoria"]


@magics_class
class Vigthoria(Magics):
    """The magic and its settings; `%config Vigthoria` shows and sets them, a cell's own options go first."""

    model = Unicode(None, allow_none=True, help="The model; by default the one of the server.").tag(config=True)
    system = Unicode(None, allow_none=True, help="The system prompt.").tag(config=True)
    temperature = Float(None, allow_none=True, help="How free the choice of words is; 0 is least.").tag(config=True)
    max_tokens = Int(None, allow_none=True, help="The longest answer, in tokens.").tag(config=True)
    top_p = Float(None, allow_none=True, help="Choose among the likeliest words of this share.").tag(config=True)
    seed = Int(None, allow_none=True, help="Asks for the same answer again.").tag(config=True)
    format = Enum(("markdown", "text", "code", "json"), "markdown", help="How answers are shown.").tag(config=True)
    base_url = Unicode(None, allow_none=True, help="Another server than the settings choose.").tag(config=True)
    key_env = Unicode(None, allow_none=True, help="Environment variable that holds its key.").tag(config=True)
    profile = Unicode(None, allow_none=True, help="A profile of the settings file.").tag(config=True)

    @no_var_expand
    @line_cell_magic
    @cell_options
    def vigthoria(self, line: str, cell: str | None = None) -> object:
        """Send the cell to a language model; the answer streams into the cell, and Stop stops it.

        A first cell::

            %%vigthoria --out poem
            Write a poem about {{ topic }}

        `{{ topic }}` is the text of your variable; `{{ df.head() }}` works too. Single braces are text.
        The cell returns at once and others can run meanwhile. `poem` is the run: `poem.text` waits for
        the whole text, `poem.text_so_far` does not, `poem.stop()` stops it, `await poem` awaits it, and
        `{{ poem }}` in a later prompt puts the answer there. ■ stops every answer.

        A conversation, a reproducible answer, JSON, code::

            %%vigthoria --chat planning --system "You are a patient teacher"
            %%vigthoria --chat other --fork planning
            %%vigthoria --model vigthoria-creative-v2 --temperature 0 --seed 7 --max-tokens 300
            %%vigthoria --format json --out answer          (then: answer.json())
            %%vigthoria --format code                       (the code comes in the next cell)
            %%vigthoria --param presence_penalty=0.5 --dry-run

        A grid, where a value has a comma or there is data: every variant streams side by side::

            %%vigthoria --model a,b --temperature 0,0.9 --repeats 3 --out grid
            %%vigthoria --name short --data tickets --limit 20 --score exact:label

        A line `---` stands between two prompts. `grid` is the experiment: `grid.df`, `grid.compare()`,
        `grid.stop()`. With --name each edited cell is the prompt's next version: running it again opens with
        the differences to the version before, the examples that flipped and the verdict.

        On a line of its own::

            %vigthoria                 which server answers, which model, what is running
            %vigthoria models          the models of the server
            %vigthoria stop            stop every answer
            %vigthoria panel           a chat panel; --chat NAME goes on with a conversation
            %vigthoria reset NAME      forget a conversation
            %vigthoria history WORDS   what was asked and answered, also before the kernel was restarted; --model,
                                       --since 2d, --state failed, --chat NAME, --limit N
            %vigthoria show ID         an answer of the history again; also: rerun ID --model NAME, forget ID
            %vigthoria resume          what was interrupted when a kernel died
            %vigthoria replay on FILE  keep answers beside the notebook and give them again; also: only, off
            %vigthoria log PATH        keep the log there; log off keeps none; also: export FILE, import FILE
            %vigthoria set model=NAME  a default for the cells that follow; see also %config Vigthoria
            %vigthoria profile NAME    ask the server of this profile; alone, the list; `profile -` goes back
            %vigthoria doctor          check server, key, TLS, model, first token and versions, and say what to do
            %vigthoria local           start the small model on this machine; also: local stop, local install,
                                       local remove, local status, local --gguf FILE --context-size N
            %vigthoria versions NAME   the versions of a prompt, with their scores; also: diff v1 NAME, use NAME@v2
            %vigthoria compare NAME    what an experiment shows; also: rate NAME v1 --blind, plan NAME, show NAME,
                                       resume NAME, export NAME FILE
            %vigthoria help            this page
        """
        if cell is None:
            run_command(self, line)
            return None
        options = parse_line(parser_of(type(self).vigthoria), line)
        if is_grid(options):
            waiting = self._grid(options, line, cell)
        else:
            wants_code = (options.format or self.format) == "code"
            waiting = _Waiting(self._ask(options, cell), self, wants_code=wants_code)
        return waiting if self._waits(options) else None

    def awaited(self, lines: list[str]) -> list[str]:
        """Let a cell that waits be awaited, so that its Stop button is heard meanwhile; an input transformer.

        IPython does not await what a magic returns, so `await` is put before the call that it makes of
        a `%%vigthoria` cell with `--wait`, or with `--format code`: a next cell is taken only from one that ends.
        Other cells stay as they are: an awaited one cannot run inside another magic's cell.
        """
        call = "get_ipython().run_cell_magic('vigthoria', "
        if not lines or not lines[0].startswith(call):
            return lines
        try:
            line = ast.literal_eval("(" + "".join(lines).rstrip()[len(call) :].removesuffix(")") + ")")[0]
            waits = self._waits(parse_line(parser_of(type(self).vigthoria), line))
        except (UsageError, SyntaxError, ValueError):
            return lines  # the magic itself says what is wrong
        return ["await " + lines[0], *lines[1:]] if waits else lines

    def _waits(self, options: argparse.Namespace) -> bool:
        """Whether the cell ends with its answer, and so returns something to await."""
        return bool(options.wait) or (not is_grid(options) and (options.format or self.format) == "code")

    @property
    def _shell(self) -> Any:
        return self.shell

    @property
    def _names(self) -> dict[str, Any]:
        return self._shell.user_ns  # type: ignore[no-any-return]  # the user's variables, as IPython holds them

    def _ask(self, options: argparse.Namespace, cell: str) -> Run | None:
        """Take the steps of a cell; what is wrong with the prompt or the settings becomes a card."""
        try:
            chat, labels = self._chat(options)
            asked = self._question(options, cell, chat)
            if options.dry_run:
                show_request(asked)
                return None
            form = cast("Format", options.format or self.format)
            return show(asked, self._shell, form=form, chat=chat, labels=labels, out=options.out)
        except VigthoriaError as error:
            show_error(error)
            self._forget(options.out)
            return None
        except KeyboardInterrupt:  # without the twenty frames in which it waited
            raise KeyboardInterrupt("the answer is stopped, what had come is kept") from None

    def _grid(self, options: argparse.Namespace, line: str, cell: str) -> object:
        """Take the steps of a cell that compares; see `tuning_cell`."""
        from vig_notebook.notebook.tuning_cell import GridWaiting, run_grid

        try:
            experiment = run_grid(self, options, line, cell, self._shell)
        except VigthoriaError as error:
            show_error(error)
            self._names.pop(options.out, None)
            return _Waiting(None, self, wants_code=False)
        if options.out:
            self._names[options.out] = experiment
        return GridWaiting(experiment)

    def _chat(self, options: argparse.Namespace) -> tuple[Chat | None, dict[str, str]]:
        """The conversation that the cell goes on with, and the label of one that comes from the log."""
        if not options.chat:
            if options.new or options.fork:
                raise UsageError("--new and --fork begin a conversation: give its name with --chat")
            return None, {}
        # A program runs a notebook from its top: a conversation that grew with each night's run would be another.
        anew = options.new or options.fork or front_end(self._shell) is FrontEnd.HEADLESS
        chat, turns = continue_chat(options.chat, anew=bool(anew))
        if options.dry_run:
            return chat, {}
        if options.fork:
            fork_chat(options.fork, chat)
        elif options.new:
            chat.reset()
        return chat, {GOES_ON: str(turns)} if turns else {}

    def _question(self, options: argparse.Namespace, cell: str, chat: Chat | None) -> Question:
        prompt = cell.rstrip("\n")
        if not options.raw:
            names = user_variables(self._shell)
            prompt = render_template(prompt, names.__getitem__, known=names)
        system = text_or_file(self.system if options.system is None else options.system)
        if chat is not None and not options.dry_run:
            chat.system = system or chat.system
        return question(
            prompt,
            model=options.model or self.model,
            system=system,
            chat=chat,
            parameters=self._parameters(options),
            **server_choice(vars(options), settings_of(self)),
        )

    def _parameters(self, options: argparse.Namespace) -> dict[str, object]:
        """The members of the request: the cell's own options before the defaults."""
        given = {name: _first(getattr(options, name), getattr(self, name)) for name in DEFAULTED}
        return {**given, "stop": options.stop_sequence, **dict(options.param or ())}

    def _forget(self, name: str | None) -> None:
        """Take away an older run of that name: it must not pass for the answer that did not come."""
        if name and isinstance(self._names.get(name), Run):
            del self._names[name]

    def offer_code(self, run: Run) -> None:
        """Put the first code block of a whole answer into the next cell, or say that there is none."""
        code = first_code_block(run.text_so_far)
        if code is not None:
            self._shell.set_next_input(code)
        elif run.state is RunState.DONE:  # a card or the word "stopped" says enough of another
            show_note("The answer has no whole code block: nothing was put into the next cell.")


DEFAULTED = ("temperature", "max_tokens", "top_p", "seed")
"""Members of the request that have a default in the magic's settings."""


class _Waiting:
    """What a cell that waits returns: awaiting it shows nothing and gives None."""

    def __init__(self, run: Run | None, magic: Vigthoria, *, wants_code: bool) -> None:
        self._run = run
        self._magic = magic
        self._wants_code = wants_code

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        if self._run is None:
            return
        try:
            await self._run.ended()
        except BaseException:  # the cell was interrupted, which IPython makes a cancellation
            self._run.stop()
            raise
        if self._wants_code:
            self._magic.offer_code(self._run)

    def __repr__(self) -> str:
        return ""


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)


def show_request(asked: Question) -> None:
    """Display the exact request, the key masked; sends nothing."""
    display(request_bundle(asked), raw=True)


def show_error(error: VigthoriaError) -> None:
    """Display an error card."""
    display({"text/html": error_card(error), "text/plain": error_text(error)}, raw=True)


def show_note(words: str) -> None:
    """Display a quiet line below an answer."""
    html = f'<div class="vig-answer"><div class="vig-note">{escape_text(words)}</div></div>'
    display({"text/html": html, "text/plain": words}, raw=True)
