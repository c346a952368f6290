"""The bytes of an answer: chunks of a stream, or one whole reply."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from vig_notebook.demo.tokens import estimate_tokens
from vig_notebook.wire.sse import ServerSentEvent, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vig_notebook.demo.answers import Answer
    from vig_notebook.demo.request import ChatBody

__all__ = ["DONE", "Reply"]

DONE = encode(ServerSentEvent(data="[DONE]"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answers to one request, one for each choice, and the members that all its chunks share."""

    body: ChatBody
    answers: Sequence[Answer]
    id: str
    created: int

    @property
    def length(self) -> int:
        """How many rows there are: the tokens of the longest answer."""
        return max(answer.tokens for answer in self.answers)

    def rows(self) -> Iterator[bytes]:
        """Give what is sent token by token: one row holds the next token of every choice, the first one the role too.

        The finish reasons, the usage and ``[DONE]`` are not among them: see `ending`.
        """
        start = b"".join(self._delta(index, {"role": "assistant", "content": ""}) for index in range(len(self.answers)))
        for tokens in zip_longest(*map(_deltas, self.answers)):
            deltas = (self._delta(index, delta) for index, delta in enumerate(tokens) if delta is not None)
            yield start + b"".join(deltas)
            start = b""
        if start:
            yield start

    def ending(self) -> bytes:
        """Give the end of the stream: finish reasons, usage where it was asked for, and ``[DONE]``."""
        finish = [self._delta(index, {}, answer.finish_reason) for index, answer in enumerate(self.answers)]
        usage = [self._event({"choices": [], "usage": self._usage()})] if self.body.includes_usage else []
        return b"".join([*finish, *usage, DONE])

    def whole(self) -> bytes:
        """Give the reply to a request that does not stream."""
        choices = [
            {"index": index, "message": _message(answer), "logprobs": None, "finish_reason": answer.finish_reason}
            for index, answer in enumerate(self.answers)
        ]
        return msgspec.json.encode(self._frame("chat.completion") | {"choices": choices, "usage": self._usage()})

    def _delta(self, index: int, delta: object, finish_reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event({"choices": [choice]} | ({"usage": None} if self.body.includes_usage else {}))

    def _event(self, members: dict[str, object]) -> bytes:
        chunk = self._frame("chat.completion.chunk") | members
        return encode(ServerSentEvent(data=msgspec.json.encode(chunk).decode()))

    def _frame(self, kind: str) -> dict[str, object]:
        seed = {} if self.body.seed is None else {"seed": self.body.seed}
        frame = {"id": self.id, "object": kind, "created": self.created, "model": self.body.model or "demo"}
        return {**frame, "system_fingerprint": "fp_demo", **seed}

    def _usage(self) -> dict[str, object]:
        # Three more for each message and for the reply: what OpenAI's own counting adds for the roles.
        prompt = sum(estimate_tokens(turn.text) + 3 for turn in self.body.messages) + 3
        completion = sum(answer.tokens for answer in self.answers)
        reasoning = sum(len(answer.reasoning) for answer in self.answers)
        details = {"completion_tokens_details": {"reasoning_tokens": reasoning}} if reasoning else {}
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            **details,
        }


def _deltas(answer: Answer) -> Iterator[dict[str, str]]:
    for token in answer.reasoning:
        yield {"reasoning_content": token}
    for token in answer.content:
        yield {"content": token}


def _message(answer: Answer) -> dict[str, str]:
    thoughts = {"reasoning_content": "".join(answer.reasoning)} if answer.reasoning else {}
    return {"role": "assistant", "content": answer.text, **thoughts}
