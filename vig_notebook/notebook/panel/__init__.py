"""The panel: a chat and a prompt bench below a cell.

```
┌ Panel ─────────────────────────────────────────────────────────┐
│ [demo] the scripted demo server                                │  which server answers
│ Model [____________▾]   hint                                   │  Combobox: any name may be typed
│ ▸ Parameters                                                   │  Drawer: system prompt, temperature, …
│ ┌ Conversation ──────────────────────────────────────────────┐ │
│ │ You / Answer / [Edit] [Regenerate] [Copy] [Code to cell] … │ │  ConversationView of TurnViews
│ └────────────────────────────────────────────────────────────┘ │
│ notice: an error card, or the request before it is sent [Close]│  Output
│ 2 turns · 512 tokens of context                                │  or, while it streams, state and times
│ ┌────────────────────────────────────────────────────────────┐ │
│ │ prompt                                                     │ │  PromptBox (anywidget)
│ └────────────────────────────────────────────────────────────┘ │
│ [Send] [Stop] [Preview]                                        │
│ [Take out as cells] [Take out as Python] [Clear]               │
└────────────────────────────────────────────────────────────────┘
record: the same conversation as plain HTML, five turns a display; hidden while the panel lives
```

`panel` holds the conversation and asks; `view` is the widgets; `turns`, `form`, `prompt` are its parts; `saved` is
the record, `export` what is taken out. Callbacks come on any thread: they start and stop runs. Everything that is
painted is painted on the streaming thread.
"""

from __future__ import annotations

from vig_notebook.notebook.panel.panel import Panel

__all__ = ["Panel"]
