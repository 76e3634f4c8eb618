"""Convergence aids: what is tried when ngspice finds no solution, and only then.

ngspice itself steps gmin and the sources before it gives up on an operating point. Each aid here is added to
those before it; the first that works is noted beside the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spicebridge.deck import Deck


@dataclass(frozen=True)
class Aid:
    """One aid.

    Attributes:
        name: how it is noted.
        options: what its ``.options`` line sets.
    """

    name: str
    options: str


AIDS = (
    # More patience: the equations stay as they are.
    Aid("more iterations", "itl1=1000 itl2=500 itl4=200"),
    # Gear damps the ringing of the trapezoidal rule on stiff circuits and switches.
    Aid("method=gear", "method=gear maxord=2"),
    # 1 teraohm from every node to ground: it helps floating nodes, and takes 1 pA per volt.
    Aid("rshunt=1e12", "rshunt=1e12"),
)


def aided(deck: Deck, count: int) -> Deck:
    """The deck with the first ``count`` aids; itself with none."""
    lines = [f".options {aid.options}" for aid in AIDS[:count]]
    return replace(deck, text="\n".join([deck.text, *lines])) if lines else deck


def aid_name(count: int) -> str | None:
    """What to note of a deck that ran with ``count`` aids."""
    return " + ".join(aid.name for aid in AIDS[:count]) or None
