"""Energy of the reads: table ``pair_read`` over the pairs' conductances and the widths of their inputs.

The table is multilinear, so its energy at a width is a weighted sum of its energies at the two widths beside
it. Summed over images and outputs it falls apart: at each width of the table, the energy of all of an input's
pairs, times how much of that width the images sent. So a whole batch costs one look-up per pair and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s, Floats
from nn.mixed_precision.counts import Counts, Reading
from nn.mixed_precision.network import Pass, views
from nn.mixed_precision.pairs import Pairs
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

POLARITIES = ("negative", "positive")
NEGATIVE, POSITIVE = range(2)


@dataclass(frozen=True, eq=False)
class PairEnergy:
    """Energy of one read of one pair.

    Attributes:
        g: conductances of the positive device and of the negative one (S).
        t_in: widths of the input (s).
        t_read: width of the largest input (s).
        values: energy (J), shape (polarities, g_p, g_n, widths).
    """

    g: tuple[Float32s, Float32s]
    t_in: Floats
    t_read: float
    values: Floats

    def of_pairs(self, g_p: Float32s, g_n: Float32s, polarity: int) -> Float32s:
        """Energy (J) of each pair at each width, shape (widths, pairs), conductances cut at the table's."""
        cells, shares = [], []
        for axis, g in zip(self.g, (g_p, g_n), strict=True):
            within = np.clip(g, axis[0], axis[-1])
            cell = np.clip(np.searchsorted(axis, within, side="right") - 1, 0, len(axis) - 2)
            cells.append(cell)
            shares.append((within - axis[cell]) / (axis[cell + 1] - axis[cell]))
        (p, n), (share_p, share_n) = cells, shares
        columns = len(self.g[1])
        corner = p * columns + n
        weights = (
            (0, (1 - share_p) * (1 - share_n)),
            (1, (1 - share_p) * share_n),
            (columns, share_p * (1 - share_n)),
            (columns + 1, share_p * share_n),
        )
        found = np.zeros((len(self.t_in), len(g_p)), np.float32)
        for width, energies in enumerate(self.values[polarity].reshape(-1, len(self.t_in)).T):
            scaled = energies.astype(np.float32)
            for offset, weight in weights:
                found[width] += scaled[corner + offset] * weight
        return found

    def widths_of(self, x: Float32s) -> NDArray[np.float64]:
        """How much of each width each input sent, over all images, by polarity.

        Args:
            x: inputs, shape (images, inputs), 1 being a pulse of ``t_read``. Zero sends no pulse; one shorter
                than the table's shortest counts as that, an upper bound.

        Returns:
            Shape (polarities, widths, inputs).
        """
        wanted = np.clip(np.abs(x) * self.t_read, self.t_in[0], self.t_in[-1])
        upper = np.clip(np.searchsorted(self.t_in, wanted), 1, len(self.t_in) - 1)
        share = (wanted - self.t_in[upper - 1]) / (self.t_in[upper] - self.t_in[upper - 1])
        sent = np.zeros((2, len(self.t_in), x.shape[1]))
        column = np.broadcast_to(np.arange(x.shape[1]), x.shape)
        for polarity, chosen in enumerate((x < 0, x > 0)):
            np.add.at(sent[polarity], (upper[chosen] - 1, column[chosen]), 1 - share[chosen])
            np.add.at(sent[polarity], (upper[chosen], column[chosen]), share[chosen])
        return sent


def compile_energy(table: LookupTable, *, t_read: float) -> PairEnergy:
    """A ``pair_read`` table's energy for inputs of up to ``t_read`` (s).

    Raises:
        SpicebridgeError: the table's inputs are all shorter, or all longer.
    """
    t_in = np.asarray(table.data["t_in"].values, float)
    if t_read < t_in[0] * (1 - 1e-9):
        raise SpicebridgeError(
            f"t_read = {t_read:g} s is shorter than the inputs of table {table.name}, from {t_in[0]:g} s on. "
            "Characterise shorter ones, or set t_read."
        )
    if t_read > t_in[-1] * (1 + 1e-9):
        raise SpicebridgeError(
            f"t_read = {t_read:g} s is longer than the inputs of table {table.name}, up to {t_in[-1]:g} s. "
            "Characterise longer ones, or set t_read."
        )
    g_p, g_n = (np.asarray(table.data[name].values, float) for name in ("g_p", "g_n"))
    values = np.stack(
        [
            table.read("energy", polarity=polarity, g_p=g_p[:, None, None], g_n=g_n[:, None], t_in=t_in)
            for polarity in POLARITIES
        ]
    )
    return PairEnergy((g_p.astype(np.float32), g_n.astype(np.float32)), t_in, t_read, values)


def sample_reads(
    counts: Counts, energy: PairEnergy, pairs: Pairs, done: Pass, shapes: Sequence[tuple[int, int]]
) -> None:
    """Add what one batch's reads, forward and backward, and one look at all pairs at full width, took.

    Conductances are those that are read: at the devices' ages.
    """
    g_p, g_n = views(pairs.read[: pairs.count], shapes), views(pairs.read[pairs.count :], shapes)
    counts.sampled_steps += 1
    for readings in (counts.forward, counts.backward):
        readings.extend(Reading() for _ in range(len(shapes) - len(readings)))
    for number, (inputs, outputs) in enumerate(shapes):
        one, other = g_p[number].ravel(), g_n[number].ravel()
        # Pixels and sigmoid units are never negative.
        positive = energy.of_pairs(one, other, POSITIVE).reshape(-1, inputs, outputs)
        x, forward = done.inputs[number], counts.forward[number]
        forward.events += np.count_nonzero(x) * outputs
        forward.energy += float(np.vdot(energy.widths_of(x)[POSITIVE], positive.sum(axis=2)))
        if number:
            negative = energy.of_pairs(one, other, NEGATIVE).reshape(-1, inputs, outputs)
            x, backward = done.errors[number], counts.backward[number]
            sent = energy.widths_of(x)
            backward.events += np.count_nonzero(x) * (inputs - 1)
            for polarity, energies in ((NEGATIVE, negative), (POSITIVE, positive)):
                backward.energy += float(np.vdot(sent[polarity], energies[:, :-1].sum(axis=1)))
        full = np.interp(energy.t_read, energy.t_in, positive.sum(axis=(1, 2)))
        counts.look.energy += float(full)
        counts.look.events += inputs * outputs
