"""The Python doors: `start`, `stream_chat` and `stream_chat_async`, and the two steps under every door.

`question` decides what is sent and to whom, and sends nothing; `ask` sends it. The cell magic, the panel and
the experiments take the same two steps.
"""

from vig_notebook.api.asking import Question, ask, question
from vig_notebook.api.doors import start, stream, stream_chat, stream_chat_async

__all__ = ["Question", "ask", "question", "start", "stream", "stream_chat", "stream_chat_async"]
