"""From conductance to amorphous thickness: the state in which a phase-change cell conducts so much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from characterization.definition import DefinitionError
from circuits.pcm_cell import PcmCell
from circuits.pcm_pair import measure_state, state_deck
from spicebridge.store import Values
from spicebridge.sweep import Unit

# m; between two of them g changes by 6 %, and the inverse's cubic errs by less than 1e-5.
_THICKNESSES = np.round(np.linspace(0.0, 60e-9, 301), 15)


def state_unit(cell: PcmCell, *, seed: int) -> Unit:
    """The deck that gives one device's low-field conductance over its thickness."""
    deck = state_deck(cell, seed=seed, thicknesses=_THICKNESSES.tolist())
    return Unit(deck, measure_state, {"points": _THICKNESSES.size})


def thicknesses(state: Values, g: Sequence[float], *, what: str) -> NDArray[np.float64]:
    """The thickness (m) at which a device of that ``state_unit`` has each conductance (S).

    Raises:
        DefinitionError: a conductance it cannot have; ``what`` says for which table.
    """
    known = state["g"]
    if not known[-1] <= min(g) <= max(g) <= known[0]:
        raise DefinitionError(
            f"{what}: the device's conductance lies between {known[-1] * 1e6:.3g} and "
            f"{known[0] * 1e6:.3g} uS, so g cannot reach from {min(g) * 1e6:.3g} to {max(g) * 1e6:.3g} uS."
        )
    return PchipInterpolator(np.log(known[::-1]), _THICKNESSES[::-1])(np.log(g))
