"""Conversations: their tree of turns, their names in this kernel, their file and their table."""

from __future__ import annotations

from vig_notebook.chats.past import Past
from vig_notebook.chats.tree import Chat, Context, Outcome, Turn, named_chat, named_chats

__all__ = ["Chat", "Context", "Outcome", "Past", "Turn", "named_chat", "named_chats"]
