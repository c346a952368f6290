from __future__ import annotations

import builtins
import sys
from typing import TYPE_CHECKING, Any, get_args

import pytest

from tests.demos import LIMIT_S
from vig_notebook.errors import ConfigError
from vig_notebook.tuning.plots import Kind, draw, picture

if TYPE_CHECKING:
    from tests.tuning.conftest import Maker
    from vig_notebook.tuning.findings import Findings

DATA = [{"text": name} for name in ("rain", "fire", "stone")]
KINDS = get_args(Kind)


@pytest.fixture
def findings(make: Maker) -> Findings:
    scores = {"rain": [0, 0, 1, 1], "fire": [1, 1, 0, 0], "stone": [1, 0, 1, 0]}
    prompts = {"a": "Write a haiku about {{ text }}", "b": "Write a poem about {{ text }}"}
    experiment = make(prompts, data=DATA, repeats=2, scorers="json")
    experiment.run().wait(LIMIT_S)
    given = {name: iter(values) for name, values in scores.items()}
    from dataclasses import replace

    from vig_notebook.tuning.scorers import Score

    found = experiment.findings()
    left_out = replace(found.responses[0].cell.example, id="4")
    alone = replace(found.responses[0], cell=replace(found.responses[0].cell, example=left_out))
    responses = [
        replace(r, scores={"json": Score(next(given[str(r.cell.example.variables["text"])]))}) for r in found.responses
    ]
    return replace(found, responses=[*responses, replace(alone, scores={"json": Score(1.0)})])


@pytest.mark.parametrize("kind", KINDS)
def test_altair_draws_every_kind(findings: Findings, kind: Kind) -> None:
    plot = draw(findings, kind)
    drawn = plot.chart.to_dict()
    assert drawn["title"] == plot.picture.title
    assert drawn["config"]["background"] == "transparent"
    shown: Any = plot._repr_mimebundle_()
    assert shown.keys() == {"text/plain", "application/vnd.vegalite.v5+json"}  # and nothing that asks the network
    assert shown["text/plain"] == f"<Plot {kind}: {plot.picture.title}>"
    assert shown["application/vnd.vegalite.v5+json"]["$schema"].endswith("vega-lite/v5.json")


@pytest.mark.parametrize("kind", KINDS)
def test_matplotlib_draws_where_altair_is_absent(
    findings: Findings, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("altair"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "vig_notebook.tuning.altair_charts", raising=False)
    monkeypatch.delattr("vig_notebook.tuning.altair_charts", raising=False)
    plot = draw(findings, kind)
    assert plot.chart.get_suptitle() == picture(findings, kind).title
    shown = plot._repr_mimebundle_()
    assert str(shown["image/png"]).startswith("iVBORw0KGgo")
    assert shown["text/plain"] == repr(plot)


def test_slope_and_heatmap_show_changes_and_flips(findings: Findings) -> None:
    slope = picture(findings, "slope", "json").rows
    assert {(row["example"], row["change"]) for row in slope} == {("1", "better"), ("2", "worse"), ("3", "same")}
    heat = {(row["variant"], row["example"]): row["flip"] for row in picture(findings, "heatmap").rows}
    assert heat[("b@v1", "1")] == "+"
    assert heat[("b@v1", "2")] == "\N{MINUS SIGN}"
    assert heat[("b@v1", "3")] == ""
    assert picture(findings, "forest").rows[0]["n"] == 3
    assert len(picture(findings, "scores").rows) == 7
    assert {row["measure"] for row in picture(findings, "latency").rows} == {"first token", "whole answer"}


def test_nothing_to_plot_is_said(make: Maker) -> None:
    empty = make(data=DATA)
    for kind in KINDS:
        with pytest.raises(ConfigError, match=f"There is nothing to plot as {kind}"):
            empty.plot(kind)
    wrong: Any = "pie"
    with pytest.raises(ConfigError, match=r"There is no plot 'pie'\. Give one of slope, forest"):
        empty.plot(wrong)
