"""The temperature law of an ``stt_mtj`` card, for what is computed beside the decks.

Decks need none of this: the model has the law itself (``netlists/devices/stt_mtj.va``).
"""

from __future__ import annotations

from collections.abc import Mapping

from spicebridge.errors import SpicebridgeError

NOMINAL = 300.15  # K, where the law changes nothing
LAW = ("t_c", "b_ms", "b_k", "c_pol")


def at_temperature(card: Mapping[str, float], temperature: float) -> dict[str, float]:
    """The card with ``ms``, ``h_k``, ``pol`` and ``tmr`` as they are at a temperature.

    Args:
        card: ``stt_mtj`` parameters, SI units.
        temperature: K.

    Raises:
        SpicebridgeError: the card lacks the law's parameters, or is a magnet no more.
    """
    nominal = card.get("t_nom", NOMINAL)
    if temperature == nominal:
        return dict(card)
    missing = [name for name in (*LAW, "ms", "h_k", "pol", "tmr") if name not in card]
    if missing:
        raise SpicebridgeError(
            f"the MTJ's parameter set leaves {', '.join(missing)} to the model's default. At "
            f"{temperature:g} K the value is needed: write it into the set, with its unit and source."
        )
    if temperature >= card["t_c"]:
        raise SpicebridgeError(
            f"{temperature:g} K is not below t_c = {card['t_c']:g} K, where the MTJ's magnetisation vanishes."
        )
    scale = ((1 - temperature / card["t_c"]) / (1 - nominal / card["t_c"])) ** card["b_ms"]
    pol = card["pol"] * (1 - card["c_pol"] * temperature**1.5) / (1 - card["c_pol"] * nominal**1.5)
    return {
        **card,
        "ms": card["ms"] * scale,
        "h_k": card["h_k"] * scale ** (card["b_k"] - 1),
        "pol": pol,
        "tmr": card["tmr"] * _julliere(pol) / _julliere(card["pol"]),
    }


def _julliere(pol: float) -> float:
    """In proportion to TMR: ``pol^2 / (1 - pol^2)``."""
    return pol**2 / (1 - pol**2)
