from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.demos import Demo, demo
from vig_notebook.tuning.judge import Judge, PairJudge, ask_model
from vig_notebook.tuning.judging import PairVerdicts
from vig_notebook.tuning.scorers import Score, apply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def says(reply: str) -> Callable[[str], str]:
    return lambda _prompt: reply


def sides(prompt: str) -> tuple[str, str]:
    found = re.search(r"answer A\n(.*?)\n=== \w+ answer B\n(.*?)\n===", prompt, re.DOTALL)
    assert found
    return found[1], found[2]


def longer(prompt: str) -> str:
    first, second = sides(prompt)
    return '{"better": "neither"}' if len(first) == len(second) else f'{{"better": "{"AB"[len(second) > len(first)]}"}}'


def test_judge_gives_score_and_reason() -> None:
    judge = Judge("polite?", ask=says('Well: {"reason": "it thanks", "score": 0.75} Good.'))
    assert apply(judge, "thanks", {"text": "a"}) == Score(0.75, "it thanks")
    assert judge.asks_a_server


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("good", "ValueError: the judge gave no JSON object, but 'good'"),
        ("{no} {1}", "ValueError: the judge gave no JSON object, but '{no} {1}'"),
        ('{"score": 7}', "ValueError: the judge gave no score between 0 and 1, but 7"),
        ('{"score": true}', "ValueError: the judge gave no score between 0 and 1, but True"),
    ],
)
def test_judge_without_a_score_marks_the_cell(reply: str, reason: str) -> None:
    assert apply(Judge("polite?", ask=says(reply)), "a", {}) == Score(None, reason)


def test_judge_is_shown_the_question_between_marks_that_nobody_knows() -> None:
    prompts: list[str] = []

    def note(prompt: str) -> str:
        prompts.append(prompt)
        return '{"score": 1}'

    apply(Judge("r", question="text", ask=note), "answer {x}", {"text": "what?", "label": "secret"})
    apply(Judge("r", ask=note), "answer", {"text": "what?", "label": "shown"})
    marks = [set(re.findall(r"=== \w{16}", prompt)) for prompt in prompts]
    assert "what?" in prompts[0]
    assert "secret" not in prompts[0]
    assert "shown" in prompts[1]
    assert [len(found) for found in marks] == [1, 1]
    assert marks[0] != marks[1]


@pytest.mark.parametrize(
    "reply",
    [
        '{"reason": "it uses {} as an empty dict", "score": 0.5}',
        '{"reason": "the f-string {name} is right", "score": 0.5}',
        '{"reason": {"why": "nested"}, "score": 0.5}',
        'For {} and {name}, and as {"no": "score"}: {"score": 0.5}',
        "{" * 2_000 + ' {"score": 0.5}',
    ],
)
def test_judge_may_use_braces(reply: str) -> None:
    found = apply(Judge("right?", ask=says(reply)), "a", {})
    assert found.value == 0.5


@pytest.mark.parametrize(
    "reply", ['{"a":' * 100_000, '{"a":' * 400 + "[" + "0," * 200_000, '{"score": ' + "1" * 5_000 + "}", "{ " * 500_000]
)
def test_judge_that_never_ends_is_given_up(reply: str) -> None:
    began_at = time.process_time()
    found = apply(Judge("right?", ask=says(reply)), "a", {})
    assert found.reason.startswith("ValueError: the judge gave no JSON object, but '{")
    assert time.process_time() - began_at < 1  # trying at every brace takes seconds


def judged(judge: PairJudge, *pairs: tuple[str, str]) -> PairVerdicts:
    def one(pair: tuple[str, str]) -> tuple[int, bool | None] | None:
        try:
            return judge.judge(*pair, {})
        except ValueError:
            return None

    return PairVerdicts.of(map(one, pairs))


def test_pairs_are_judged_in_both_orders() -> None:
    found = judged(PairJudge("longer", ask=longer), ("long answer", "short"), ("a", "bbb"), ("same", "size"))
    assert (found.wins, found.losses, found.ties, found.self_agreement, found.failed) == (1, 1, 1, 1.0, 0)
    assert found.p_value == 1.0


def test_judge_that_favours_the_first_gives_ties() -> None:
    found = judged(PairJudge("x", ask=says('{"better": "A"}')), *[("a", "b")] * 4)
    assert (found.ties, found.self_agreement) == (4, 0.0)
    assert str(found) == (
        "0 wins, 0 losses, 4 ties (p = 1.000 by the exact sign test without the ties). "
        "The judge agrees with itself in 0 % of pairs, asked in both orders."
    )


def test_pairs_that_cannot_be_judged_are_counted() -> None:
    found = judged(PairJudge("x", ask=says('{"better": "C"}')), ("a", "b"))
    assert found.failed == 1
    assert str(found) == "0 wins, 0 losses, 0 ties, 1 not judged (p = 1.000 by the exact sign test without the ties)."


def test_judge_is_not_asked_about_two_answers_that_are_the_same() -> None:
    def never(_prompt: str) -> str:
        raise AssertionError

    assert PairJudge("x", ask=never).judge("yes", " yes\n", {}) == (0, None)


@pytest.fixture
def fast() -> Iterator[Demo]:
    with demo() as server:
        yield server


def test_judge_asks_the_server(fast: Demo) -> None:
    ask = ask_model("demo", base_url=fast.server.base_url, api_key=fast.server.token)
    assert ask("Write a haiku about rain")
