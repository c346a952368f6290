"""`Panel`: the conversation, what is asked next, and who shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython import get_ipython
from IPython.display import display

from vig_notebook.api import ask, question
from vig_notebook.chats import Chat
from vig_notebook.notebook.defaults import magic_settings, server_choice
from vig_notebook.notebook.interrupt import watch_interrupts
from vig_notebook.notebook.panel.form import Form
from vig_notebook.notebook.panel.saved import bundle
from vig_notebook.notebook.show import FrontEnd, front_end, show_record
from vig_notebook.notebook.variables import user_variables
from vig_notebook.servers import choose
from vig_notebook.store import continue_chat
from vig_notebook.templates import render_template
from vig_notebook.wire.chat import Message

if TYPE_CHECKING:
    from vig_notebook.api import Question
    from vig_notebook.chats import Turn
    from vig_notebook.notebook.panel.view import PanelView
    from vig_notebook.run import Run
    from vig_notebook.servers import Server
    from vig_notebook.settings import Secret

__all__ = ["Panel"]


class Panel:
    """A chat panel; the last expression of a cell displays it.

    Its Python side goes with its buttons: `panel.send("…")` is Send, `panel.stop()` is Stop. Displayed twice,
    both views show the same; two panels are independent unless they share a named chat.

    Attributes:
        chat: The conversation: `messages`, `to_messages()`, `to_dataframe()`, `save(path)`, `load(path)`.
        last: The run that was started last, or None.
    """

    def __init__(
        self,
        *,
        chat: str | Chat | None = None,
        model: str | None = None,
        system: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        seed: int | None = None,
        stop: str | list[str] | None = None,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        key_env: str | None = None,
        profile: str | None = None,
    ) -> None:
        """Make a panel; nothing is shown, started or asked.

        What is not given begins as `%config Vigthoria` has it, where the extension is loaded.

        Args:
            chat: The name of a conversation, shared with `%%vigthoria --chat NAME`, or a conversation; by
                default a new one without a name.
            model: The model; by default the one of the server or its profile.
            system: The system prompt; by default that of the chat, if it has one.
            temperature: As the API's member of this name, as are the next four; each has a field in the panel.
            top_p: See the API.
            max_tokens: See the API.
            seed: See the API.
            stop: See the API.
            base_url: Another server than the settings choose.
            api_key: The key for that server.
            key_env: Name of the environment variable that holds the key.
            profile: Name of a profile in the settings file.
        """
        settings = magic_settings()
        self.chat = chat if isinstance(chat, Chat) else continue_chat(chat)[0] if chat else Chat("")
        self.chat.system = system or self.chat.system or settings.get("system")
        self.last: Run | None = None
        given = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed, "stop": stop}
        begun = {name: settings.get(name) if value is None else value for name, value in given.items()}
        self._form = Form.of(model=model or settings.get("model"), parameters=begun)
        server = {"base_url": base_url, "key_env": key_env, "profile": profile}
        self._server = server_choice(server, settings if api_key is None else {})
        self._api_key = api_key
        self._runs: list[Run] = []
        self._view: PanelView | None = None

    # What a user calls.

    def send(self, text: str) -> Run:
        """Send a prompt as the next turn. Returns at once.

        Where no person looks on it waits for the end, and the cell shows the answer's record, as one with
        `%%vigthoria` does.

        Args:
            text: The prompt; `{{ name }}` is filled in from the notebook's variables.

        Raises:
            ConfigError: The prompt, a field or the settings are wrong; nothing was sent.
        """
        run = self.ask(text, after=self.chat.current)
        shell = get_ipython()
        if shell is not None and front_end(shell) is not FrontEnd.PERSON:
            show_record(run)
        return run

    def stop(self) -> None:
        """Stop what comes in this conversation, from whatever door. The text that came is kept."""
        for run in self.running:
            run.stop()

    def freeze(self) -> None:
        """Replace the panel by its record, which reads without a kernel; stops what still runs."""
        self.stop()
        for run in self.running:
            run.wait()
        if self._view is not None:
            self._view.freeze()
            self._view = None

    # What the view calls.

    @property
    def form(self) -> Form:
        """The parameters."""
        return self._form

    @property
    def running(self) -> list[Run]:
        """What comes in this conversation and has not ended, oldest first; a cell may have asked it."""
        own = [run for run in self._runs if not run.state.ended]
        return sorted({*own, *self.chat.running}, key=lambda run: run.created_at)

    def has_started(self, run: Run) -> bool:
        """Whether this panel has asked what comes in a run, or what came last."""
        return run is self.last or run in self._runs

    @property
    def server_options(self) -> dict[str, str | None]:
        """What was given to choose the server; never a key."""
        return dict(self._server)

    def server(self) -> Server:
        """The server that a question would go to.

        Raises:
            ConfigError: The settings are wrong.
        """
        return choose(**self._server, api_key=self._api_key)

    def question(self, text: str, *, after: Turn | None, is_template: bool = True) -> Question:
        """What would be sent for a prompt; sends nothing.

        Args:
            text: The prompt.
            after: The turn that it follows; None begins anew.
            is_template: Fill in the notebook's variables.

        Raises:
            ConfigError: The prompt, a field or the settings are wrong.
        """
        prompt = fill_in(text) if is_template else text
        before = [message for turn in (after.path if after is not None else []) for message in turn.messages()]
        messages = [*before, Message(role="user", content=prompt)] if prompt.strip() else ""
        return question(
            messages,
            model=self._form.model.strip() or None,
            system=self.chat.system,
            api_key=self._api_key,
            parameters=self._form.parameters(),
            **self._server,
        )

    def ask(self, text: str, *, after: Turn | None, is_template: bool = True) -> Run:
        """Send a prompt as a turn that follows `after`; a branch where others follow it already.

        Raises:
            ConfigError: As `question`; nothing was sent.
        """
        asked = self.question(text, after=after, is_template=is_template)
        self.chat.current = after
        run = ask(asked, chat=self.chat)
        turn = self.chat.current
        if turn is not None and turn.run is run and turn.prompt != text:
            turn.source = text
        self.last = run
        self._runs = [*(one for one in self._runs if not one.state.ended), run]
        watch_interrupts()
        return run

    # How it is shown.

    def _ipython_display_(self) -> None:
        shell = get_ipython()
        if shell is None or front_end(shell) is not FrontEnd.PERSON:
            for run in self.running:
                run.wait()
            data, metadata = bundle(self.chat, self.chat.turns)
            display(data, raw=True, metadata=metadata)
            return
        if self._view is None or self._view.has_ended:
            from vig_notebook.notebook.panel.view import PanelView

            self._view = PanelView(self)
        self._view.display(shell)

    def __repr__(self) -> str:
        """A line about the panel; never waits."""
        return f"<Panel {self.chat.name or 'without a name'}, {len(self.chat.turns)} turns>"


def fill_in(text: str) -> str:
    """The prompt with the notebook's variables filled in.

    Raises:
        ConfigError: A variable does not exist or has no text, or the template is wrong.
    """
    shell: Any = get_ipython()
    names = user_variables(shell) if shell is not None else {}
    return render_template(text, names.__getitem__, known=names)
