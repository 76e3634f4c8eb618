"""Sweeps of other simulators left in a deck are answered by the axis that takes their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from characterization.definition import load_definition
from characterization.netlist_sweep import NetlistDefinition
from spicebridge.errors import SpicebridgeError

DECK = """a divider
.param r=1k
v1 in 0 1
r1 in out {r}
r2 out 0 1k
LINE
.tran 1n 10n
.meas tran g find v(out) at=5n
.end
"""
SWEEP = 'deck = "d.cir"\n[axes.r]\nunit = "ohm"\nvalues = [500, 2000]\n[measures.g]\nunit = "V"\n'


def refusal(folder: Path, line: str, *, trust: bool = False) -> str:
    (folder / "d.cir").write_text(DECK.replace("LINE", line))
    (folder / "mine.toml").write_text(SWEEP)
    with pytest.raises(SpicebridgeError) as caught:
        load_definition(str(folder / "mine.toml"), size="quick", overrides={}, trust=trust)
    return str(caught.value)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    ("line", "keys"),
    [
        (".step param r 1k 10k 1k", '[axes.r] with unit = "..." and start = 1000, stop = 10000, points = 10'),
        (".STEP R 1k 2k 250", "start = 1000, stop = 2000, points = 5"),
        (".step param r list 1k 500 2meg", "values = [500, 1000, 2000000]"),
        (".step dec param r 1 1000 10", 'start = 1, stop = 1000, points = 31, spacing = "log"'),
        (".step oct r 1 8 1", 'start = 1, stop = 8, points = 4, spacing = "log"'),
        (".step temp 0 100 25", '[axes.tc] with unit = "..." and start = 0, stop = 100, points = 5'),
        (".step v1 0 5 0.5", "give the source {v1}"),
        (".step param r {a} {b} 1", '[axes.r] with unit = "..." and values = [...]'),
        (".data grid r c 1k 1p 2k 2p", '[axes.c] with unit = "..." and values = [1e-12, 2e-12]'),
        (".data grid r", "[axes.r]"),
        (".alter fast corner", "make a .param of each value that it changes"),
    ],
)
def test_the_answer_is_the_axis_with_the_decks_own_values(
    tmp_path: Path, line: str, keys: str, trust: bool
) -> None:
    message = refusal(tmp_path, line, trust=trust)
    assert message.startswith("d.cir, line 6: ngspice has no ")
    assert keys in message
    assert "--trust" not in message


def test_the_axis_that_the_answer_names_is_taken(tmp_path: Path) -> None:
    (tmp_path / "d.cir").write_text(DECK.replace("LINE\n", ""))
    axis = '[axes.r]\nunit = "ohm"\nstart = 1000\nstop = 10000\npoints = 10\n'
    (tmp_path / "mine.toml").write_text(f'deck = "d.cir"\n{axis}[measures.g]\nunit = "V"\n')
    definition = load_definition(str(tmp_path / "mine.toml"), size="quick", overrides={})
    assert isinstance(definition, NetlistDefinition)
    assert definition.axes[0].values == pytest.approx([1000.0 * each for each in range(1, 11)])
