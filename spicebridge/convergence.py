"""Convergence aids: what is tried when ngspice finds no solution, and only then.

ngspice itself steps gmin and the sources, and lets the supplies settle in time, before it gives up. Each aid
here is added to those before it; the first that works is noted beside the result.

A false solution is worse than none, and ngspice can be talked into one: it takes a Newton step shorter than
reltol times the voltage for the end of the search, so on a steep slope it may stop far from the solution. No
aid therefore touches the circuit, and the first makes that test stricter for those after it.

Left out for what they gave on ngspice 46, in tunnel-diode oscillators of less than 0.5 V and in 763 random
circuits of one node whose operating point a bisection finds:

- itl1=1000 itl2=500 itl4=200 at default tolerances: 1,300 V; 22 false operating points, 14 without it.
- method=gear: 65 V; and it is nearly six times as far off as the trapezoidal rule in a lossless LC circuit.
- cshunt=1e-15: 7,100 V; ngspice keeps it for all later decks of its process.
- rshunt=1e9 or 1e12: 52 V, and another circuit. gmin, looser vntol and abstol: another circuit, a laxer test.
- .nodeset at what an aid found, in the deck as it was: at its tolerances it takes false points, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from spicebridge.deck import Deck, DeckError, parse_number
from spicebridge.netlist_text import lines_of

_OPTION_LINE = re.compile(r"^\.opt(?:ions?)?\s+(.*)$", re.IGNORECASE)
_SETTING = re.compile(r"([A-Za-z_]\w*)\s*=\s*(\{[^}]*\}|'[^']*'|[^\s,=]+)")


@dataclass(frozen=True)
class Aid:
    """One aid.

    Attributes:
        name: how it is noted.
        settings: what it sets among ngspice's options.
        stronger: of two values of an option the one that helps more.
    """

    name: str
    settings: tuple[tuple[str, float], ...]
    stronger: Callable[[float, float], float]


AIDS = (
    # Shorter time steps keep Newton near the solution it follows, so that it need not jump. Of 41 oscillators
    # that failed, 22 ran, all within their 0.5 V. It left none of those 14 false operating points.
    Aid("tighter tolerances", (("reltol", 1e-6), ("vntol", 1e-9), ("abstol", 1e-15)), min),
    # Up to twice the time steps: 17 of the other 19 oscillators ran.
    Aid("trtol=1", (("trtol", 1.0),), min),
    # For operating points: a square root's conductance has no bound at 0 V, where Newton takes hundreds of
    # steps. Not itl4: with 1,000 of it two of seven oscillators were 10 % and 30 % off.
    Aid("more iterations", (("itl1", 1000), ("itl2", 1000)), max),
)


def aided(deck: Deck, count: int) -> Deck:
    """The deck with the first ``count`` aids; itself with none.

    What the deck itself sets more strongly, or in a way that only ngspice can read, stays as it is.
    """
    own = _own_options(deck)
    lines = [line for aid in AIDS[:count] if (line := _option_line(aid, own))]
    return replace(deck, text="\n".join([deck.text, *lines])) if lines else deck


def aid_name(count: int) -> str | None:
    """What to note of a deck that ran with ``count`` aids."""
    return " + ".join(aid.name for aid in AIDS[:count]) or None


def _option_line(aid: Aid, own: dict[str, str]) -> str:
    """The line that sets what the aid changes; empty if that is nothing."""
    changed = [
        f"{name}={value:g}"
        for name, value in aid.settings
        if name not in own or _is_stronger(value, own[name], aid)
    ]
    return f".options {' '.join(changed)}" if changed else ""


def _is_stronger(value: float, own: str, aid: Aid) -> bool:
    try:
        before = parse_number(own)
    except DeckError:
        return False
    return aid.stronger(value, before) != before


def _own_options(deck: Deck) -> dict[str, str]:
    """The deck's options as ngspice takes them: of one line the first setting, of several lines the last."""
    own: dict[str, str] = {}
    for line in lines_of(deck.text):
        if match := _OPTION_LINE.match(line):
            own.update(reversed([(name.lower(), value) for name, value in _SETTING.findall(match[1])]))
    return own
