"""The five plots that people look at: what is in them, and who draws them.

slope: each example from baseline to variant. forest: differences with their intervals. scores: how the scores
are spread. latency: first token and whole answer. heatmap: examples against variants, flips marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal, get_args

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.verdict import find_flips

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vig_notebook.tuning.findings import Findings

__all__ = ["COLOURS", "INK", "Kind", "Picture", "draw", "picture"]

Kind = Literal["slope", "forest", "scores", "latency", "heatmap"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, told apart with every kind of colour blindness, less the two that vanish on one background."""

INK = "#808080"
"""Of words and axes: at least 3.9 : 1 against white and against JupyterLab's dark background."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a plot shows, before anyone draws it.

    Attributes:
        kind: Which of the five.
        title: What it says.
        unit: Title of the axis of values, with its unit.
        rows: One mark each.
    """

    kind: Kind
    title: str
    unit: str
    rows: Sequence[Mapping[str, object]]


def draw(findings: Findings, kind: Kind, scorer: str | None = None) -> object:
    """Draw a plot: an altair chart, or a matplotlib figure where altair is absent.

    Raises:
        ConfigError: There is no such kind or score, nothing to draw, or neither package is installed.
    """
    shown = picture(findings, kind, scorer)
    try:
        from vig_notebook.tuning import altair_charts
    except ImportError:
        from vig_notebook.tuning import matplotlib_charts

        return matplotlib_charts.figure(shown)
    return altair_charts.chart(shown)


def picture(findings: Findings, kind: Kind, scorer: str | None = None) -> Picture:
    """What the plot shows.

    Raises:
        ConfigError: There is no such kind or score, or nothing to draw.
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"There is no plot {kind!r}", advice=f"Give one of {', '.join(get_args(Kind))}")
    score = next(iter(findings.named(scorer)), "")
    makers = {"slope": _slope, "forest": _forest, "scores": _scores, "latency": _latency, "heatmap": _heatmap}
    made = makers[kind](findings, score)
    if not made.rows:
        lacks = "answers" if kind == "latency" else "scored answers"
        raise ConfigError(f"There is nothing to plot as {kind}", seen=f"no {lacks} yet", advice="Run the experiment")
    return made


def _slope(findings: Findings, scorer: str) -> Picture:
    scores = findings.scores(scorer)
    rows = [
        {"pair": f"{v} against {b}", "example": example, "side": side, "score": fmean(values), "change": change}
        for v, b in findings.pairs
        for example, change in _changes(scores[v], scores[b]).items()
        for side, values in (("baseline", scores[b][example]), ("variant", scores[v][example]))
    ]
    return Picture(
        kind="slope", title=f"{scorer}: each example from baseline to variant", unit=_unit(scorer), rows=rows
    )


def _changes(after: Mapping[str, Sequence[float]], before: Mapping[str, Sequence[float]]) -> dict[str, str]:
    changes = {}
    for example, old in before.items():
        new = after.get(example)
        if old and new:
            difference = fmean(new) - fmean(old)
            changes[example] = "same" if not difference else "better" if difference > 0 else "worse"
    return changes


def _forest(findings: Findings, scorer: str) -> Picture:
    rows = [
        {
            "pair": f"{one.variant} against {one.baseline}",
            "difference": one.difference,
            "low": one.interval.low,
            "high": one.interval.high,
            "n": one.n,
        }
        for one in (findings.comparisons(scorer) if scorer else [])
        if one.n and one.interval.known
    ]
    title = f"{scorer}: difference to the baseline, with 95 % interval"
    return Picture(kind="forest", title=title, unit=f"difference of {_unit(scorer)}", rows=rows)


def _scores(findings: Findings, scorer: str) -> Picture:
    rows = [
        {"variant": variant, "example": example, "score": fmean(values)}
        for variant, by_example in findings.scores(scorer).items()
        for example, values in by_example.items()
        if values
    ]
    return Picture(kind="scores", title=f"{scorer}: spread over the examples", unit=_unit(scorer), rows=rows)


def _latency(findings: Findings, _scorer: str) -> Picture:
    rows = [
        {"variant": one.cell.variant.label, "example": one.cell.example.id, "measure": measure, "seconds": seconds}
        for one in findings.responses
        if one.status == "ok"
        for measure, seconds in (("first token", one.ttft_s), ("whole answer", one.latency_s))
        if seconds is not None
    ]
    return Picture(kind="latency", title="Time to the first token and to the end", unit="seconds", rows=rows)


def _heatmap(findings: Findings, scorer: str) -> Picture:
    scores = findings.scores(scorer)
    flipped = {(v, flip.example_id): flip for v, b in findings.pairs for flip in find_flips(scores[v], scores[b])}
    rows = [
        {
            "variant": variant,
            "example": example,
            "score": fmean(values),
            "flip": _mark(flipped.get((variant, example))),
        }
        for variant, by_example in scores.items()
        for example, values in by_example.items()
        if values
    ]
    title = f"{scorer}: examples by variants (+ fixed, \N{MINUS SIGN} broken against the baseline)"
    return Picture(kind="heatmap", title=title, unit=_unit(scorer), rows=rows)


def _mark(flip: object) -> str:
    fixed = getattr(flip, "fixed", None)
    return "" if fixed is None else "+" if fixed else "\N{MINUS SIGN}"


def _unit(scorer: str) -> str:
    return f"mean {scorer} of an example"
