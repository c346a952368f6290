"""Python functions that prompts often ask for, each with a check at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vig_notebook.demo.verses import title

if TYPE_CHECKING:
    from vig_notebook.demo.reading import Subject

__all__ = ["snippet"]

_FIBONACCI: Final = """\
def fibonacci(n: int) -> int:
    {doc}
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


assert fibonacci(10) == 55"""

_PRIME: Final = """\
def is_prime(n: int) -> bool:
    {doc}
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


assert [n for n in range(20) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19]"""

_FACTORIAL: Final = """\
def factorial(n: int) -> int:
    {doc}
    product = 1
    for factor in range(2, n + 1):
        product *= factor
    return product


assert factorial(5) == 120"""

_PALINDROME: Final = """\
def is_palindrome(text: str) -> bool:
    {doc}
    letters = [c for c in text.lower() if c.isalnum()]
    return letters == letters[::-1]


assert is_palindrome("A man, a plan, a canal: Panama")"""

_REVERSE: Final = """\
def reverse(text: str) -> str:
    {doc}
    return text[::-1]


assert reverse("stream") == "maerts\""""

_SORT: Final = """\
def insertion_sort(values: list[float]) -> list[float]:
    {doc}
    done: list[float] = []
    for value in values:
        place = sum(other <= value for other in done)
        done.insert(place, value)
    return done


assert insertion_sort([3, 1, 2]) == [1, 2, 3]"""

_OTHER: Final = """\
from collections import Counter


def {name}(text: str) -> dict[str, int]:
    {doc}
    return dict(Counter(text.lower().split()).most_common(5))


print({name}("to be or not to be"))"""

# What the prompt says, and the function for it; "" is in every prompt.
_SNIPPETS: Final = {
    "fibonacci": _FIBONACCI,
    "prime": _PRIME,
    "factorial": _FACTORIAL,
    "palindrome": _PALINDROME,
    "revers": _REVERSE,
    "sort": _SORT,
    "": _OTHER,
}


def snippet(subject: Subject) -> str:
    """Give the function that the prompt asks for, or one that counts words under its name."""
    prompt = subject.prompt[:2_000].lower()
    source = next(source for word, source in _SNIPPETS.items() if word in prompt)
    name = "_".join(subject.keywords[:2])
    doc = title(subject.topic).replace('"', "'").replace("\\", " ")
    return source.replace("{doc}", f'"""{doc}."""').replace("{name}", name if name.isidentifier() else "count_words")
