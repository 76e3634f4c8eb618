"""The 2T1MTJ branch: half-selection, energy, real pulses against the table's construction."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from characterization.definition import Definition
from characterization.load_line import load_line_unit, make_load_line
from characterization.mtj_write import MONTE_CARLO, characterize
from circuits.cell import DIRECTIONS, Cell, gate_sign
from circuits.mtj_branch import (
    measure_edges,
    measure_finite_pulse,
    measure_write,
    trailing_deck,
    write_deck,
)
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.sweep import Engine, Unit
from spicebridge.table import load_table
from spicebridge.workers import simulate
from tests.mtj_decks import allowed, run_all

DEVICES = 225
CELLS = [(Cell(), 0.5), (Cell(card="ptm65", w_p=0.8e-6, l_gate=65e-9, v_gate=1.0), 1.0)]


@pytest.mark.parametrize(("cell", "v_write"), CELLS, ids=["45nm", "65nm"])
@pytest.mark.parametrize("selected", [(True, False), (False, True)], ids=["only_u", "only_e"])
def test_a_half_selected_cell_stays(cell: Cell, v_write: float, selected: tuple[bool, bool]) -> None:
    units = [load_line_unit(cell, direction=each, v_write=v_write, selected=selected) for each in DIRECTIONS]
    for direction, unit, values in zip(DIRECTIONS, units, run_all(units), strict=True):
        line = make_load_line(unit.deck, values, direction=direction, temperature=cell.temperature)
        assert line.switching_probability([5e-9])[0] < 1e-6


@pytest.mark.parametrize(("cell", "v_write"), CELLS, ids=["45nm", "65nm"])
def test_the_selected_cell_is_driven_past_its_critical_current(cell: Cell, v_write: float) -> None:
    units = [load_line_unit(cell, direction=each, v_write=v_write) for each in DIRECTIONS]
    for direction, unit, values in zip(DIRECTIONS, units, run_all(units), strict=True):
        line = make_load_line(unit.deck, values, direction=direction, temperature=cell.temperature)
        start = -gate_sign(direction)
        current = abs(line.current(np.array([float(start)]))[0])
        assert current > 1.3 * line.magnet.critical_current(direction)


def test_a_lines_cycle_costs_its_charge_times_the_rail() -> None:
    """C V^2: half burnt on the way up, half on the way down, nothing handed back."""
    v, c = 0.8, 3e-15
    netlist = f"""
.include cells.lib
v_rail rail 0 {v}
v_ctl ctl 0 pwl(0 0 50p 0 70p 1 500p 1 520p 0)
x_line line rail ctl line_driver c_line={c}
.options trtol=1
.tran 0.1p 1n 0 0.1p
.meas tran charge integ i(v_rail) from=0 to=1n
"""
    drawn = -v * simulate(make_deck(netlist, folder=netlists_folder(), name="line")).measures["charge"]
    assert drawn == pytest.approx(c * v**2, rel=0.01, abs=0.0)


def test_the_load_lines_power_is_what_the_elements_burn() -> None:
    """Energy is conserved: all rails of the measured cell against the elements of the same cell."""
    netlist = """
.control
pre_osdi devices/stt_mtj.osdi
.endc
.include devices/mtj_b.lib
.include transistors/ptm45hp.lib
v_u rail_u 0 0.5
v_ub rail_ub 0 -0.5
v_e rail_e 0 1.2
r_u rail_u u 500
r_ub rail_ub ub 500
r_e rail_e e 500
v_nd u n_d 0
v_ng e n_g 0
v_ns x n_s 0
v_nb rail_ub n_b 0
v_pd ub p_d 0
v_pg e p_g 0
v_ps x p_s 0
v_pb rail_u p_b 0
m_n n_d n_g n_s n_b nmos w=0.4u l=45n
m_p p_d p_g p_s p_b pmos w=0.6u l=45n
n_mtj x 0 mtj mz0=-1
.op
"""
    w = simulate(make_deck(netlist, folder=netlists_folder(), name="elements"))

    def at(name: str) -> float:
        return float(w[name][0])

    transistors = [
        sum(at(f"v({fet}_{terminal})") * at(f"i(v_{fet}{terminal})") for terminal in "dgsb") for fet in "np"
    ]
    resistors = sum((at(f"v(rail_{line})") - at(f"v({line})")) ** 2 / 500 for line in ("u", "ub", "e"))
    area = np.pi / 4 * 32e-9**2
    bias = 1 + (at("v(x)") / 0.5) ** 2
    mtj = at("v(x)") ** 2 / (5e-12 / area * (1 + 1.4632 / bias))
    unit = load_line_unit(Cell(), direction="ap_to_p", v_write=0.5)
    power = run_all([unit])[0]["power"][0]
    assert power == pytest.approx(mtj + resistors + sum(transistors), rel=1e-4, abs=0.0)
    assert min(mtj, resistors, *transistors) > 0
    assert max(mtj, *transistors) < power


def test_a_drive_of_nothing_costs_next_to_nothing() -> None:
    cell = Cell(v_gate=1e-6)
    unit = Unit(
        trailing_deck(cell, direction="ap_to_p", v_write=1e-6, t_pulse=0.5e-9),
        measure_edges,
        {"v_write": 1e-6, "v_gate": 1e-6, "t_pulse": 0.5e-9},
    )
    values = run_all([unit])[0]
    assert np.abs(values["leading"]).max() < 1e-22


@pytest.fixture(scope="module")
def table(quick_write: Path) -> xr.Dataset:
    """The quick ``mtj_write`` data: of its rows only those at 0.5 V are sampled, each on 225 devices."""
    return load_table(quick_write / "tables" / "mtj_write.h5").data


def test_real_pulses_switch_and_cost_what_the_table_says(table: xr.Dataset) -> None:
    """The table adds first passages, energy until the end and a trailing edge; here whole pulses run.

    Each device is watched under a pulse that ends and under one that does not, with the same noise, so that
    the two differ by what the pulse's end does only.
    """
    cell, v_write, devices = Cell(), 0.5, 54
    widths = {"ap_to_p": 1.6e-9, "p_to_ap": 2.6e-9}
    for direction, width in widths.items():
        # Other devices than the table's, so that the two samples are independent.
        written = {
            "cell": cell, "direction": direction, "v_write": v_write, "seeds": range(2**28, 2**28 + devices)
        }  # fmt: skip
        drive = {"v_write": v_write, "v_gate": gate_sign(direction) * cell.v_gate}
        edges = trailing_deck(cell, direction=direction, v_write=v_write, t_pulse=0.5e-9)
        whole, held, noiseless = run_all(
            [
                Unit(
                    write_deck(**written, t_stop=width + 2.5e-9, t_pulse=width),
                    measure_finite_pulse,
                    {"devices": devices, **drive},
                ),
                Unit(
                    write_deck(**written, t_stop=width),
                    measure_write,
                    {"devices": devices, "widths": (width,), **drive},
                ),
                Unit(edges, measure_edges, {"t_pulse": 0.5e-9, **drive}),
            ]
        )
        passed = held["first_passage"] <= width
        assert np.sum(whole["switched"] != passed) <= 3  # those that cross as the pulse ends
        start, final = noiseless["trailing"]
        # Less than a hundredth of the pulse's energy, which unpaired samples would not show.
        assert whole["energy"].mean() - held["energy"].mean() == pytest.approx(
            start + (final - start) * passed.mean(), rel=0.15, abs=0.0
        )

        row = table.sel(direction=direction).sel(v_write=v_write, t_pulse=width, method="nearest")
        assert int(row["route"]) == MONTE_CARLO
        share, expected = whole["switched"].mean(), float(row["p_fokker_planck"])
        assert abs(share - expected) <= allowed(np.array([expected]), devices)[0]
        error = np.hypot(whole["energy"].std(ddof=1) / 3, float(row["energy_se"]))
        assert abs(whole["energy"].mean() - float(row["energy"])) <= 3 * error + 0.01 * float(row["energy"])


def test_monte_carlo_and_fokker_planck_agree_where_both_fill_the_table(table: xr.Dataset) -> None:
    sampled = table["route"] == MONTE_CARLO
    at_half = np.isclose(table["v_write"], 0.5)
    assert bool(sampled.sel(v_write=at_half).any())
    assert not bool(sampled.sel(v_write=~at_half).any())
    off = np.abs(table["p_switch"] - table["p_fokker_planck"]).where(sampled, 0.0)
    assert bool((off <= allowed(table["p_fokker_planck"].values, DEVICES)).all())
    counted = table["n_samples"].sel(v_write=at_half)
    assert bool((counted.sel(t_pulse=2.3e-9, method="nearest") == DEVICES).all())


def test_the_load_lines_energy_is_what_sampled_devices_draw(
    table: xr.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The row at 0.5 V filled by the load line, another being sampled, against the same row sampled."""
    sweep = {
        "v_write": [0.5, 0.6], "t_step": 50e-12, "t_max": 6e-9, "first_seed": 1,
        "v_sampled": [0.6], "samples": 18, "tail_samples": 27,
    }  # fmt: skip
    engine = Engine(store=tmp_path_factory.mktemp("store") / "points.sqlite", workers=2, version="test")
    modelled = characterize(Definition("mtj_write", "mtj_write", "", Cell(), sweep, "quick"), engine)[0]
    for width in (0.5e-9, 1.5e-9, 3e-9):
        estimated, drawn, error = (
            each.sel(v_write=0.5, t_pulse=width, method="nearest")
            for each in (modelled["energy"], table["energy"], table["energy_se"])
        )
        assert bool((np.abs(estimated - drawn) <= 3 * error + 0.04 * drawn).all()), width
    counted = modelled["n_samples"].sel(v_write=0.6)
    assert bool((counted.sel(t_pulse=0.3e-9, method="nearest") == 18 + 27).all())  # the tail's devices too
    assert bool((counted.sel(t_pulse=2.3e-9, method="nearest") == 18).all())


def test_a_gate_that_opens_over_idle_lines_flips_nothing() -> None:
    """The spike that e's edges put on the MTJ, with thermal noise, on 90 devices in each direction."""
    units = [
        Unit(
            write_deck(
                Cell(), direction=direction, v_write=1e-6, seeds=range(1, 91), t_stop=1.2e-9,
                t_pulse=0.3e-9,
            ),
            measure_finite_pulse,
            {"devices": 90, "v_write": 1e-6, "v_gate": gate_sign(direction) * 1.2},
        )
        for direction in DIRECTIONS
    ]  # fmt: skip
    assert [int(values["switched"].sum()) for values in run_all(units)] == [0, 0]


def test_half_selected_lines_cost_less_than_a_pulse(table: xr.Dataset) -> None:
    half = table["energy_half_selected"].sel(v_write=0.5, method="nearest")
    pulse = table["energy"].sel(v_write=0.5, t_pulse=0.8e-9, method="nearest")
    assert bool((half > 0).all())
    assert bool((half.sum("line") < 0.3 * pulse).all())
    # The gates' C V^2 dominates: e swings 1.2 V over two gates, u half a volt over junctions and overlaps.
    assert bool((half.sel(line="e") > 2 * half.sel(line="u")).all())


def test_the_load_lines_energy_estimate_lies_below_that_of_a_stronger_drive(table: xr.Dataset) -> None:
    estimated = table["energy"].sel(v_write=0.45, t_pulse=2e-9, method="nearest")
    drawn = table["energy"].sel(v_write=0.5, t_pulse=2e-9, method="nearest")
    assert bool((estimated < drawn).all())
    assert bool((estimated > 0.6 * drawn).all())
