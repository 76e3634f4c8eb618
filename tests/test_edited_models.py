"""Models that are edited and compiled again while a process lives: each deck is simulated with its own."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spicebridge.cluster import run_on_cluster
from spicebridge.deck import Deck, DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import make_deck
from spicebridge.simulator import NgspiceSimulator, SimulationError, Waveforms, ngspice, ngspice_version
from spicebridge.store import Values
from spicebridge.sweep import Engine, Unit
from spicebridge.workers import Pool, Task, simulate
from tests.on_workers import on_workers

pytestmark = pytest.mark.usefixtures("results")

SOURCE = """`include "disciplines.vams"
module {module}(a, b);
inout a, b; electrical a, b;
parameter real r = {r};
analog I(a, b) <+ V(a, b) / r;
endmodule
"""


def edited(folder: Path, r: str, *, module: str = "va_edited", file: str = "model") -> Deck:
    """A volt on a model that was just written: a resistor of ``r``."""
    (folder / f"{file}.va").write_text(SOURCE.format(module=module, r=r))
    text = f".control\npre_osdi {file}.osdi\n.endc\nv1 a 0 1\nn1 a 0 card\n.model card {module}\n.op"
    return make_deck(text, folder=folder, name="edited")


def current(recorded: Waveforms) -> float:
    return -float(recorded["i(v1)"][0])


def current_values(recorded: Waveforms) -> Values:
    return {"i": -recorded["i(v1)"]}


def current_and_process(recorded: Waveforms) -> tuple[float, int]:
    return current(recorded), os.getpid()


def in_a_script(decks: list[Deck]) -> Iterator[float]:
    for deck in decks:
        yield ngspice().measured(deck, current)


def in_a_pool(decks: list[Deck]) -> Iterator[float]:
    with Pool(workers=1) as pool:
        for deck in decks:
            ((_, answer),) = pool.run([Task(deck, current)])
            yield answer.value


def on_a_machine_of_a_cluster(decks: list[Deck]) -> Iterator[float]:
    version = ngspice_version()
    with ThreadPoolExecutor(1) as executor:  # whose one thread keeps its process from sweep to sweep
        for deck in decks:
            ((_, answer),) = run_on_cluster(executor, [Task(deck, current)], time_limit=60, engine=version)
            yield answer.value


@pytest.mark.parametrize("where", [in_a_script, in_a_pool, on_a_machine_of_a_cluster])
def test_an_edited_model_is_the_new_one(
    tmp_path: Path, where: Callable[[list[Deck]], Iterator[float]]
) -> None:
    decks = [edited(tmp_path, r) for r in ("1k", "2k", "4k", "1k")]
    assert list(where(decks)) == pytest.approx([1e-3, 0.5e-3, 0.25e-3, 1e-3])


@pytest.mark.parametrize("module", ["VA_EDITED", "Va_Edited"])
def test_names_that_differ_in_case_only_are_one(tmp_path: Path, module: str) -> None:
    decks = [edited(tmp_path, "1k"), edited(tmp_path, "2k", module=module, file="other")]
    decks.append(replace(decks[1], text=decks[1].text.replace(module, module.swapcase())))
    assert list(in_a_pool(decks)) == pytest.approx([1e-3, 0.5e-3, 0.5e-3])


@pytest.mark.parametrize("workers", [1, 2])
def test_models_of_one_name_in_turn_are_each_its_own_without_a_process_for_each(
    tmp_path: Path, workers: int
) -> None:
    decks = [edited(tmp_path, f"{k}k") for k in (1, 2, 5)]
    tasks = [Task(decks[index % 3], current_and_process) for index in range(90)]
    answers = on_workers(tasks, workers=workers)
    values = np.array([answers[index].value for index in range(90)])
    assert values[:, 0] == pytest.approx(np.tile([1e-3, 0.5e-3, 0.2e-3], 30))
    assert len(set(values[:, 1])) < 12


def test_a_deck_without_its_model_is_not_simulated_with_one_that_an_earlier_deck_loaded(
    tmp_path: Path,
) -> None:
    whole_deck = edited(tmp_path, "1k")
    bare = replace(whole_deck, models=())
    unconcerned = replace(bare, text=bare.text.replace("n1 a 0 card\n.model card va_edited", "r1 a 0 1k"))
    tasks = [Task(each, current) for each in (whole_deck, bare, unconcerned, whole_deck)]
    answers = on_workers(tasks, workers=1)
    assert isinstance(answers[1].error, SimulationError)
    assert [answers[at].value for at in (0, 2, 3)] == pytest.approx([1e-3, 1e-3, 1e-3])


def test_two_models_of_one_name_in_a_deck_are_refused(tmp_path: Path) -> None:
    for file, r in (("first", "1k"), ("second", "2k")):
        edited(tmp_path, r, file=file)
    (tmp_path / "copy.va").write_text((tmp_path / "first.va").read_text())
    text = (
        "v1 a 0 1\nn1 a 0 card\n.model card va_edited\n.op\n.control\npre_osdi first.osdi\npre_osdi {}\n.endc"
    )
    with pytest.raises(
        DeckError, match=r"two models of one name: va_edited of .*first\.va and va_edited of "
    ):
        make_deck(text.format("second.osdi"), folder=tmp_path, name="mine")
    twice = make_deck(text.format("copy.osdi"), folder=tmp_path, name="mine")
    assert current(simulate(twice)) == pytest.approx(1e-3)


def test_what_is_stored_is_the_value_of_the_model_that_names_it(tmp_path: Path) -> None:
    engine = Engine(store=tmp_path / "points.sqlite", workers=1, version="ngspice-test")
    units = [Unit(edited(tmp_path, r), current_values, {}) for r in ("1k", "2k", "1k", "2k")]
    for _ in range(2):  # simulated, and from the store
        for unit, expected in zip(units, [1e-3, 0.5e-3, 1e-3, 0.5e-3], strict=True):
            (outcome,) = engine.run([unit])
            assert outcome.values is not None
            assert outcome.values["i"] == pytest.approx(expected)


def test_a_model_edited_while_its_sweep_runs_stays_the_one_that_the_sweep_began_with(tmp_path: Path) -> None:
    engine = Engine(store=tmp_path / "points.sqlite", workers=1, version="ngspice-test")
    deck = edited(tmp_path, "1k")
    units = [Unit(replace(deck, text=f"{deck.text}\n.param p={n}"), current_values, {}) for n in range(20)]
    with closing(engine.stream(units)) as stream:
        ended = [next(stream)]
        edited(tmp_path, "2k")
        ended += stream
    assert [float(outcome.values["i"][0]) for _, outcome in ended if outcome.values] == pytest.approx(
        [1e-3] * 20
    )


def test_a_process_that_holds_another_model_refuses(tmp_path: Path) -> None:
    """The last guard, should anything else hand a deck to the wrong process."""
    decks = [edited(tmp_path, "1k"), edited(tmp_path, "2k")]
    said = on_workers([Task(decks[0], refusal_of_the_other)], workers=1)[0].value
    assert "keeps another va_edited" in said


def refusal_of_the_other(recorded: Waveforms) -> str:  # noqa: ARG001  # a measure
    from spicebridge.simulator import in_this_process

    simulator: NgspiceSimulator = in_this_process()
    folder = Path(os.environ["SPICEBRIDGE_RESULTS"])
    with pytest.raises(SimulationError) as caught:
        simulator.run(edited(folder, "2k"))
    return str(caught.value)


# Measures, which are edited too


MEASURE = "def measure(recorded):\n    return {{'i': {factor} * recorded['i(v1)']}}\n"


@pytest.fixture
def measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of one measure, which workers find too."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    path = tmp_path / f"measures_of_{tmp_path.name}.py"
    path.write_text(MEASURE.format(factor=1))
    return path


def unit_of(measures: Path, text: str) -> Unit:
    return Unit(Deck(f"{text}\nv1 a 0 1\nr1 a 0 1\n.op"), importlib.import_module(measures.stem).measure, {})


def test_a_measure_edited_between_sweeps_is_the_new_one_on_a_machine_that_kept_its_process(
    tmp_path: Path, measures: Path
) -> None:
    with ThreadPoolExecutor(1) as executor:
        engine = Engine(
            store=tmp_path / "points.sqlite", workers=1, version=ngspice_version(), executor=executor
        )
        for factor in (1, 2, 30, 1):
            measures.write_text(MEASURE.format(factor=factor))
            importlib.invalidate_caches()
            (outcome,) = engine.run([unit_of(measures, "")])
            assert outcome.values is not None
            assert outcome.values["i"] == pytest.approx(-factor)


def test_a_measure_edited_while_its_sweep_runs_stops_it_and_stores_nothing_wrong(
    tmp_path: Path, measures: Path
) -> None:
    engine = Engine(store=tmp_path / "points.sqlite", workers=1, version="ngspice-test")
    # The process of the first deck is replaced after it; the next one reads the measure anew.
    units = [unit_of(measures, ".control\nset left=1\n.endc"), unit_of(measures, "r2 a 0 1")]
    stream = engine.stream(units)
    assert next(stream)[1].values == {"i": pytest.approx([-1.0])}
    measures.write_text(MEASURE.format(factor=2))
    with pytest.raises(
        SpicebridgeError, match=r"the code of measures_of\w+ is not what it was when the sweep"
    ):
        next(stream)
    again = engine.run(units)
    assert [each.values["i"][0] for each in again if each.values] == pytest.approx([-2.0, -4.0])
    measures.write_text(MEASURE.format(factor=1))
    counted: list[int] = []
    before = replace(engine, counts=lambda *counts: counted.extend(counts))
    assert [each.values["i"][0] for each in before.run(units) if each.values] == pytest.approx([-1.0, -2.0])
    assert counted == [1, 1]
