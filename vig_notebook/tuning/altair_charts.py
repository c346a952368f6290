"""The plots in altair. Imported only when one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair
import pandas

from vig_notebook.tuning.plots import COLOURS, INK

if TYPE_CHECKING:
    from vig_notebook.tuning.plots import Picture

__all__ = ["bundle", "chart"]

VEGA_LITE = ("application/vnd.vegalite.v5+json", "https://vega.github.io/schema/vega-lite/v5.json")
"""The newest that JupyterLab 4 draws; a newer altair names a newer one, and what is drawn here is the same in both."""


WIDTH = 420
ROW_HEIGHT = 22

_ABOVE = altair.Header(labelOrient="top", labelAnchor="start", labelLimit=WIDTH)
"""A name beside a row of bars would have to be turned."""


def chart(picture: Picture) -> altair.TopLevelMixin:
    """Draw a picture."""
    table = pandas.DataFrame(picture.rows)
    makers = {"slope": _slope, "forest": _forest, "scores": _scores, "latency": _latency, "heatmap": _heatmap}
    made = makers[picture.kind](table, picture)
    styled: altair.TopLevelMixin = (
        made.properties(title=picture.title)
        .configure(background="transparent", font="sans-serif")
        .configure_view(strokeOpacity=0)
        .configure_title(color=INK, anchor="start")
        .configure_axis(labelColor=INK, titleColor=INK, domainColor=INK, tickColor=INK, gridOpacity=0.2)
        .configure_header(labelColor=INK, titleColor=INK)
        .configure_legend(labelColor=INK, titleColor=INK)
    )
    return styled


def bundle(drawn: altair.TopLevelMixin) -> dict[str, object]:
    """What a notebook's page draws by itself."""
    kind, schema = VEGA_LITE
    return {kind: {**drawn.to_dict(), "$schema": schema}}


def _palette() -> altair.Scale:
    return altair.Scale(range=list(COLOURS))


def _changes() -> altair.Scale:
    return altair.Scale(domain=["better", "worse", "same"], range=[COLOURS[0], COLOURS[1], INK])


def _slope(table: pandas.DataFrame, picture: Picture) -> Any:  # noqa: ANN401  altair's charts share no useful type
    lines = altair.Chart(table).mark_line(point=True, opacity=0.7)
    widths = altair.Scale(domain=[1, max(2, int(table["examples"].max()))], range=[1.5, 8])
    encoded = lines.encode(
        x=altair.X("side:N", title=None, axis=altair.Axis(labelAngle=0)),
        y=altair.Y("score:Q", title=picture.unit),
        detail="example:N",
        color=altair.Color("change:N", scale=_changes(), title="example is"),
        strokeWidth=altair.StrokeWidth("examples:Q", scale=widths, legend=None),
        tooltip=["example", "score", "examples"],
    )
    return encoded.properties(width=WIDTH // 2).facet(column=altair.Column("pair:N", title=None, sort=None))


def _forest(table: pandas.DataFrame, picture: Picture) -> Any:  # noqa: ANN401  altair's charts share no useful type
    base = altair.Chart(table).encode(
        y=altair.Y("pair:N", title=None, sort=None, axis=altair.Axis(labelLimit=300)),
        tooltip=["pair", "difference", "low", "high", "n"],
    )
    along = altair.X("low:Q", title=picture.unit, axis=altair.Axis(tickCount=6), scale=altair.Scale(padding=12))
    bars = base.mark_rule(color=COLOURS[0], strokeWidth=2).encode(x=along, x2="high:Q")
    points = base.mark_point(color=COLOURS[0], filled=True, size=70).encode(x="difference:Q")
    none = altair.Chart(pandas.DataFrame({"zero": [0]})).mark_rule(color=INK, strokeDash=[4, 4]).encode(x="zero:Q")
    return (none + bars + points).properties(width=WIDTH, height=max(60, 2 * ROW_HEIGHT * len(table)))


def _scores(table: pandas.DataFrame, picture: Picture) -> Any:  # noqa: ANN401  altair's charts share no useful type
    bars = altair.Chart(table).mark_bar()
    encoded = bars.encode(
        x=altair.X("score:Q", bin=altair.Bin(maxbins=20), title=picture.unit),
        y=altair.Y("count():Q", title="examples", axis=altair.Axis(tickMinStep=1, format="d")),
        color=altair.Color("variant:N", scale=_palette(), legend=None),
        tooltip=["variant", "count()"],
    )
    return encoded.properties(width=WIDTH, height=80).facet(
        row=altair.Row("variant:N", title=None, sort=None, header=_ABOVE)
    )


def _latency(table: pandas.DataFrame, picture: Picture) -> Any:  # noqa: ANN401  altair's charts share no useful type
    ticks = altair.Chart(table).mark_tick(thickness=2, opacity=0.6)
    encoded = ticks.encode(
        x=altair.X("seconds:Q", title=picture.unit, axis=altair.Axis(tickCount=6)),
        y=altair.Y("variant:N", title=None, sort=None, axis=altair.Axis(labelLimit=300)),
        color=altair.Color("measure:N", scale=_palette(), legend=None),
        tooltip=["variant", "example", "seconds"],
    )
    return encoded.properties(width=WIDTH).facet(row=altair.Row("measure:N", title=None, sort=None, header=_ABOVE))


def _heatmap(table: pandas.DataFrame, picture: Picture) -> Any:  # noqa: ANN401  altair's charts share no useful type
    base = altair.Chart(table).encode(
        x=altair.X("variant:N", title=None, sort=None, axis=altair.Axis(labelLimit=200)),
        y=altair.Y("example:N", title="example", sort=None),
        tooltip=["example", "variant", "score"],
    )
    scale = altair.Scale(scheme="viridis")
    cells = base.mark_rect().encode(color=altair.Color("score:Q", scale=scale, title=picture.unit))
    marks = base.mark_text(fontWeight="bold").encode(
        text="flip:N", color=altair.condition("datum.score > 0.5", altair.value("black"), altair.value("white"))
    )
    height = ROW_HEIGHT * table["example"].nunique()
    return (cells + marks).properties(width=90 * table["variant"].nunique(), height=height)
