"""The plots in matplotlib, where altair is absent. Imported only when one is drawn."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, cast

from vig_notebook.tuning.extras import need
from vig_notebook.tuning.plots import COLOURS, INK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vig_notebook.tuning.plots import Picture

    Row = Mapping[str, object]

__all__ = ["bundle", "figure"]

DPI = 120

CHANGES = {"better": COLOURS[0], "worse": COLOURS[1], "same": INK}


def figure(picture: Picture) -> Figure:
    """Draw a picture. The figure belongs to no window: a notebook shows it as the value of its cell.

    Raises:
        ConfigError: matplotlib is not installed either.
    """
    made: Figure = need("matplotlib.figure", for_what="a plot (or altair)").Figure(layout="constrained")
    made.set_facecolor("none")
    axes = made.add_subplot()
    makers = {"slope": _slope, "forest": _forest, "scores": _scores, "latency": _latency, "heatmap": _heatmap}
    makers[picture.kind](axes, picture)
    made.suptitle(picture.title, x=0.01, ha="left", color=INK)
    for one in made.axes:
        _tint(one)
    return made


def bundle(drawn: Figure) -> dict[str, object]:
    """What a notebook's page draws by itself: a PNG."""
    image = BytesIO()
    drawn.savefig(image, format="png", dpi=DPI)
    return {"image/png": b64encode(image.getvalue()).decode()}


def _tint(axes: Axes) -> None:
    """Words, axes and frame in one colour that is read on light and on dark."""
    axes.set_facecolor("none")
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _groups(picture: Picture, name: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in picture.rows:
        groups.setdefault(str(row[name]), []).append(row)
    return groups


def _numbers(rows: list[Row], name: str) -> list[float]:
    return [float(str(row[name])) for row in rows]


def _slope(axes: Axes, picture: Picture) -> None:
    groups = _groups(picture, "pair")
    for place, (pair, rows) in enumerate(groups.items()):
        for before, after in zip(rows[::2], rows[1::2], strict=True):
            width = 1.5 + 6 * _numbers([before], "examples")[0] / (len(rows) // 2)
            ends, colour = [2 * place, 2 * place + 1], CHANGES[str(before["change"])]
            axes.plot(ends, _numbers([before, after], "score"), "o-", color=colour, alpha=0.7, linewidth=width)
        axes.text(2 * place + 0.5, 1.02, pair, transform=axes.get_xaxis_transform(), ha="center", color=INK)
    axes.set_xticks(range(2 * len(groups)), ["baseline", "variant"] * len(groups))
    axes.set_ylabel(picture.unit)
    seen = {str(row["change"]) for row in picture.rows}
    for name in (name for name in CHANGES if name in seen):
        axes.plot([], [], color=CHANGES[name], label=name)
    _legend(axes)
    _figure(axes).set_size_inches(2 + 2.6 * len(groups), 4)


def _forest(axes: Axes, picture: Picture) -> None:
    rows = list(picture.rows)[::-1]
    for place, row in enumerate(rows):
        axes.plot(_numbers([row], "low") + _numbers([row], "high"), [place, place], color=COLOURS[0], linewidth=2)
        axes.plot(_numbers([row], "difference"), [place], "o", color=COLOURS[0])
    axes.axvline(0, color=INK, linestyle="--")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [str(row["pair"]) for row in rows])
    axes.set_xlabel(picture.unit)
    _figure(axes).set_size_inches(7, 1.4 + 0.4 * len(rows))


def _scores(axes: Axes, picture: Picture) -> None:
    groups = _groups(picture, "variant")
    values = [_numbers(rows, "score") for rows in groups.values()]
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(groups))]
    axes.hist(values, bins=20, label=list(groups), color=colours)
    axes.locator_params(axis="y", integer=True)
    _legend(axes)
    axes.set_xlabel(picture.unit)
    axes.set_ylabel("examples")


def _latency(axes: Axes, picture: Picture) -> None:
    labels: list[str] = []
    for place, (measure, rows) in enumerate(_groups(picture, "measure").items()):
        for variant in dict.fromkeys(str(row["variant"]) for row in rows):
            seconds = _numbers([row for row in rows if row["variant"] == variant], "seconds")
            axes.plot(seconds, [len(labels)] * len(seconds), "|", color=COLOURS[place], markersize=14)
            labels.append(f"{variant}, {measure}")
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel(picture.unit)
    _figure(axes).set_size_inches(7, 1.4 + 0.4 * len(labels))


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))


def _figure(axes: Axes) -> Figure:
    return cast("Figure", axes.figure)


def _heatmap(axes: Axes, picture: Picture) -> None:
    variants = list(_groups(picture, "variant"))
    examples = list(_groups(picture, "example"))
    scores = [[float("nan")] * len(variants) for _ in examples]
    for row in picture.rows:
        y, x = examples.index(str(row["example"])), variants.index(str(row["variant"]))
        scores[y][x] = _numbers([row], "score")[0]
        axes.text(x, y, str(row["flip"]), ha="center", va="center", color="black" if scores[y][x] > 0.5 else "white")
    image = axes.imshow(scores, aspect="auto", cmap="viridis")
    _figure(axes).colorbar(image, label=picture.unit)
    _figure(axes).set_size_inches(2.5 + 1.3 * len(variants), 1.2 + 0.24 * len(examples))
    axes.set_xticks(range(len(variants)), variants)
    axes.set_yticks(range(len(examples)), examples)
