"""The tables of an experiment: one row a variant, one row a comparison, one row a flip."""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING

from vig_notebook.tuning import statistics
from vig_notebook.tuning.extras import need
from vig_notebook.tuning.plan import cost_of
from vig_notebook.tuning.verdict import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from vig_notebook.tuning.grid import Variant
    from vig_notebook.tuning.plan import Prices
    from vig_notebook.tuning.responses import Response
    from vig_notebook.tuning.verdict import Comparison, Flip

__all__ = ["comparison_table", "flip_table", "scores_by_example", "summary_rows", "table_of"]


def scores_by_example(
    responses: Iterable[Response], variants: Sequence[Variant], scorer: str
) -> dict[str, dict[str, list[float]]]:
    """The scores by the variant's label, then by example, one for each repeat that has one."""
    scores: dict[str, dict[str, list[float]]] = {variant.label: {} for variant in variants}
    for response in sorted(responses, key=lambda one: one.cell.index):
        score = response.scores.get(scorer)
        of_example = scores[response.cell.variant.label].setdefault(response.cell.example.id, [])
        if score is not None and score.value is not None:
            of_example.append(score.value)
    return scores


def summary_rows(
    responses: Sequence[Response], variants: Sequence[Variant], scorers: Sequence[str], prices: Prices
) -> list[dict[str, object]]:
    """One row a variant: how many, how well with its interval, how fast, how many tokens."""
    rows = []
    for variant in variants:
        own = [response for response in responses if response.cell.variant is variant]
        row = {"variant": variant.label, **_counts(own)}
        for scorer in scorers:
            row |= _rate(scorer, scores_by_example(own, [variant], scorer)[variant.label])
        rows.append(row | _speeds(own) | _tokens(own, variant, prices))
    return rows


def table_of(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Rows as a table."""
    pandas = need("pandas", for_what="the table of an experiment")
    table: pd.DataFrame = pandas.DataFrame(rows)
    return table


def _counts(responses: Sequence[Response]) -> dict[str, object]:
    return {
        "examples": len({response.cell.example.id for response in responses}),
        "responses": len(responses),
        "errors": sum(response.status == "error" for response in responses),
    }


def _rate(scorer: str, scores: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """Mean over the examples' means, and its interval: Wilson's where each example is right or wrong throughout."""
    means = [fmean(values) for values in scores.values() if values]
    clear = set(means) <= {0.0, 1.0}
    interval = statistics.wilson(sum(means), len(means)) if clear else statistics.t_interval(means)
    return {
        f"score.{scorer}": fmean(means) if means else None,
        f"score.{scorer}.low": interval.low,
        f"score.{scorer}.high": interval.high,
    }


def _speeds(responses: Sequence[Response]) -> dict[str, object]:
    """Medians: one slow answer out of twenty moves a mean, and is no news of the model."""
    names = ("ttft_s", "latency_s", "output_tokens_per_s")
    whole = [response for response in responses if response.status.whole]
    found = {name: [getattr(one, name) for one in whole if getattr(one, name) is not None] for name in names}
    return {f"median_{name}": median(values) if values else None for name, values in found.items()}


def _tokens(responses: Sequence[Response], variant: Variant, prices: Prices) -> dict[str, object]:
    tokens_in, tokens_out = sum(r.tokens_in or 0 for r in responses), sum(r.tokens_out or 0 for r in responses)
    row: dict[str, object] = {"tokens_in": tokens_in, "tokens_out": tokens_out}
    cost = cost_of({variant.model: (tokens_in, tokens_out)}, prices)
    return row if cost is None else {**row, "cost": cost}


def comparison_table(comparisons: Sequence[Comparison], *, interim: bool) -> pd.DataFrame:
    """One row a comparison, its sentence in the column `verdict`."""
    rows: list[dict[str, object]] = [
        {
            "scorer": one.scorer,
            "variant": one.variant,
            "baseline": one.baseline,
            "n": one.n,
            "mean": one.mean,
            "baseline_mean": one.baseline_mean,
            "difference": one.difference,
            "low": one.interval.low,
            "high": one.interval.high,
            "p": one.p_value,
            "p_holm": one.p_holm,
            "wins": one.wins,
            "losses": one.losses,
            "ties": one.ties,
            "left_out": one.left_out,
            "method": one.method,
            "more_examples": one.more_examples,
            "verdict": sentence(one, interim=interim),
        }
        for one in comparisons
    ]
    return table_of(rows)


def flip_table(flips: Iterable[tuple[str, str, str, Flip]]) -> pd.DataFrame:
    """One row a flip of a variant against its baseline, those to read first first."""
    pandas = need("pandas", for_what="the table of an experiment")
    columns = ("variant", "baseline", "scorer", "example_id", "change", "before", "after", "chance", "verdict")
    rows = [
        (variant, baseline, scorer, flip.example_id, "fixed" if flip.fixed else "broken", flip.before, flip.after,
         flip.chance, flip.verdict)
        for variant, baseline, scorer, flip in flips
    ]  # fmt: skip
    table: pd.DataFrame = pandas.DataFrame(rows, columns=list(columns))
    return table
