"""The ternary synapse: branches, canonical zeros, read energies; inference counts by brute force."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

from nn.feedforward import count_activations, count_planes, count_states, feedforward_ledger
from nn.network import build
from nn.record import feedforward_block
from nn.synapse import (
    STATES,
    SynapseDevice,
    Synapses,
    branch_of_move,
    compile_device,
    disturb_of,
    read_exponents,
)
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable, TableError
from tests.synthetic_tables import READ_ENERGY, near, read_table, write_table


def device_with(zero: str = "auto", **changes: float) -> SynapseDevice:
    point = {"v_write": 0.5, "step": 50e-12, "v_read": 0.2, "t_read": 1e-9} | changes
    return compile_device(write_table(), read_table(), zero=zero, **point)


@pytest.mark.parametrize(
    ("weight", "wanted", "pulse"),
    [
        (0, 1, (1, "ap_to_p")),
        (0, -1, (2, "ap_to_p")),
        (1, -1, (1, "p_to_ap")),
        (-1, 1, (2, "p_to_ap")),
    ],
)
def test_from_the_weak_zero_away_writes_parallel_and_back_writes_antiparallel(
    weight: int, wanted: int, pulse: tuple[int, str]
) -> None:
    assert branch_of_move(weight, wanted, zero="weak") == pulse


@pytest.mark.parametrize(
    ("weight", "wanted", "pulse"),
    [
        (0, 1, (2, "p_to_ap")),
        (0, -1, (1, "p_to_ap")),
        (1, -1, (2, "ap_to_p")),
        (-1, 1, (1, "ap_to_p")),
    ],
)
def test_from_the_strong_zero_it_is_the_other_way_round(
    weight: int, wanted: int, pulse: tuple[int, str]
) -> None:
    assert branch_of_move(weight, wanted, zero="strong") == pulse


def test_the_canonical_zero_is_the_one_that_costs_less_to_read() -> None:
    assert device_with().zero == "weak"
    data = read_table().data.copy(deep=True)
    data["energy"].loc[{"state": "ap_ap"}] *= 3
    costly = dataclasses.replace(read_table(), data=data)
    device = compile_device(
        write_table(), costly, v_write=0.5, step=50e-12, v_read=0.2, t_read=1e-9, zero="auto"
    )
    assert device.zero == "strong"
    assert device.away.direction == "p_to_ap"
    assert device.ap_to_p.direction == "ap_to_p"


def test_read_energies_are_the_tables_whatever_its_order_of_states() -> None:
    device = device_with()
    for row, state in enumerate(STATES):
        np.testing.assert_allclose(device.read_energy[row], np.array(READ_ENERGY[state]) * 1e-15)
    assert [READ_ENERGY[state][0] for state in ("ap_p", "ap_ap", "p_ap")] == pytest.approx(
        (device.energy_by_weight()[:, 0] * 1e15).tolist()
    )


def test_a_read_outside_the_table_and_an_unknown_zero_are_refused() -> None:
    with pytest.raises(SpicebridgeError, match="v_read=1 V lies outside table synapse_read"):
        device_with(v_read=1.0)
    with pytest.raises(SpicebridgeError, match="auto, weak, strong"):
        device_with("medium")


def test_inference_energy_is_that_of_every_read_counted_one_by_one() -> None:
    rng, device, bits = np.random.default_rng(0), device_with(), 3
    network = build((4, 3, 2), ternary=True, strong_zero=False, rng=rng)
    network[0].synapses.strong[...] = rng.random((4, 3)) < 0.5
    levels = rng.integers(0, 2**bits, (5, 4)).astype(np.uint8)
    hidden = rng.integers(-1, 2, (5, 3)).astype(np.float32)
    ledger = feedforward_ledger(network, device, levels=levels, bits=bits, hidden_inputs=[hidden])

    def state_of(synapses: Synapses, row: int, column: int) -> int:
        weight = synapses.weights[row, column]
        strong = synapses.strong[row, column]
        return next(
            number
            for number, each in enumerate((-1, 0, 0, 1))
            if each == weight and (weight != 0 or (STATES[number] == "p_p") == strong)
        )

    energies = [0.0, 0.0]
    for image in range(5):
        for row in range(4):
            for column in range(3):
                for bit in range(bits):
                    activation = int(levels[image, row]) >> bit & 1
                    energies[0] += device.read_energy[
                        state_of(network[0].synapses, row, column), activation + 1
                    ]
        for row in range(3):
            for column in range(2):
                activation = int(hidden[image, row])
                energies[1] += device.read_energy[state_of(network[1].synapses, row, column), activation + 1]
    assert ledger.joules("layer 1") == near(energies[0])
    assert ledger.joules("layer 2") == near(energies[1])
    assert ledger.events("layer 1") == 5 * 4 * 3 * bits
    assert ledger.events("layer 2") == 5 * 3 * 2

    block = feedforward_block(ledger, device, shapes=[(4, 3), (3, 2)], images=5, bits=bits)
    assert block["operations"] == 2 * 5 * (12 + 6)
    assert block["energy_per_op"] == near(sum(energies) / block["operations"])
    assert block["per_read"]["reads"] == 5 * (12 * bits + 6)
    assert block["mean_of_nine"]["energy"] == near(
        np.mean([READ_ENERGY[state] for state in ("ap_p", "ap_ap", "p_ap")]) * 1e-15
    )


def test_counts_of_states_and_activations_leave_nothing_out() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(-1, 2, (6, 9)).astype(np.int8)
    states = count_states(Synapses(weights, rng.random((6, 9)) < 0.5))
    assert states.sum(axis=1).tolist() == [9] * 6
    x = rng.integers(-1, 2, (20, 6)).astype(np.float32)
    assert count_activations(x).sum(axis=1).tolist() == [20] * 6
    assert count_planes(rng.integers(0, 16, (20, 6)).astype(np.uint8), 4).sum(axis=1).tolist() == [80] * 6


def test_a_table_whose_longest_pulse_does_not_saturate_is_refused() -> None:
    short = write_table(last=2e-9)
    with pytest.raises(TableError, match="longer t_max"):
        compile_device(short, read_table(), v_write=0.5, step=50e-12, v_read=0.2, t_read=1e-9, zero="auto")


def sequence_table(further: float) -> LookupTable:
    """``read_table`` with a first read that flips nothing and ``further`` a read from then on."""
    table = read_table()
    reads = np.array([1.0, 2.0, 4.0, 16.0, 64.0])
    p = np.broadcast_to(-np.expm1((reads - 1) * np.log1p(-further)), (4, 3, 3, 3, 2, 5)).copy()
    p[:, 1] = 0.0
    axes = ("state", "activation", "v_read", "t_read", "t_gap", "n_reads")
    data = table.data.assign_coords(
        t_gap=("t_gap", [0.3e-9, 1e-9], {"units": "s"}), n_reads=("n_reads", reads)
    )
    data["p_disturb_sequence"] = (axes, p, {"units": "1", "scale": "log(-log)"})
    return LookupTable(data=data, name=table.name, lineage=table.lineage, origin={})


@pytest.mark.parametrize("further", [1e-12, 1e-6, 0.3])
def test_the_disturb_of_a_pass_and_of_each_further_read_come_from_the_sequence(further: float) -> None:
    found = disturb_of(sequence_table(further), v_read=0.1, t_read=1e-9, t_gap=0.3e-9, planes=4)
    assert found is not None
    assert found.first_pass == pytest.approx(1 - (1 - further) ** 3, rel=1e-3, abs=0)
    assert found.further_read == pytest.approx(further, rel=1e-3, abs=0)
    assert found.per_pass == pytest.approx(4 * further, rel=1e-3, abs=0)


def test_a_table_of_before_has_no_disturb_of_sequences() -> None:
    assert disturb_of(read_table(), v_read=0.1, t_read=1e-9, t_gap=0.3e-9, planes=4) is None


def test_the_energys_exponents_are_those_of_its_law() -> None:
    """A read energy of v^1.5 t^0.6, inside the table and at its edges; no exponent along a single entry."""
    v, t = np.array([0.1, 0.2, 0.3]), np.array([1e-9, 2e-9])
    law = np.broadcast_to(v[:, None] ** 1.5 * t**0.6, (4, 3, 3, 2)).copy()
    states, activations = list(STATES), ["-1", "0", "+1"]
    data = xr.Dataset(
        {"energy": (("state", "activation", "v_read", "t_read"), law, {"units": "J"})},
        coords={
            "state": states,
            "activation": activations,
            "v_read": ("v_read", v, {"units": "V"}),
            "t_read": ("t_read", t, {"units": "s"}),
        },
    )
    table = LookupTable(data=data, name="law", lineage={}, origin={})
    for v_read in v:
        found = read_exponents(table, v_read=v_read, t_read=1e-9, zero="weak")
        assert found == {"v_read": pytest.approx(1.5), "t_read": pytest.approx(0.6)}
    data["energy"].values[:, :, :, 1] = np.nan  # a hole beside the point
    assert read_exponents(table, v_read=0.2, t_read=1e-9, zero="weak")["t_read"] is None
    single = LookupTable(data=data.isel(t_read=[0]), name="law", lineage={}, origin={})
    assert read_exponents(single, v_read=0.2, t_read=1e-9, zero="weak")["t_read"] is None
