"""The record of an experiment, and the widgets of its live grid, without a browser."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.demos import LIMIT_S, Demo, demo
from tests.render.vocabulary import PAYLOADS, check
from vig_notebook.engine import engine
from vig_notebook.errors import ConfigError
from vig_notebook.notebook.grid import board as board_module
from vig_notebook.notebook.grid import view as view_module
from vig_notebook.notebook.grid.rating import RatingView, rating_record
from vig_notebook.notebook.grid.record import MOST_ROWS, grid_record
from vig_notebook.notebook.grid.sheet import distinct
from vig_notebook.notebook.grid.strip import strip_of
from vig_notebook.notebook.grid.view import GridView
from vig_notebook.notebook.grid.words import cell_facts, changes_html, header_facts
from vig_notebook.settings import Endpoint, Secret
from vig_notebook.tuning import Experiment, Progress, Prompt, Response
from vig_notebook.tuning.responses import Status
from vig_notebook.tuning.scorers import Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def filled(texts: Sequence[str], **options: Any) -> Experiment:
    """An experiment whose cells have these answers, one after another; nobody was asked."""
    rows = [{"text": f"t{i}", "label": "x"} for i in range(1, 3)]
    given: dict[str, Any] = {"data": rows, "repeats": 2, "store": "off"} | options
    experiment = Experiment(["a {{ text }}", "b {{ text }}"], **given)
    for cell, text in zip(experiment.cells, texts, strict=False):
        experiment._responses[cell.index] = _saying(cell, text)
    return experiment


def _saying(cell: Any, text: str) -> Response:
    return Response(cell=cell, status=Status.OK, output=text, scores={"exact": Score(1.0)})


def as_text(experiment: Experiment) -> str:
    return grid_record(experiment)[0]["text/plain"]


def as_html(experiment: Experiment, **options: Any) -> str:
    return grid_record(experiment, **options)[0]["text/html"]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("differences", [False, True])
def test_record_is_of_the_closed_vocabulary_whatever_a_model_writes(payload: str, differences: bool) -> None:
    prompt = Prompt(name="p", text="{{ text }} " + payload, system=payload, raw=True)
    experiment = filled([])
    experiment = Experiment(
        [prompt, prompt.revise("b" + payload, system=None)], data=[{"text": payload, "id": "<b>"}], store="off"
    )
    for cell in experiment.cells:
        experiment._responses[cell.index] = Response(
            cell=cell,
            status=Status.ERROR if cell.repeat else Status.OK,
            output=payload + str(cell.variant.index),
            error=payload if cell.repeat else "",
            scores={"exact": Score(0.0, payload)},
        )
    check(as_html(experiment, differences=differences))


def test_record_holds_prompts_parameters_answers_and_verdict() -> None:
    experiment = filled(["one", "one", "two", "three"] * 2, params={"temperature": 0.5}, scorers="exact:label")
    bundle, metadata = grid_record(experiment)
    for words in ("a {{ text }}", "temperature=0.5", "×2", "Verdict", "2 answers, all the same", "✓ exact"):
        assert words in bundle["text/html"]
        assert words in bundle["text/plain"] or words == "temperature=0.5"
    assert "not asked" not in bundle["text/plain"]
    kept: Any = metadata["vig_notebook"]
    assert (kept["state"], kept["answers"], kept["parameters"]) == ("DONE", 8, [{"temperature": 0.5}] * 2)
    assert "p2@v1 against p1@v1" in kept["verdict"]


def test_record_says_what_was_not_asked_and_how_to_ask_it() -> None:
    experiment = filled(["one"])
    assert "not asked" in as_text(experiment)
    assert "7 stopped or not asked: run the cell again, and they alone are asked" in as_text(experiment)
    assert grid_record(experiment)[1]["vig_notebook"]["state"] == "STOPPED"  # type: ignore[index]  # a dict, as above


def test_record_has_no_more_rows_than_a_notebook_bears() -> None:
    rows = [{"text": f"t{i}"} for i in range(MOST_ROWS + 3)]
    html = as_html(filled([], data=rows, repeats=1))
    assert html.count("<tr>") == MOST_ROWS + 1
    assert "3 rows not shown here: see df" in html


def test_record_masks_keys() -> None:
    key = "vg-live-0123456789abcdefghij"
    bundle, _ = grid_record(filled([f"the key is {key}"] * 8))
    assert key not in bundle["text/html"] + bundle["text/plain"]


KEY = "open-sesame-and-be-quick"
"""Nothing about it looks like a key."""


def echoing() -> Experiment:
    """An experiment whose server says its key everywhere, also where a text is cut, and so does its judge."""
    server = Endpoint(base_url="http://127.0.0.1:9/v1", api_key=Secret(KEY))
    experiment = Experiment(
        [Prompt(name="p", text="a " + KEY).revise("b " + KEY), "c"],
        data=[{"text": "x"}, {"text": "y"}],
        repeats=2,
        store="off",
        base_url=server.base_url,
        api_key=KEY,
    )
    for cell in experiment.cells:
        experiment._responses[cell.index] = Response(
            cell=cell,
            status=Status.ERROR if cell.repeat else Status.OK,
            output="." * (cell.index * 7) + KEY,
            error=f"the key {KEY} is wrong" if cell.repeat else "",
            scores={"judge": Score(0.0, "." * 80 + KEY)},
            endpoint=server,
        )
    return experiment


@pytest.mark.parametrize("differences", [False, True])
def test_record_masks_the_key_of_the_server_whatever_it_looks_like(differences: bool) -> None:
    bundle, metadata = grid_record(echoing(), differences=differences)
    assert KEY[:8] not in bundle["text/html"] + bundle["text/plain"] + str(metadata)
    assert "••••" in bundle["text/html"]


def test_folded_row_masks_the_key_of_the_server_also_where_it_is_cut(widgets: None) -> None:
    experiment = echoing()
    for cell in experiment.cells:
        old = experiment._responses[cell.index]
        experiment._responses[cell.index] = replace(old, output="." * 60 + KEY)
    view = GridView(experiment, stays=True)
    board = view._board
    board.take(experiment.responses)
    board.earn(1.0)
    board.paint()
    for row in board.rows.values():
        assert KEY[:8] not in str([place._output.outputs for place in row._places.values()])
        row.fold(board.responses, differences=False)
        assert row._summary is not None
        assert KEY[:8] not in str(row._summary.outputs)
        assert "••••" in str(row._summary.outputs)


def test_rating_masks_the_key_of_the_server(widgets: None) -> None:
    shown = str([side.outputs for side in RatingView(echoing().rate(seed=1))._sides])
    assert KEY[:8] not in shown
    assert "••••" in shown


def test_differences_strike_out_what_went_and_stress_what_came() -> None:
    html = changes_html("the red car", "the blue car")
    assert '<s class="vig-went">red</s>' in html
    assert '<strong class="vig-came">blue</strong>' in html
    assert "the same" in changes_html("the red car", "the red car\n")
    assert "too long" in changes_html("a" * 4_000, "b")
    assert changes_html("Is it good?", "What <b> fits") == (
        '<pre><s class="vig-went">Is it good?\n</s><strong class="vig-came">What &lt;b&gt; fits\n</strong></pre>'
    )


def test_strip_names_the_scores_on_which_it_looked_for_flips() -> None:
    experiment = filled(["one"] * 8, scorers=["exact:label", "json"])
    strip = strip_of(experiment)
    assert "No example flipped on exact or json." in strip.plain
    assert "No example flipped on exact or json so far." in replace(strip, interim=True).plain
    for cell in experiment.cells:
        scores = {"exact": Score(1.0), "json": Score(float(cell.variant.index == 0 or cell.example.id == "1"))}
        experiment._responses[cell.index] = replace(experiment._responses[cell.index], scores=scores)
    strip = strip_of(experiment)
    assert "1 example flipped; read these first:\n2: broken on json in p2@v1, passed 100 %" in strip.plain
    assert "1 example flipped so far." in replace(strip, interim=True).plain


def test_repeats_are_folded_and_the_most_frequent_comes_first() -> None:
    experiment = filled([])
    cells = experiment.cells[:4]
    found = [_saying(cell, text) for cell, text in zip(cells, ("b", "a", "a ", "c"), strict=True)]
    assert [(group.text.strip(), len(group.responses)) for group in distinct(found)] == [("a", 2), ("b", 1), ("c", 1)]
    assert cell_facts(found)[0] == "4 answers, 3 different"


def test_header_says_how_far_it_is_and_what_slows_it() -> None:
    now = Progress(
        done=3, total=9, cached=1, failed=1, in_flight=2, tokens=1234, eta_s=150.0, pause_left_s=3.2, note=""
    )
    assert " · ".join(header_facts(now, failures=1)) == (
        "3 of 9 done · 1 cached · 1 failed · 2 streaming · 1,234 tokens · about 2 min left · "
        "slowed by the server (429 or 503), 3 s left"
    )
    assert " · 1 failed · 2 examples set aside · 2 streaming" in " · ".join(header_facts(now, failures=1, aside=2))
    assert header_facts(replace(now, cached=0), failures=0, aside=1)[1] == "1 example set aside"


def test_live_header_says_what_is_set_aside(widgets: None) -> None:
    rows = [{"text": f"t{i}"} for i in range(8)]
    view = GridView(filled(["one"] * 24, data=rows, holdout=0.25), stays=True)
    view._show_header()
    assert "2 examples set aside" in view._header._status.value


@pytest.fixture
def fast() -> Iterator[Demo]:
    with demo() as server:
        yield server


def until(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def asking(server: Demo, prompts: Any, **options: Any) -> Experiment:
    given: dict[str, Any] = {"base_url": server.server.base_url, "api_key": server.server.token}
    return Experiment(prompts, **given | {"models": "demo", "store": "off"} | options)


def run_in_view(experiment: Experiment) -> GridView:
    view = GridView(experiment)
    experiment.watch(view)
    _ = experiment.run()
    view.begin()
    assert experiment.wait(LIMIT_S)
    until(lambda: len(view.box.children) == 1)
    return view


def test_view_gives_way_to_the_record_at_the_end(widgets: None, fast: Demo) -> None:
    experiment = asking(fast, "Describe {{ text }}", data=[{"text": f"t{i}"} for i in range(12)], repeats=2)
    view = run_in_view(experiment)
    (output,) = view.box.children
    assert output.outputs[0]["data"]["text/html"] == as_html(experiment)
    assert view._ended


def broken(*_given: object, **_named: object) -> object:
    raise ValueError("a bug in the verdict")


def test_view_that_has_ended_takes_no_part_in_what_follows(
    widgets: None, fast: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = asking(fast, "Describe rain")
    run_in_view(experiment)
    refused = GridView(experiment)
    experiment.watch(refused)
    refused.fail(ConfigError("Nothing can be asked"))
    made: list[object] = []
    monkeypatch.setattr(board_module, "LiveAnswer", lambda *_, **__: made.append(1))  # a view's part in each answer
    experiment.retry(experiment.cells[0])
    assert experiment.wait(LIMIT_S)
    assert made == []


def test_record_that_cannot_be_made_gives_way_to_a_card(
    widgets: None, fast: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "grid_record", broken)
    shown = run_in_view(asking(fast, "Describe rain")).box.children[0].outputs[0]["data"]["text/html"]
    for words in ("The record cannot be made", "ValueError", "see df of the experiment"):
        assert words in shown
    assert "a bug in the verdict" not in shown  # which may quote a server


def test_verdict_that_cannot_be_found_holds_up_no_answer(
    widgets: None, fast: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "strip_of", broken)
    experiment = asking(fast, "Describe rain")
    experiment.run()
    assert experiment.wait(LIMIT_S)
    view = GridView(experiment, stays=True)
    view.scored(experiment.cells[0], experiment.responses[0])
    view.begin()
    until(lambda: view._strip.outputs)
    assert "The verdict cannot be found" in view._strip.outputs[0]["data"]["text/html"]
    assert not view._strip_busy
    view._close.click()
    until(lambda: len(view.box.children) == 1)
    assert "1 answer" in view.box.children[0].outputs[0]["data"]["text/html"]


def test_view_that_is_opened_in_the_middle_shows_what_streams_and_ends(
    widgets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "HEADER_S", 0.0)
    with demo(pace=200) as server:
        experiment = asking(server, "Write a story about {{ text }}", data=[{"text": "a"}, {"text": "b"}], repeats=1)
        experiment.run()
        until(lambda: len(experiment.runs) == 2)
        view = GridView(experiment)
        experiment.watch(view)
        view.begin()
        places = [("1", 0), ("2", 0)]
        until(lambda: len(view._board.rows) == 2)
        shown = [view._board.rows[place[0]]._places[place]._output for place in places]
        until(lambda: all("vig-one" in str(output.outputs) for output in shown))
        assert experiment.running
        experiment.stop(experiment.cells[0])
        until(lambda: 0 in view._board.responses)
        experiment.stop()
        assert experiment.wait(LIMIT_S)
        until(lambda: len(view.box.children) == 1)
        assert not view._board._live[places[0]]


def test_view_of_an_experiment_that_is_all_cached_ends_at_once(widgets: None, fast: Demo) -> None:
    experiment = asking(fast, "Describe rain")
    experiment.run().wait(LIMIT_S)
    assert "1 answer" in run_in_view(experiment).box.children[0].outputs[0]["data"]["text/html"]


def test_view_keeps_within_its_budget_of_messages(widgets: None, fast: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "BURST", 50.0)
    monkeypatch.setattr(board_module, "SCREENFUL", 1)
    experiment = asking(fast, "Describe {{ text }}", data=[{"text": f"t{i}"} for i in range(150)], repeats=1)
    began = time.monotonic()
    view = run_in_view(experiment)
    allowed = 50 + board_module.RATE_PER_S * (time.monotonic() - began) + board_module.MOST_PER_TICK
    assert sum(row.cost for row in view._board.rows.values()) <= allowed
    assert len(view._board.rows) < 150


def test_view_that_stays_retries_switches_and_closes(widgets: None) -> None:
    with demo() as server:
        experiment = asking(server, ["Describe rain", "Describe snow"], models=["demo", "demo-500"])
        experiment.run()
        assert experiment.wait(LIMIT_S)
        view = GridView(experiment, stays=True)
        experiment.watch(view)
        view.begin()
        until(lambda: not view._board.dirty and view._board.rows)
        view._header._differences.value = True
        until(lambda: "vig-came" in str(view._board.rows["1"]._places[("1", 2)]._output.outputs))
        before = [one.started_at for one in experiment.responses if one.status is Status.ERROR]
        view._header._retry.click()
        until(lambda: experiment.running or experiment.responses[1].started_at not in before)
        assert experiment.wait(LIMIT_S)
        view._close.click()
        until(lambda: len(view.box.children) == 1)
        assert "2 failed" in view.box.children[0].outputs[0]["data"]["text/html"]
        assert not engine().askers


def test_rating_view_takes_keys_and_shows_names_only_at_the_end(widgets: None) -> None:
    experiment = filled(["one", "one", "two", "three"] * 2)
    rating = experiment.rate(seed=1)
    view = RatingView(rating)
    shown = str([side.outputs for side in view._sides])
    assert "p1@v1" not in shown
    assert "p2@v1" not in shown
    for key in ("1", "u", "x", "ArrowRight", "ArrowLeft", "0"):
        view._receive(None, {"kind": "key", "key": key}, None)
    assert (rating.position, rating.voted) == (1, 1)
    view.press("2")
    (output,) = view.box.children
    html = output.outputs[0]["data"]["text/html"]
    check(html)
    assert "1 tie" in html
    assert rating_record(rating)["text/html"] == html
    view.press("1")
    assert rating.voted == 2
