"""Writing: what becomes of the wanted states, by a bit error rate or by pulses sent cell after cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Floats
from nn.passive_array.placement import Parallel
from nn.passive_array.seeds import Stream, generator
from spicebridge.errors import SpicebridgeError

TO_AP, TO_P = 0, 1
BLOCK = 16  # solutions pulsed together: their draws, 0.4 MB for each array, stay in reach of the cache


class Writing(Protocol):
    """A way to write arrays."""

    def __call__(self, wanted: Parallel, seeds: Sequence[int]) -> Parallel:
        """The states found after writing ``wanted``, shape (solutions, arrays, rows, columns)."""
        ...


@dataclass(frozen=True, eq=False)
class BitErrors:
    """Independent bit errors.

    Attributes:
        rate: probability that a cell ends in the other state than wanted: one number, or what broadcasts to
            (solutions, arrays, rows, columns).
        rate_ap: the same for cells that are to be AP; None: as ``rate``.
    """

    rate: float | Floats
    rate_ap: float | Floats | None = None

    def __call__(self, wanted: Parallel, seeds: Sequence[int]) -> Parallel:
        """The states after writing."""
        draws = np.stack([generator(seed, Stream.WRITE).random(wanted.shape[1:]) for seed in seeds])
        rate_ap = self.rate if self.rate_ap is None else self.rate_ap
        return wanted ^ (draws < np.where(wanted, self.rate, rate_ap))


def drawn_errors(seeds: Sequence[int], *, lowest: float, highest: float) -> BitErrors:
    """Bit errors at a rate of each solution's own, between 1 - ``highest`` and 1 - ``lowest`` fidelity."""
    rates = [generator(seed, Stream.FIDELITY).uniform(1 - highest, 1 - lowest) for seed in seeds]
    return BitErrors(np.array(rates)[:, None, None, None])


@dataclass(frozen=True, eq=False)
class PulsedWriting:
    """One pulse a cell, row by row, that may fail and may disturb the cells it half-selects.

    Every array starts from random states and every cell gets a pulse, whatever it holds. A cell can only flip
    towards the state that the voltage over it favours. All probabilities are those of one pulse, with the
    direction in which the cell in question flips (``TO_AP``, ``TO_P``) as first axis and that cell's place as
    the last two: shape (2, rows, columns), or (2, solutions, arrays, rows, columns) where devices differ.

    Attributes:
        success: of the selected cell, if it is to switch.
        row_disturb: of another cell on the selected word line, by a pulse in the same direction.
        column_disturb: of another cell on the selected bit line, by a pulse in the same direction.
        rest_disturb: of a cell on neither, by a pulse in the opposite direction (V/3; nothing at V/2).
        passes: 1: as described; each further pass reads the array without error and pulses the cells that
            are wrong.
    """

    success: Floats
    row_disturb: Floats
    column_disturb: Floats
    rest_disturb: Floats | None = None
    passes: int = 1

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise SpicebridgeError(f"passes = {self.passes} must be 1 or more.")
        for name in ("success", "row_disturb", "column_disturb", "rest_disturb"):
            odds = getattr(self, name)
            if odds is not None and not (np.all(odds >= 0) and np.all(odds <= 1)):
                raise SpicebridgeError(f"{name} holds something that is no probability.")

    def __call__(self, wanted: Parallel, seeds: Sequence[int]) -> Parallel:
        """The states after writing."""
        found = np.empty_like(wanted)
        for begin in range(0, len(seeds), BLOCK):
            part = slice(begin, begin + BLOCK)
            rngs = [generator(seed, Stream.WRITE) for seed in seeds[part]]
            state = np.stack([rng.random(wanted.shape[1:]) < 0.5 for rng in rngs])
            odds = self._odds(wanted.shape, part)
            for number in range(self.passes):
                chosen = np.ones_like(state) if number == 0 else state != wanted[part]
                _one_pass(state, wanted[part], chosen, odds, rngs)
            found[part] = state
        return found

    def _odds(self, shape: tuple[int, ...], part: slice) -> _Odds:
        """Odds of some solutions, each (2, solutions, arrays, rows, columns)."""
        rest = np.zeros_like(self.success) if self.rest_disturb is None else self.rest_disturb
        every = (self.success, self.row_disturb, self.column_disturb, rest)
        aligned = (odds[:, None, None] if odds.ndim == 3 else odds for odds in every)
        return _Odds(*(np.broadcast_to(odds, (2, *shape))[:, part] for odds in aligned))


class _Odds(NamedTuple):
    success: Floats
    row: Floats
    column: Floats
    rest: Floats


def _one_pass(
    state: Parallel,
    wanted: Parallel,
    chosen: NDArray[np.bool_],
    odds: _Odds,
    rngs: Sequence[np.random.Generator],
) -> None:
    """Pulse the chosen cells of ``state`` in place."""
    arrays, rows, columns = state.shape[1:]
    for array in range(arrays):
        draws = np.stack([rng.random((rows, columns, rows, columns)) for rng in rngs])
        own = _Odds(*(each[:, :, array] for each in odds))
        for row, column in np.ndindex(rows, columns):
            _one_pulse(
                state[:, array],
                (row, column),
                towards=wanted[:, array, row, column],
                pulsed=chosen[:, array, row, column],
                odds=own,
                draws=draws[:, row, column],
            )


def _one_pulse(
    cells: Parallel,
    selected: tuple[int, int],
    *,
    towards: NDArray[np.bool_],
    pulsed: NDArray[np.bool_],
    odds: _Odds,
    draws: Floats,
) -> None:
    """Pulse one cell of each solution's array (solutions, rows, columns), in place."""
    row, column = selected
    to_p = towards[:, None]
    p = np.where(to_p[:, None], odds.rest[TO_AP], odds.rest[TO_P])
    p[:, row] = np.where(to_p, odds.row[TO_P][:, row], odds.row[TO_AP][:, row])
    p[:, :, column] = np.where(to_p, odds.column[TO_P][:, :, column], odds.column[TO_AP][:, :, column])
    p[:, row, column] = np.where(
        towards, odds.success[TO_P][:, row, column], odds.success[TO_AP][:, row, column]
    )
    favoured = np.broadcast_to(~towards[:, None, None], cells.shape).copy()
    favoured[:, row] = favoured[:, :, column] = to_p
    flips = pulsed[:, None, None] & (draws < p)
    np.copyto(cells, favoured, where=flips)


def wrong_cells(
    held: Parallel, wanted: Parallel, used: NDArray[np.bool_], dead: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Used cells that are not as wanted, dead ones included, shape (solutions,)."""
    wrong = ((held != wanted) | dead) & used
    return np.count_nonzero(wrong, axis=(1, 2, 3)).astype(np.int64)
