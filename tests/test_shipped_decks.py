"""The decks in ``netlists``, run by the bare program as their heads say: energies, charges and times.

The oracle of an energy is the trapezoid over the simulator's own time points, as tables take it; of the
times, the decks that are built.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from circuits import mtj_branch, pcm_write, ternary_synapse
from circuits.cell import Cell
from circuits.timing import timing_of
from spicebridge.cli import main
from spicebridge.deck import DeckError
from spicebridge.netlist import read_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import Waveforms
from spicebridge.workers import simulate

NEAR = 5e-3
# Of each deck: a measure, and the rails whose delivered power it integrates, with their voltages.
ENERGIES = (
    ("mtj_write", "energy", {"v_u": 0.5, "v_ub": -0.5, "v_e": 1.2}),
    ("synapse_read", "energy", {"v_u": 0.2, "v_ub": -0.2, "v_e1": 1.2, "v_e2": -1.2}),
    ("array_read", "energy", {"v_rail0": 0.2, "v_rail1": -0.2, "v_rail2": 0.1}),
    ("array_write", "energy", {"v_full": 0.7, "v_word": 0.35, "v_bit": 0.35}),
    ("pair_read", "energy", {"v_in": 0.2, "v_word": 2.5}),
    ("pcm_write", "energy_set", {"v_write": 3.3, "v_word": 2.5}),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of ``netlists`` with its models compiled."""
    copy = tmp_path_factory.mktemp("shipped") / "netlists"
    shutil.copytree(netlists_folder(), copy, ignore=shutil.ignore_patterns("*.osdi"))
    for model in ("stt_mtj.va", "pcm.va"):
        done = CliRunner().invoke(main, ["compile", str(copy / "devices" / model)])
        assert done.exit_code == 0, done.output
    return copy


@pytest.fixture(scope="module")
def measured(folder: Path, ngspice_program: str) -> Mapping[str, Mapping[str, float]]:
    """What the bare program measures in each deck."""
    found = {}
    for name in dict.fromkeys(name for name, _, _ in ENERGIES):
        done = subprocess.run(
            [ngspice_program, "-n", "-b", f"{name}.cir"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert "failed!" not in done.stdout + done.stderr, done.stderr
        lines = re.findall(r"^(\w+)\s+=\s+(\S+)", done.stdout, re.MULTILINE)
        found[name] = {measure: float(value) for measure, value in lines}
    return found


def recorded(name: str, **parameters: float) -> Waveforms:
    return simulate(read_deck(netlists_folder() / f"{name}.cir").with_parameters(**parameters))


@pytest.mark.parametrize(("name", "measure", "rails"), ENERGIES, ids=[each[0] for each in ENERGIES])
def test_an_energy_is_that_of_the_trapezoid_over_the_simulators_points(
    measured: Mapping[str, Mapping[str, float]], name: str, measure: str, rails: Mapping[str, float]
) -> None:
    run = recorded(name)
    time = run["time"]
    power = -sum(volts * run[f"i({rail})"] for rail, volts in rails.items())
    window = np.full(len(time), True)
    if name == "pcm_write":
        event = 50e-9 + pcm_write.T_LEAD + pcm_write.T_EDGE + pcm_write.T_COOL + pcm_write.T_IDLE
        first = event - 50e-9 + 1e-6
        window = (time >= first) & (time <= first + event)
    wanted = float(np.trapezoid(power[window], time[window]))
    assert measured[name][measure] == pytest.approx(wanted, rel=NEAR, abs=0.0)


def test_the_charge_of_a_pair_read_is_that_of_the_trapezoid(
    measured: Mapping[str, Mapping[str, float]],
) -> None:
    run = recorded("pair_read")
    wanted = float(np.trapezoid(run["i(v_p)"] - run["i(v_n)"], run["time"]))
    assert measured["pair_read"]["charge"] == pytest.approx(wanted, rel=NEAR, abs=0.0)


def test_a_write_and_a_read_of_the_mtj_cell_cost_what_their_tables_take() -> None:
    cell, write, read = Cell(), recorded("mtj_write"), recorded("synapse_read")
    deck = mtj_branch.write_deck(cell, direction="ap_to_p", v_write=0.5, seeds=[1], t_stop=5e-9, t_pulse=4e-9)
    built = mtj_branch.measure_finite_pulse(simulate(deck), devices=1, v_write=0.5, v_gate=cell.v_gate)
    assert write.measures["energy"] == pytest.approx(built["energy"][0], rel=NEAR, abs=0.0)
    built = ternary_synapse.measure_read(
        simulate(ternary_synapse.read_deck(cell, v_read=0.2, t_read=1e-9)),
        v_read=0.2, v_gate=cell.v_gate, t_read=1e-9,
    )  # fmt: skip
    at = list(ternary_synapse.STATES).index("p_ap"), list(ternary_synapse.ACTIVATIONS).index("+1")
    assert read.measures["energy"] == pytest.approx(built["energy"][at], rel=NEAR, abs=0.0)
    assert read.measures["i_out"] == pytest.approx(built["current"][at], rel=1e-3, abs=0.0)


def test_times_are_written_once_for_stand_alone_decks_and_built_ones(folder: Path, tmp_path: Path) -> None:
    later = tmp_path / "timing.lib"
    text = (folder / "timing.lib").read_text(encoding="utf-8")
    later.write_text(text.replace("t_drive=150e-12", "t_drive=400e-12"), encoding="utf-8")
    before, after = timing_of(folder / "timing.lib", "mtj_cell"), timing_of(later, "mtj_cell")
    assert {name for name in before if before[name] != after[name]} == {"t_drive"}
    assert after["t_drive"] == 400e-12
    with pytest.raises(DeckError, match=r"no section 'cell'. It has: mtj_cell, array, pcm_write, pcm_read"):
        timing_of(later, "cell")


def moved(folder: Path, tmp_path: Path, old: str, new: str) -> Path:
    """A copy of the folder in which one time is another."""
    copy = tmp_path / "netlists"
    shutil.copytree(folder, copy)
    path = copy / "timing.lib"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("name", "old", "new", "wave", "level", "wait"),
    [
        ("mtj_write", "t_drive=150e-12", "t_drive=400e-12", "v(u)", 0.25, 250e-12),
        ("synapse_read", "t_drive=150e-12", "t_drive=400e-12", "v(u)", 0.1, 250e-12),
        ("array_write", "t_drive=10e-12", "t_drive=60e-12", "v(w11)", 0.3, 50e-12),
        ("pcm_write", "t_lead=25e-9", "t_lead=45e-9", "v(bl)", 1.0, 20e-9),
        ("pair_read", "t_lead=25e-9", "t_lead=45e-9", "v(bl)", 0.1, 20e-9),
    ],
)  # fmt: skip
def test_a_stand_alone_deck_follows_the_times(
    folder: Path, tmp_path: Path, name: str, old: str, new: str, wave: str, level: float, wait: float
) -> None:
    first = [
        simulate(read_deck(place / f"{name}.cir")) for place in (folder, moved(folder, tmp_path, old, new))
    ]
    crossed = [float(run["time"][np.argmax(run[wave] > level)]) for run in first]
    assert crossed[1] - crossed[0] == pytest.approx(wait, rel=0.05)
