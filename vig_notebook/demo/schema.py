"""Values that a JSON schema lets through, and that suit the names of their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

__all__ = ["conform"]

_MOST_ITEMS: Final = 12
_DEEPEST: Final = 8
_NO_BOUND: Final = 1e15
"""A number of this size bounds nothing: beyond it a float is no longer a whole number."""


def conform(
    schema: dict[str, Any], key: str, suggest: Callable[[str], object], random: Random, *, depth: int = 0
) -> object:
    """Give a value for a schema of the kinds that prompts ask for; what it does not say is left to `suggest`.

    Args:
        schema: The schema of the value.
        key: The name that the value is given for.
        suggest: Gives a value that suits a name, of whatever kind.
        random: For the choice among an `enum`, and for numbers.
        depth: How deep the value stands; below eight everything is null.
    """
    if depth > _DEEPEST:
        return None
    choices, properties = schema.get("enum"), schema.get("properties")
    if isinstance(choices, list) and choices:
        return random.choice(choices)
    if isinstance(properties, dict):
        return {
            name: conform(inner, name, suggest, random, depth=depth + 1)
            for name, inner in properties.items()
            if isinstance(inner, dict)
        }
    return _of_kind(schema, key, suggest, random, depth)


def _of_kind(schema: dict[str, Any], key: str, suggest: Callable[[str], object], random: Random, depth: int) -> object:
    value = suggest(key)
    match schema.get("type"):
        case "string":
            return value if isinstance(value, str) else str(suggest(""))
        case "integer":
            return int(_within(schema, value if type(value) is int else random.randint(1, 99)))
        case "number":
            return _within(schema, value if isinstance(value, float) else round(random.uniform(0, 1), 2))
        case "boolean":
            return True
        case "object":
            return {}
        case "array":
            return _items(schema, value, key, suggest, random, depth)
        case _:
            return value


def _items(
    schema: dict[str, Any], value: object, key: str, suggest: Callable[[str], object], random: Random, depth: int
) -> list[object]:
    words = value if isinstance(value, list) else [value]
    least, most = _number(schema, "minItems", 0), _number(schema, "maxItems", len(words))
    count = min(max(int(least), min(len(words), int(most))), _MOST_ITEMS)
    inner = schema["items"] if isinstance(schema.get("items"), dict) else {}

    def named(place: int) -> Callable[[str], object]:
        return lambda name: words[place % len(words)] if name in {key, ""} else suggest(name)

    return [conform(inner, key, named(place), random, depth=depth + 1) for place in range(count)]


def _within(schema: dict[str, Any], number: float) -> float:
    return min(max(number, _number(schema, "minimum", number)), _number(schema, "maximum", number))


def _number(schema: dict[str, Any], name: str, otherwise: float) -> float:
    """A bound of a schema; one that is no number, or no finite one, is none."""
    bound = schema.get(name)
    return bound if isinstance(bound, int | float) and abs(bound) < _NO_BOUND else otherwise
