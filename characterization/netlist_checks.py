"""What a sweep over a netlist of the user's own may not ask of its deck; each refusal says what to write."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from characterization.netlist_sweep import Axis, Measure
from characterization.values import DefinitionError, check_points
from spicebridge.deck import Deck
from spicebridge.levels import LevelError
from spicebridge.limits import DECKS, MEASURES, VALUES
from spicebridge.randomness import drawing_line, noise_line, seed_of
from spicebridge.settings import did_you_mean, listed, shortened

_MEASURED = re.compile(r"^\.meas(?:ure)?\s+([a-z]+)\s", re.IGNORECASE)
_MEASURING = ("tran", "ac", "dc", "sp")
_BARE_TEMPERATURE = re.compile(r"\.temp[\s=]+[A-Za-z]", re.IGNORECASE)


def check_names(names: Sequence[str]) -> None:
    """Refuse names that ngspice, which knows no capitals, cannot tell apart."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise DefinitionError(f"the name {name} is given twice among axes and measures.")
        seen.add(name.lower())


def check_size(axes: Sequence[Axis], measures: Sequence[Measure]) -> None:
    """Refuse tables of too many points, values or measures, and too many decks."""
    check_points("axes", *(len(each.values) for each in axes))
    values = math.prod(len(each.values) for each in axes) * len(measures)
    # Base decks, one for each combination of library sections, are all held in memory.
    decks = math.prod(len(each.values) for each in axes if each.library is not None)
    if decks > DECKS.value:
        raise DefinitionError(
            f"axes: {decks:,} combinations of sections are more than {DECKS.said}. {DECKS.remedy}"
        )
    if len(measures) > MEASURES.value:
        raise DefinitionError(f"measures: {len(measures):,} are more than {MEASURES.said}. {MEASURES.remedy}")
    if values > VALUES.value:
        raise DefinitionError(
            f"axes and measures: {values:,} values are more than {VALUES.said}. {VALUES.remedy}"
        )


def check_deck(
    deck: Deck, axes: Sequence[Axis], measures: Sequence[Measure], parameters: Mapping[str, float]
) -> None:
    """Refuse names that the deck does not have, and a temperature that ngspice would not take."""
    for line in deck.lines:
        if _BARE_TEMPERATURE.match(line):
            raise DefinitionError(
                f"deck: ngspice takes 27 for the temperature in {shortened(line)!r}; put the parameter in "
                "braces."
            )
    _check_draws(deck, axes, parameters)
    try:
        deck.levels  # noqa: B018  # raises
    except LevelError as error:
        raise DefinitionError(f"deck: {error}") from error
    kinds = sorted({match[1].lower() for match in map(_MEASURED.match, deck.lines) if match})
    if other := [kind for kind in kinds if kind not in _MEASURING]:
        raise DefinitionError(
            f"deck: ngspice has no .meas {other[0]}. What an operating point or a noise analysis gives is a "
            'measure by vector = "onoise_total", "v(out)" or "@m1[gm]", without a .meas line.'
        )
    if len(kinds) > 1:
        raise DefinitionError(
            f"deck: it has .meas lines of {' and '.join(kinds)}, and ngspice gives those of one analysis a "
            "deck. Make a deck, and a TOML file, for each."
        )
    swept = [each.name for each in axes if each.library is None and each.option is None]
    known = deck.parameters
    for key, names in (("axes", swept), ("parameters", parameters)):
        for name in names:
            if name.lower() not in known:
                near = did_you_mean(name.lower(), known)
                raise DefinitionError(
                    f"{key}.{name}: the deck has no top-level .param {name}.{near} It has: {listed(known)}."
                )
    for each in axes:
        if (each.library or each.option) and each.name.lower() in known:
            raise DefinitionError(f"axes.{each.name}: the deck has a .param of that name; choose another.")
    times = Counter(name.lower() for name in (*swept, *parameters))
    if both := [name for name in (*swept, *parameters) if times[name.lower()] > 1]:
        raise DefinitionError(f"{both[0]} is given twice among axes and parameters.")
    measured = deck.measures
    for measure in measures:
        if measure.integral is not None or measure.vector is not None:
            if measure.name.lower() in measured:
                raise DefinitionError(
                    f"measures.{measure.name}: the deck has a .meas of that name; choose another."
                )
        elif measure.name.lower() not in measured:
            raise DefinitionError(
                f"measures.{measure.name}: the deck has no .meas {measure.name}."
                f"{did_you_mean(measure.name.lower(), measured)}"
                f" It has: {listed(measured)}."
            )


def _check_draws(deck: Deck, axes: Sequence[Axis], parameters: Mapping[str, float]) -> None:
    """Refuse random numbers that could not be drawn again."""
    if noise := noise_line(deck):
        raise DefinitionError(
            f"deck: {shortened(noise)!r} draws random numbers that ngspice does not repeat, not even with a "
            "seed. A Verilog-A model with a seed as parameter can be swept over that."
        )
    seeds = [each for each in axes if each.option == "seed"]
    if len(seeds) > 1:
        raise DefinitionError(f"axes.{seeds[1].name}: a deck has one seed, and axes.{seeds[0].name} is it.")
    values = {
        each.name.lower(): [float(value) for value in each.values] for each in axes if each.library is None
    }
    values |= {name.lower(): [value] for name, value in parameters.items()}
    random = drawing_line(deck, values)
    if random and not seeds and seed_of(deck) is None:
        raise DefinitionError(
            f"deck: {shortened(random)!r} draws random numbers, and nothing seeds those of ngspice, so no "
            "value could be made again. Write .options seed=1 into the deck, or sweep the seed: [axes.seed] "
            'with option = "seed" and values = [1, 2, 3].'
        )
