"""The head of the panel: which server answers, and which model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from vig_notebook.engine import engine
from vig_notebook.errors import VigthoriaError
from vig_notebook.notebook.words import badge, error_text
from vig_notebook.render import escape_text
from vig_notebook.servers import models

if TYPE_CHECKING:
    from vig_notebook.notebook.panel.panel import Panel
    from vig_notebook.servers import Server

__all__ = ["Head"]

MOST_MODELS = 500
"""A router lists some hundreds; more would weigh down the page and help nobody to choose."""


class Head:
    """Server and model. The list of models comes in the background; any name may be typed meanwhile."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._server = widgets.HTML()
        self._model = widgets.Combobox(
            value=panel.form.model,
            description="Model",
            ensure_option=False,
            continuous_update=False,
            layout=widgets.Layout(width="auto"),
        )
        self._model.add_class("vig-field")
        self._model.observe(self._take, "value")
        self._hint = widgets.HTML()
        self.widget = widgets.VBox([self._server, self._model, self._hint])
        self.widget.add_class("vig-head")
        self._look_up()

    def _take(self, change: dict[str, str]) -> None:
        self._panel.form.model = change["new"]

    def _look_up(self) -> None:
        try:
            server = self._panel.server()
        except VigthoriaError as error:
            self._say(error_text(error))
            return
        endpoint = server.endpoint
        mark = badge(endpoint)
        words = escape_text(": ".join(filter(None, (endpoint.name, endpoint.note))))
        shown = (f'<span class="vig-badge">{mark}</span> ' if mark else "") + words
        self._server.value = f'<div class="vig-status">{shown}</div>'
        self._model.placeholder = endpoint.default_model
        if endpoint.kind == "local":  # asking would start its process, which only a question should
            self._model.options = (endpoint.default_model,)
        else:
            engine().run(self._list(server))

    async def _list(self, server: Server) -> None:
        try:
            names = await models(server)
        except VigthoriaError:
            self._say("The server did not list its models: type the name of one.")
            return
        self._model.options = tuple(dict.fromkeys(names))[:MOST_MODELS]

    def _say(self, text: str) -> None:
        self._hint.value = f'<div class="vig-note">{escape_text(text)}</div>'
