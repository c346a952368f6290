"""An experiment that asks the real model, as a notebook does where no key is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.test_smollm2 import pytestmark
from vig_notebook.engine import engine
from vig_notebook.servers import LocalModel
from vig_notebook.tuning import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vig_notebook.local import LocalServer

__all__ = ["pytestmark"]

LIMIT_S = 30.0


@pytest.fixture
def local_model(server: LocalServer) -> Iterator[LocalModel]:
    """The kernel's local model is the one that runs already."""
    made = LocalModel(server=server, context_size=2048)
    engine().kept["the local model"] = made
    yield made
    del engine().kept["the local model"]  # else it would end with the streaming thread


def test_experiment_of_twelve_calls_is_answered_by_the_local_model(local_model: LocalModel) -> None:
    experiment = Experiment(
        {"short": "Name a {{ thing }}.", "long": "What is a {{ thing }}? Answer in one sentence."},
        params={"temperature": 0, "max_tokens": 8},
        data=[{"thing": "fruit"}, {"thing": "colour"}, {"thing": "city"}],
        repeats=2,
        scorers="contains:thing",
        store="off",
    ).run()
    assert experiment.wait(LIMIT_S)
    answers = experiment.responses
    assert len(answers) == 12
    assert {(one.status, one.error) for one in answers} == {("ok", "")}
    assert all(one.output for one in answers)
    assert {one.endpoint and one.endpoint.name for one in answers} == {"local SmolLM2-135M"}
    assert experiment.df["tokens_out"].between(1, 8).all()
    assert experiment.df["score.contains"].notna().all()
