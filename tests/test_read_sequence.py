"""Reads in sequence: transistor decks with thermal noise against Fokker-Planck, where flips can be seen."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from characterization.load_line import load_line_unit, make_load_line
from circuits.cell import T_DRIVE, T_EDGE, T_SELECT, Cell
from circuits.mtj_branch import measure_write, write_deck
from spicebridge.deck import Deck
from spicebridge.sweep import Unit
from tests.mtj_decks import run_all

DEVICES = 225
CELL = Cell()
DIRECTION = "ap_to_p"


def controls(t_read: float, t_gap: float, reads: int) -> dict[str, str]:
    """The lines' controls over a sequence: u between half heights, e opening before and closing after it."""
    sources = {}
    for node, lead in (("ctl_e", T_DRIVE - T_SELECT), ("ctl_u", 0.0)):
        points = [(0.0, 0)]
        for read in range(reads):
            start = T_DRIVE + read * (t_read + t_gap)
            up, down = start - lead, start + t_read + lead
            points += [(up, 0), (up + T_EDGE, 1), (down, 1), (down + T_EDGE, 0)]
        sources[node] = f"pwl({' '.join(f'{time:.6g} {level}' for time, level in points)})"
    return sources


def sequence_deck(*, v_read: float, t_read: float, t_gap: float, reads: int, first_seed: int) -> Deck:
    """The write deck's branches, read ``reads`` times instead of written once."""
    t_stop = reads * (t_read + t_gap)
    seeds = range(first_seed, first_seed + DEVICES)
    deck = write_deck(CELL, direction=DIRECTION, v_write=v_read, seeds=seeds, t_stop=t_stop)
    text = deck.text
    for node, source in controls(t_read, t_gap, reads).items():
        text, replaced = re.subn(rf"(?im)^(v{node} {node} 0) pwl\(.*\)$", rf"\1 {source}", text)
        assert replaced == 1
    return replace(deck, text=text, name="read_sequence")


def share_flipped(decks: int, first_seed: int, **sequence: float) -> float:
    units = [
        Unit(
            sequence_deck(**sequence, first_seed=first_seed + DEVICES * each),  # type: ignore[arg-type]
            measure_write,
            {"devices": DEVICES, "v_write": sequence["v_read"], "v_gate": CELL.v_gate, "widths": [1e-9]},
        )
        for each in range(decks)
    ]
    return float(np.mean([np.isfinite(each["first_passage"]) for each in run_all(units)]))


def law(v_read: float, t_read: float, t_gap: float, reads: int) -> float:
    unit = load_line_unit(CELL, direction=DIRECTION, v_write=v_read)
    (values,) = run_all([unit])
    line = make_load_line(unit.deck, values, direction=DIRECTION, temperature=CELL.temperature)
    return float(line.disturb_of_reads(t_read=t_read, t_gap=t_gap, reads=[reads])[0])


def compare(decks: int, first_seed: int, **sequence: float) -> None:
    """Within three binomial errors, and the 10 % by which a read's edges may shift the law."""
    expected, flipped = law(**sequence), share_flipped(decks, first_seed, **sequence)  # type: ignore[arg-type]
    error = np.sqrt(expected * (1 - expected) / (decks * DEVICES))
    assert abs(flipped - expected) <= 3 * error + 0.1 * expected, f"{flipped} for {expected} +- {error}"


def test_three_reads_of_a_raised_voltage_flip_as_the_law_says() -> None:
    """About every third device flips, so that one deck tells a law that is 36 % off."""
    compare(1, 1, v_read=0.35, t_read=1e-9, t_gap=0.3e-9, reads=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("v_read", "t_read", "t_gap", "reads"),
    [(0.3, 1e-9, 0.5e-9, 4), (0.3, 1e-9, 1e-9, 4), (0.25, 1e-9, 0.3e-9, 8), (0.2, 2e-9, 0.3e-9, 4)],
)
def test_sequences_flip_as_the_law_says(v_read: float, t_read: float, t_gap: float, reads: int) -> None:
    compare(8, 10_001, v_read=v_read, t_read=t_read, t_gap=t_gap, reads=reads)
