"""Prompt templates: sandboxed Jinja2.

- ``{{ name }}`` is replaced by the text of a variable; that text is never rendered again, whatever it holds.
- ``{% if %}``, ``{% for %}``, ``{# comment #}`` and filters are Jinja2's. All else is text: single
  braces, ``$``, ``%``, ``<``; nothing is escaped.
- A variable that does not exist is an error, never an empty place in the prompt; so is one whose own code
  raises, and both are named.
- Only the names that the template uses are looked up.

What the sandbox is for: the variables are the user's own, and ``{{ df.head() }}`` calls their methods as
a cell would. What is refused is what a prompt copied from elsewhere could use to reach beyond them:
attributes that start with an underscore (``__class__``, ``__globals__``), the inside of functions and
frames, methods that change a list, dict or set in place, and templates of other files. Loops, calls and
sizes have a bound, so that a template cannot hang a notebook; the methods of the user's own objects take
the time that they take.
"""

from __future__ import annotations

from vig_notebook.templates.rendering import render_template, template_names

__all__ = ["render_template", "template_names"]
