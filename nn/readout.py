"""Column sums as the circuit gives them: the read table's currents, converted by tiles and bit planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s, Floats
from nn.synapse import SynapseDevice, Synapses
from spicebridge.errors import SpicebridgeError

IMAGES = 256  # read at a time, so that a tile's sums stay in the second cache level


@dataclass(frozen=True, eq=False)
class Readout:
    """How an array's currents become numbers.

    A conversion takes the current of one tile's column during one read: of one bit plane of the first layer's
    inputs, or of a later layer's ternary inputs. Zero weights and zero inputs contribute what the table gives
    them. Codes of planes are shifted and added, those of tiles added, without error. Reads have no noise: the
    table holds none.

    Attributes:
        currents: of ``STATES`` at activations -1, 0, 1, in units of ``unit``, shape (4, 3).
        unit: the current (A) of a weight of one at an input of one.
        tile: rows that a conversion sums.
        planes: bits that an input of the first layer is read in.
        bits: of a conversion, which tells 2**bits - 1 levels apart, zero among them; None leaves currents as
            they are.
        reach: largest sum, of either sign, that the ADC tells apart, in units of ``unit``.
    """

    currents: Floats
    unit: float
    tile: int
    planes: int
    bits: int | None
    reach: float

    @property
    def step(self) -> float:
        """What a code counts, in units of ``unit``."""
        return 1.0 if self.bits is None else self.reach / self._most

    @property
    def _most(self) -> float:
        """The largest code."""
        return float("inf") if self.bits is None else 2 ** (self.bits - 1) - 1

    def __call__(self, x: Float32s, synapses: Synapses, *, first: bool) -> Float32s:
        """Column sums, shape (images, outputs), for inputs of shape (images, inputs).

        Args:
            x: a first layer's inputs in [0, 1], levels of ``planes`` bits; or ternary ones.
            synapses: int8 weights, shape (inputs, outputs).
            first: whether ``x`` is a first layer's.
        """
        at_minus, at_rest, at_plus = self.currents.T / self.step
        features = _features(synapses)
        plus = _combined(features, at_plus - at_rest)
        minus = plus if first else _combined(features, at_minus - at_rest)
        begins = range(0, x.shape[1], self.tile)
        idle = [
            _combined([each[b : b + self.tile].sum(axis=0) for each in features], at_rest) for b in begins
        ]
        sums = np.zeros((len(x), plus.shape[1]), np.float32)
        part, other = np.empty((2, min(IMAGES, len(x)), plus.shape[1]), np.float32)
        for start in range(0, len(x), IMAGES):
            some, codes = x[start : start + IMAGES], sums[start : start + IMAGES]
            part, other = part[: len(some)], other[: len(some)]
            for up, down in self._lines(some, first=first):
                codes *= 2
                for number, begin in enumerate(begins):
                    rows = slice(begin, begin + self.tile)
                    np.matmul(up[:, rows], plus[rows], out=part)
                    if down is not None:
                        part += np.matmul(down[:, rows], minus[rows], out=other)
                    part += idle[number]
                    self._convert(part)
                    codes += part
        sums *= np.float32(self.step / (2**self.planes - 1 if first else 1))
        return sums

    def _lines(self, x: Float32s, *, first: bool) -> Iterator[tuple[Float32s, Float32s | None]]:
        """What the rows are driven with, read after read: where +1, and where -1 (None for nowhere).

        Both are good until the next read.
        """
        if first:
            line = x * np.float32(2**self.planes - 1)
            levels = np.rint(line, out=line).astype(np.uint8)
            for plane in reversed(range(self.planes)):
                np.copyto(line, (levels >> plane) & 1)
                yield line, None
        else:
            yield (x > 0).astype(np.float32), (x < 0).astype(np.float32)

    def _convert(self, part: Float32s) -> None:
        """Currents, in steps, to the ADC's codes, in place."""
        if self.bits is None:
            return
        most = np.float32(self._most)
        np.rint(part, out=part)
        np.clip(part, -most, most, out=part)


def _features(synapses: Synapses) -> list[Float32s]:
    """What tells the four states apart: the weight, its square, one, and whether it is a strong zero.

    Arrays of the weights' shape (inputs, outputs), that of ones (inputs, 1); the last is left out where there
    is no strong zero.
    """
    weights = synapses.weights.astype(np.float32)
    square = weights * weights
    features = [weights, square, np.ones((len(weights), 1), np.float32)]
    if synapses.strong.any():
        features.append(synapses.strong * (1 - square))
    return features


def _combined(features: Sequence[Float32s], values: Floats) -> Float32s:
    """The sum of features that has a value in each of ``STATES``, shape (4,); or of sums of features."""
    minus, weak, strong, plus = values
    shares = ((plus - minus) / 2, (plus + minus) / 2 - weak, weak, strong - weak)
    total: Float32s = features[0] * np.float32(shares[0])
    for feature, share in zip(features[1:], shares[1:], strict=False):
        if share:
            total += feature * np.float32(share)
    return total


def readout_of(device: SynapseDevice, *, tile: int, planes: int, bits: int | None, share: float) -> Readout:
    """The readout of a device's own currents; ``share`` is the ADC's range, of a tile's largest sum.

    Raises:
        SpicebridgeError: the read table has no currents, or none that tell weights apart.
    """
    currents, name = device.read_current, device.read_source.name
    instead = "Characterise it anew, or leave the arm out: --arms table,ideal,float,table_spread"
    if currents is None:
        raise SpicebridgeError(f"arm table_read reads currents, which table {name} does not hold. {instead}")
    signed = np.outer((-1, 1), (-1, 1)) * currents[np.ix_((0, 3), (0, 2))]
    if not np.all(signed > 0):
        raise SpicebridgeError(
            f"arm table_read needs currents of the sign of weight times activation; table {name} has, at "
            f"activations -1, 0, +1, {_listed(currents[3])} A for weight +1 and {_listed(currents[0])} A for "
            f"weight -1. {instead}"
        )
    unit = float(signed.mean())
    return Readout(
        currents=currents / unit,
        unit=unit,
        tile=tile,
        planes=planes,
        bits=bits,
        reach=share * tile,
    )


def _listed(values: NDArray[Any]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
