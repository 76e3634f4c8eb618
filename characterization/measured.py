"""What a sweep over a netlist measures: the results of its ``.meas`` lines.

A module of its own, as worker processes import it and its code is part of every stored point's identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spicebridge.batch import unbatched_measures
from spicebridge.simulator import Waveforms
from spicebridge.store import Values


def measured(recorded: Waveforms, *, names: Sequence[str], copies: int) -> Values:
    """The named measures, each of shape (copies,); NaN where ngspice gave no value.

    ``copies`` is how many points the deck is batched from; 0 for a deck of one point as it stands.
    """
    if copies:
        return unbatched_measures(recorded.measures, count=copies, names=names)
    return {name: np.array([recorded.measures.get(name, np.nan)]) for name in names}
