"""The five plots that people look at: what is in them, and who draws them.

slope: each example from baseline to variant. forest: differences with their intervals. scores: how the scores
are spread. latency: first token and whole answer. heatmap: examples against variants, flips marked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, get_args

from vig_notebook.errors import ConfigError
from vig_notebook.tuning.verdict import find_flips

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vig_notebook.tuning.findings import Findings

__all__ = ["COLOURS", "INK", "Kind", "Picture", "Plot", "draw", "picture"]

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plot:
    """A picture that was drawn. A notebook shows it as the value of its cell, and keeps it when it is saved.

    It is shown by what JupyterLab has of its own: altair's way would have each page ask the network for vega, and
    a figure of matplotlib shows nothing where its inline mode is off.

    Attributes:
        picture: What it shows.
        chart: altair's chart, or matplotlib's figure: to be changed, or to be saved as a file.
        bundle: Gives what the page gets, by its type.
    """

    picture: Picture
    chart: Any
    bundle: Callable[[], dict[str, object]]

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        return {"text/plain": repr(self), **self.bundle()}

    def __repr__(self) -> str:
        """Say what it shows."""
        return f"<Plot {self.picture.kind}: {self.picture.title}>"


def draw(findings: Findings, kind: Kind, scorer: str | None = None) -> Plot:
    """Draw a plot in altair, or in matplotlib where altair is absent.

    Raises:
        ConfigError: There is no such kind or score, nothing to draw, or neither package is installed.
    """
    shown = picture(findings, kind, scorer)
    try:
        from vig_notebook.tuning import altair_charts
    except ImportError:
        from vig_notebook.tuning import matplotlib_charts

        figure = matplotlib_charts.figure(shown)
        return Plot(shown, figure, lambda: matplotlib_charts.bundle(figure))
    chart = altair_charts.chart(shown)
    return Plot(shown, chart, lambda: altair_charts.bundle(chart))


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
    rows = [row for v, b in findings.pairs for row in _lines(findings.scores(scorer), v, b)]
    return Picture(
        kind="slope", title=f"{scorer}: each example from baseline to variant", unit=_unit(scorer), rows=rows
    )


def _lines(scores: Mapping[str, Mapping[str, Sequence[float]]], variant: str, base: str) -> list[dict[str, object]]:
    """Two ends a line; a line is the thicker, the more examples lie on it."""
    old, new = scores[base], scores[variant]
    means = {one: (fmean(old[one]), fmean(new[one])) for one in old if old[one] and new.get(one)}
    counts = Counter(means.values())
    return [
        {
            "pair": f"{variant} against {base}",
            "example": example,
            "side": side,
            "score": score,
            "change": "same" if before == after else "better" if after > before else "worse",
            "examples": counts[before, after],
        }
        for example, (before, after) in means.items()
        for side, score in (("baseline", before), ("variant", after))
    ]


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
    return Picture(kind="forest", title=title, unit=f"difference in {scorer}, mean over the examples", rows=rows)


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
