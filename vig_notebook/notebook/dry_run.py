"""The exact request, shown before it is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vig_notebook.answers import as_fence
from vig_notebook.render import render_html
from vig_notebook.settings import Secret, mask

if TYPE_CHECKING:
    from vig_notebook.api import Question

__all__ = ["request_bundle"]


def request_bundle(asked: Question) -> dict[str, str]:
    """The display bundle of a request, the key masked; sends nothing."""
    endpoint = asked.server.endpoint
    address = endpoint.base_url or f"({endpoint.name}, not started yet)"
    head = [f"POST {address.rstrip('/')}/chat/completions" if endpoint.base_url else f"POST {address}"]
    head.append("Content-Type: application/json")
    head.append(f"Authorization: Bearer {endpoint.api_key}" if endpoint.api_key is not None else "(no key is sent)")
    body = json.dumps(asked.request.to_body(), indent=2, ensure_ascii=False, default=str)
    # As it stands in JSON too, where quotes and backslashes are written otherwise.
    keys = [] if endpoint.api_key is None else [endpoint.api_key, Secret(json.dumps(endpoint.api_key.reveal())[1:-1])]
    text = mask("\n".join([*head, "", body]), *keys)
    note = '<div class="vig-note">Dry run: this is what would be sent. Nothing was.</div>'
    html = f'<div class="vig-answer">{note}{render_html(as_fence(text, "http"))}</div>'
    return {"text/html": html, "text/plain": text}
