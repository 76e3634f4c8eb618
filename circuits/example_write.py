"""The deck of one write that people look at: ``netlists/mtj_write.cir`` with a given cell and drive."""

from __future__ import annotations

from circuits.cell import Cell
from spicebridge.deck import Deck
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder

_NETLIST = "mtj_write"
_DEVICE, _CARD = "devices/mtj_b.lib", "transistors/ptm45hp.lib"  # what the file itself includes


def example_write(cell: Cell, *, v_write: float) -> Deck:
    """One AP to P write of a cell, with the waveforms of lines, magnetisation and current saved.

    Args:
        cell: the access cell; its line drivers are those of the netlist.
        v_write: swing of u, V.
    """
    text = (netlists_folder() / f"{_NETLIST}.cir").read_text(encoding="utf-8")
    text = text.replace(_DEVICE, f"devices/{cell.mtj}.lib").replace(_CARD, f"transistors/{cell.card}.lib")
    deck = make_deck("\n".join(text.splitlines()[1:]), folder=netlists_folder(), name=_NETLIST)
    return deck.with_parameters(v_write=v_write, v_gate=cell.v_gate, **cell.widths)
