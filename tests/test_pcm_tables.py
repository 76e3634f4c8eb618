"""The phase-change tables: regression against known laws, statistics against the cells they came from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from characterization.definition import Definition, DefinitionError, cell_kind, load_definition
from characterization.local_regression import extended, local_linear, reaches
from characterization.pcm_set import spread
from characterization.run import definition_of, make_table
from characterization.verify import plan, verify
from circuits.pcm_cell import PcmCell
from spicebridge.bare import BareEngine
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable

Array = NDArray[np.float64]
TABLES = ("pcm_set", "pcm_reset", "pair_read")
LINE = PcmCell().bit_line["c"] * PcmCell().v_supply ** 2  # J, a bit line's charge in a pulse
G = [0.05e-6, 0.1e-6, 0.6e-6, 1.5e-6, 3e-6, 4.5e-6, 6e-6, 9e-6, 20e-6]
SWEEPS: dict[str, dict[str, Any]] = {
    "pcm_set": {
        "i_set": 90e-6, "t_set": 50e-9, "i_reset": 440e-6, "t_reset": 300e-9, "u_start": 20e-9, "pulses": 4,
        "first_seed": 1, "g": G, "devices": 256,
    },
    "pcm_reset": {
        "i_reset": 440e-6, "t_reset": 300e-9, "first_seed": 1, "g": [1e-6, 10e-6], "devices": 64,
    },
    "pair_read": {
        "v_read": 0.2, "t_in": [2e-9, 50e-9, 200e-9], "noise_seed": 1, "g": [0.05e-6, 1e-6, 5e-6, 20e-6],
        "g_pair": [1e-6, 5e-6, 20e-6], "age": [1.0, 38.6, 3.2e7], "reads": 128,
    },
}  # fmt: skip


def small(name: str, **changes: Any) -> Definition[Any]:
    cell = changes.pop("cell", PcmCell())
    return replace(load_definition(name, size="quick"), sweep=SWEEPS[name] | changes, cell=cell)


@pytest.fixture(scope="module")
def made(compiled_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LookupTable]]:
    """A small table of each procedure."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "cache").mkdir()
    (folder / "cache" / "models").symlink_to(compiled_models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder))
        engine = Engine(store=folder / "store", workers=2, version="ngspice-46")
        yield {name: make_table(small(name), engine) for name in TABLES}


@pytest.fixture
def engine(results: Path) -> Engine:
    return Engine(store=results / "store", workers=2, version="ngspice-46")


# Local-linear regression


def scattered(seed: int, count: int, *, noise: float = 1.0) -> tuple[Array, Array]:
    """Samples of y = 2 - 0.3 x with a spread of 0.5 + 0.1 x."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, count)
    return x, 2 - 0.3 * x + noise * (0.5 + 0.1 * x) * rng.normal(size=count)


def test_a_line_without_noise_is_found_exactly() -> None:
    x, y = scattered(1, 400, noise=0.0)
    at = np.array([2.0, 5.0, 8.0])
    found = local_linear(x, y, at=at, width=np.full(3, 2.0))
    assert found.mean == pytest.approx(2 - 0.3 * at, rel=1e-9)
    assert found.std == pytest.approx(0.0, abs=1e-7)


def test_mean_and_spread_of_samples_are_found_within_their_errors() -> None:
    at = np.array([1.0, 5.0, 9.0])
    scores = []
    for seed in range(200):
        found = local_linear(*scattered(seed, 2000), at=at, width=np.full(3, 1.0))
        away = found.mean - (2 - 0.3 * at), found.std - (0.5 + 0.1 * at)
        scores.append([away[0] / found.mean_se, away[1] / found.std_se])
    # Scores are standard normal if the errors are right: their spread is 1 within four of its own errors.
    assert np.array(scores).std(axis=0) == pytest.approx(1.0, abs=4 / np.sqrt(400))
    assert np.abs(np.array(scores).mean(axis=0)).max() < 4 / np.sqrt(200) + 0.1


def test_nothing_is_extrapolated_and_few_samples_are_no_estimate() -> None:
    x, y = scattered(2, 3000)
    found = local_linear(x, y, at=np.array([-1.0, 5.0, 11.0]), width=np.full(3, 3.0))
    assert found.supported.tolist() == [False, True, False]
    few = local_linear(x[:30], y[:30], at=np.array([5.0]), width=np.array([1.0]))
    assert not few.supported[0]
    assert math.isnan(few.mean[0])
    assert few.n_samples[0] < 30


def test_an_extension_takes_the_nearest_supported_value_and_says_so() -> None:
    x, y = scattered(3, 3000)
    at = np.array([-3.0, -1.0, 5.0, 9.0, 12.0])
    found = local_linear(x, y, at=at, width=reaches(at))
    whole = extended(found, at)
    assert whole.supported.tolist() == [False, False, True, True, False]
    assert whole.mean.tolist() == [found.mean[place] for place in (2, 2, 2, 3, 3)]
    nowhere = local_linear(x, y, at=np.array([20.0]), width=np.array([1.0]))
    with pytest.raises(ValueError, match="no point has support"):
        extended(nowhere, np.array([20.0]))


def test_the_errors_of_mean_and_spread_are_those_of_repeated_samples() -> None:
    rng = np.random.default_rng(4)
    told = [spread(rng.exponential(2.0, 500), "x") for _ in range(400)]
    for name in ("x_mean", "x_std"):
        errors = [each[f"{name}_se"] for each in told]
        assert np.std([each[name] for each in told]) == pytest.approx(np.mean(errors), rel=0.15)


# pcm_set


def iterated(table: LookupTable, *, cells: int, rng: np.random.Generator) -> Array:
    """Conductances drawn pulse after pulse from the table's own mean and spread, (pulses + 1, cells)."""
    low, high = table.data["g"].values[[0, -1]]
    start = rng.normal(float(table.data["g_mean"][0]), float(table.data["g_std"][0]), cells)
    g = [np.clip(start, low, high)]
    for pulse in table.data["pulse"].values:
        mean, std = (table.read(f"delta_g_{name}", pulse=pulse, g=g[-1]) for name in ("mean", "std"))
        g.append(np.clip(g[-1] + rng.normal(mean, std), low, high))
    return np.array(g)


def allowed(table: LookupTable, name: str, *, share: float) -> Array:
    """A share of an accumulation curve, and three of its standard errors."""
    return (share * table.data[name] + 3 * table.data[f"{name}_se"]).values[1:]


def holds_together(table: LookupTable) -> None:
    """Draws from the table follow the cells it came from."""
    drawn = iterated(table, cells=20_000, rng=np.random.default_rng(1))[1:]
    mean, std = (table.data[name].values[1:] for name in ("g_mean", "g_std"))
    assert np.all(np.abs(drawn.mean(axis=1) - mean) < allowed(table, "g_mean", share=0.05))
    assert np.all(np.abs(drawn.std(axis=1) - std) < allowed(table, "g_std", share=0.10))


def test_drawing_from_the_table_gives_the_cells_accumulation_curve(made: dict[str, LookupTable]) -> None:
    holds_together(made["pcm_set"])


@pytest.mark.slow
def test_drawing_from_a_whole_train_gives_the_cells_accumulation_curve(engine: Engine) -> None:
    definition = load_definition("pcm_set", size="quick", overrides={"devices": 2048})
    holds_together(make_table(definition, engine))


def test_the_mean_change_is_that_of_the_accumulation_curve(made: dict[str, LookupTable]) -> None:
    """The first pulse finds all cells at one conductance, so that it moves the mean by its own mean."""
    data = made["pcm_set"].data
    names = ("delta_g_mean", "delta_g_mean_se")
    first, error = (float(data[name].sel(pulse=1, g=0.1e-6)) for name in names)
    moved = float(data["g_mean"][1] - data["g_mean"][0])
    assert first == pytest.approx(moved, abs=3 * error)
    assert np.all(np.diff(data["g_mean"]) > 0)


def test_support_is_where_the_samples_are(made: dict[str, LookupTable]) -> None:
    data = made["pcm_set"].data
    support, samples = data["support"].values, data["n_samples"].values
    assert set(np.unique(support)) == {0.0, 1.0}
    assert np.all(samples[support == 1] >= 30)
    assert support[0, G.index(0.1e-6)] == 1
    assert np.all(support[0, G.index(3e-6) :] == 0)  # no cell is there before its first pulse
    assert np.all(support[:, -1] == 0)
    assert np.all(np.isfinite(data["delta_g_mean"]))
    assert np.all(data["delta_g_std"] > 0)


def test_a_set_pulse_costs_its_charge_and_ends_when_the_cell_is_cold(made: dict[str, LookupTable]) -> None:
    data = made["pcm_set"].data
    assert data["energy"].values == pytest.approx(3.3 * 90e-6 * 50e-9 + LINE, rel=0.02, abs=0.0)
    assert np.all((data["latency"] > 75e-9) & (data["latency"] < 90e-9))
    cell = PcmCell()
    whole_line = cell.columns * cell.c_word * cell.gate_level(90e-6) * cell.v_word
    assert float(data["energy_word_line"]) == pytest.approx(whole_line, rel=0.08, abs=0.0)
    assert int(data["n_devices"]) == made["pcm_set"].lineage["samples"] == 256


def test_a_grid_without_any_sample_is_refused(engine: Engine) -> None:
    with pytest.raises(DefinitionError, match=r"no value of g has enough samples before SET pulse 1"):
        make_table(small("pcm_set", pulses=1, g=[5e-6, 10e-6], devices=64), engine)


# pcm_reset


def test_a_reset_leaves_little_whatever_it_finds(made: dict[str, LookupTable]) -> None:
    data = made["pcm_reset"].data
    assert np.all((data["g_after_mean"] > 0.02e-6) & (data["g_after_mean"] < 0.3e-6))
    difference = float(np.diff(data["g_after_mean"])[0])
    assert abs(difference) < 4 * float(np.hypot(*data["g_after_mean_se"]))
    assert data["energy"].values == pytest.approx(3.3 * 440e-6 * 300e-9 + LINE, rel=0.02, abs=0.0)
    assert made["pcm_reset"].lineage["samples"] == 128


def test_resets_seeds_come_from_conductances_and_not_from_places(
    made: dict[str, LookupTable], engine: Engine
) -> None:
    alone = make_table(small("pcm_reset", g=[10e-6]), engine)
    whole = made["pcm_reset"].data.sel(g=[10e-6])
    assert alone.data["g_after_mean"].values == pytest.approx(whole["g_after_mean"].values, rel=1e-12)


# pair_read


def test_a_pairs_current_is_odd_in_the_pair_and_in_the_input(made: dict[str, LookupTable]) -> None:
    current = made["pair_read"].data["current"].values
    assert current == pytest.approx(-np.swapaxes(current, 1, 2), rel=1e-6, abs=1e-15)
    assert current[0] == pytest.approx(-current[1], rel=0.01, abs=1e-15)
    assert np.all(np.diff(current[1], axis=0) > 0)


def test_charge_is_linear_in_the_inputs_width(made: dict[str, LookupTable]) -> None:
    data = made["pair_read"].data
    current = data["current"].sel(age=38.6).values  # t_0: neither drifted nor fresh
    for place, t_in in enumerate(data["t_in"].values):
        charge = data["charge"].values[..., place]
        assert charge == pytest.approx(current * t_in, rel=5e-3, abs=1e-22)
    # The word line is opened for each input; it has hardly filled when the shortest one ends.
    energy = (data["energy"] - data["energy_word_line"] * 2 / PcmCell().columns).values
    steps = np.diff(energy, axis=-1) / np.diff(data["t_in"].values)
    assert steps[..., 0] == pytest.approx(steps[..., 1], rel=0.01)


def test_conductance_drifts_by_the_published_law(made: dict[str, LookupTable]) -> None:
    data = made["pair_read"].data
    drift = (data["g_read"] / data["g_read"].sel(age=38.6)).values
    law = (data["age"].values / 38.6) ** -0.04
    assert drift == pytest.approx(np.broadcast_to(law, drift.shape), rel=0.02)


def test_read_noise_is_the_published_law_seen_through_the_series_resistance(
    made: dict[str, LookupTable],
) -> None:
    data = made["pair_read"].data
    g = data["g"].values
    seen = data["g_read"].sel(age=38.6).values / g
    # What of a change of g the input sees falls with the square of what it sees of g, the sinh apart.
    law = (0.03 * g + 0.13e-6) * seen**2
    noise, error = (data[name].sel(age=38.6).values for name in ("g_noise", "g_noise_se"))
    certain = g > 0.5e-6  # below, noise of four sigma would make conductances negative: the model stops them
    assert np.all(np.abs(noise - law)[certain] < (0.08 * law + 4 * error)[certain])
    assert np.all(noise[~certain] < law[~certain])
    assert error / noise == pytest.approx(1 / np.sqrt(2 * SWEEPS["pair_read"]["reads"]), rel=0.5)


def test_a_pairs_noise_is_that_of_two_independent_cells(made: dict[str, LookupTable]) -> None:
    data = made["pair_read"].data
    single = data["g_noise"].sel(g=data["g_p"].values).values
    wanted = 0.2 * np.sqrt(single[:, None] ** 2 + single**2)
    for polarity in ("negative", "positive"):
        assert data["noise"].sel(polarity=polarity).values == pytest.approx(wanted, rel=1e-9, abs=0.0)


def test_reads_settle_within_the_inputs_shortest_width(made: dict[str, LookupTable]) -> None:
    settling = made["pair_read"].data["settling"].values
    assert np.all((settling >= 0) & (settling < 1.5e-9))


# What all share


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("size", ["quick", "full"])
def test_each_definition_loads_with_a_phase_change_cell(name: str, size: str) -> None:
    definition = load_definition(name, size=size)
    assert isinstance(definition, Definition)
    assert isinstance(definition.cell, PcmCell)
    assert cell_kind(name) is PcmCell
    assert set(definition.sweep) == set(SWEEPS[name])


@pytest.mark.parametrize("name", TABLES)
def test_a_table_tells_what_it_was_made_from(name: str, made: dict[str, LookupTable]) -> None:
    lineage = made[name].lineage
    assert definition_of(made[name]).cell == PcmCell()
    assert lineage["parameters"]["t_melt"]["unit"] == "K"
    assert set(lineage["netlists"]) == {
        "devices/pcm_90nm.lib", "devices/pcm.va", "cells.lib", "pcm_cells.lib", "timing.lib",
    }  # fmt: skip
    assert list(lineage["models"]) == ["pcm"]
    assert "failed" not in lineage


@pytest.mark.parametrize("name", TABLES)
def test_a_table_passes_by_the_bare_route(name: str, made: dict[str, LookupTable], results: Path) -> None:
    chosen = plan(made[name], entries=2, seed=3)
    checked = verify(chosen, engine=BareEngine(folder=results / "verify", workers=2))
    assert checked.ok, [each for each in checked.entries if not each.ok]
    assert checked.familiar
    assert checked.simulations <= chosen.simulations


def test_decks_that_fail_leave_a_hole_and_their_reasons(engine: Engine) -> None:
    """A bit line too slow for the pause after a pulse: every read is refused."""
    cell = PcmCell(c_bit=20e-15)
    table = make_table(small("pcm_set", pulses=1, devices=4, cell=cell), engine)
    assert table.empty
    (hole,) = table.holes
    assert "has not settled" in hole["why"]
    holed = make_table(small("pcm_reset", g=[1e-6], devices=4, cell=cell), engine)
    assert holed.empty
    assert holed.lineage["samples"] == 0


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("pcm_set", {"pulses": 0}, "pulses = 0 should be a whole number of at least 1"),
        ("pcm_set", {"devices": 1}, "devices = 1 should be a whole number of at least 2"),
        ("pcm_set", {"first_seed": 2**29 - 10}, "go beyond the largest seed"),
        ("pcm_set", {"i_set": -1.0}, "i_set = -1.0 should be a positive number"),
        ("pcm_set", {"width": 1.0}, r"pcm_set sweep: unknown: width\. It takes"),
        ("pcm_reset", {"devices": 5000}, "do not fit a table's seeds"),
        ("pcm_reset", {"g": [1e-6, 90e-6]}, "so g cannot reach from 1 to 90 uS"),
        ("pair_read", {"g_pair": [2e-6]}, "is not on the g axis"),
        ("pair_read", {"reads": 33}, "should be an even number"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(
    name: str, changes: dict[str, Any], words: str, engine: Engine
) -> None:
    with pytest.raises(DefinitionError, match=words):
        make_table(small(name, **changes), engine)
