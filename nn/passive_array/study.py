"""The study: trained networks written into arrays, read and tuned, stage by stage, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nn.arrays import Floats, Labels
from nn.passive_array.cells import Defects, Device, Filled, draw_cells, nominal_cells
from nn.passive_array.perceptrons import Perceptrons
from nn.passive_array.placement import Placement, effective_weights, targets
from nn.passive_array.reading import Crossbar, Measured, ideal_crossbar, measure
from nn.passive_array.splits import Splits
from nn.passive_array.tuning import (
    Periphery,
    class_scores,
    fit_columns,
    hidden_bits,
    search_thresholds,
    untuned,
)
from nn.passive_array.writing import Writing, wrong_cells
from spicebridge.errors import SpicebridgeError

STAGES = ("software", "write_errors", "spread", "lines", "columns_tuned", "thresholds_tuned")
"""``software``: the trained networks; ``write_errors``: as written into nominal cells; ``spread``: into cells
as made, defects included; ``lines``: read through resistive lines; ``columns_tuned``: with gain and offset of
every column pair; ``thresholds_tuned``: with searched thresholds and class scores too."""

BLOCK = 50  # solutions read and tuned together: what they need stays near the cache


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of array, and how it is written and read.

    Attributes:
        name: of the case.
        device: the cells as ordered, and their spread.
        defects: shares of bad cells.
        writing: how states come into the cells.
        crossbar: the lines that currents pass.
        v_read: read voltage (V).
    """

    name: str
    device: Device
    writing: Writing
    crossbar: Crossbar
    defects: Defects = field(default_factory=Defects)
    v_read: float = 0.15


@dataclass(frozen=True, eq=False)
class StageResult:
    """How every solution does in one stage, each array of shape (solutions,).

    Attributes:
        correct: test samples decided rightly.
        train_correct: training samples decided rightly.
        agreeing: samples, training and test, decided as software decides them.
        bits_agreeing: share of hidden values, over all samples, that are software's.
        score_error: root mean square of the class scores' difference from software's.
    """

    correct: NDArray[np.int64]
    train_correct: NDArray[np.int64]
    agreeing: NDArray[np.int64]
    bits_agreeing: Floats
    score_error: Floats


@dataclass(frozen=True, eq=False)
class CaseResult:
    """A case's outcome.

    Attributes:
        case: its name.
        stages: by the names in ``STAGES``.
        wrong_cells: used cells that are not as wanted, shape (solutions,).
        cells: used cells of a solution.
        weight_error: root mean square of the weights' difference from what they should be, as made and
            written, shape (solutions,).
        train_samples, test_samples: of each solution.
    """

    case: str
    stages: Mapping[str, StageResult]
    wrong_cells: NDArray[np.int64]
    cells: int
    weight_error: Floats
    train_samples: int
    test_samples: int

    @property
    def fidelity(self) -> Floats:
        """Write fidelity: share of used cells that are as wanted, shape (solutions,)."""
        return 1 - self.wrong_cells / self.cells

    def accuracy(self, stage: str) -> Floats:
        """Share of test samples decided rightly, shape (solutions,)."""
        return self.stages[stage].correct / self.test_samples

    def overall_accuracy(self, stage: str) -> Floats:
        """Share of all samples decided rightly, those of training included, shape (solutions,)."""
        found = self.stages[stage]
        return (found.correct + found.train_correct) / (self.train_samples + self.test_samples)

    def agreement(self, stage: str) -> Floats:
        """Share of all samples decided as software decides them, shape (solutions,)."""
        return self.stages[stage].agreeing / (self.train_samples + self.test_samples)


def run_case(
    splits: Splits,
    networks: Perceptrons,
    placement: Placement,
    case: Case,
) -> CaseResult:
    """Take every solution through all stages of a case.

    Tuning sees training samples only. A solution's outcome does not depend on which others are there.

    Args:
        splits: the data.
        networks: one for each of its solutions.
        placement: where their weights go.
        case: the arrays.
    """
    solutions = len(splits.seeds)
    if len(networks.hidden) != solutions:
        raise SpicebridgeError(f"{len(networks.hidden)} networks cannot share {solutions} splits.")
    wanted = targets(networks, placement)
    written = case.writing(wanted, splits.seeds)
    made = draw_cells(splits.seeds, placement, case.device, case.defects)
    ordered = nominal_cells(solutions, placement, case.device).fill(written)
    filled = made.fill(written)
    blocks = []
    with threadpool_limits(1):  # small products throughout: a second thread only waits
        for begin in range(0, solutions, BLOCK):
            part = slice(begin, begin + BLOCK)
            share = splits.part(part), networks.part(part)
            blocks.append(_stages(*share, placement, case, ordered.part(part), filled.part(part)))
    used = placement.used
    return CaseResult(
        case=case.name,
        stages={stage: _joined([block[stage] for block in blocks]) for stage in STAGES},
        wrong_cells=wrong_cells(made.hold(written), wanted, used, made.dead),
        cells=int(used.sum()),
        weight_error=_weight_error(filled.conductances, networks, placement, case.device),
        train_samples=splits.train.shape[1],
        test_samples=splits.test.shape[1],
    )


def _stages(
    splits: Splits,
    networks: Perceptrons,
    placement: Placement,
    case: Case,
    ordered: Filled,
    filled: Filled,
) -> dict[str, StageResult]:
    """Some solutions through all stages."""

    def read(cells: Filled, crossbar: Crossbar) -> Measured:
        return measure(
            cells,
            splits.train_inputs,
            splits.test_inputs,
            placement,
            device=case.device,
            crossbar=crossbar,
            v_read=case.v_read,
        )

    judge = _Judge(splits, networks)
    start = untuned(networks)
    found = {"software": judge.software()}
    for stage, cells, crossbar in (
        ("write_errors", ordered, ideal_crossbar),
        ("spread", filled, ideal_crossbar),
        ("lines", filled, case.crossbar),
    ):
        measured = read(cells, crossbar)
        found[stage] = judge.arrays(measured, start)
    columns = fit_columns(networks, measured, splits.train_inputs)
    found["columns_tuned"] = judge.arrays(measured, columns)
    thresholds = search_thresholds(columns, measured, splits.train_labels)
    found["thresholds_tuned"] = judge.arrays(measured, thresholds)
    return found


class _Judge:
    """Compares stages with the labels and with software."""

    def __init__(self, splits: Splits, networks: Perceptrons) -> None:
        self.train_labels, self.test_labels = splits.train_labels, splits.test_labels
        inputs = np.concatenate([splits.train_inputs, splits.test_inputs], axis=1)
        self.bits, self.scores = networks.bits(inputs), networks.scores(inputs)

    def software(self) -> StageResult:
        """The trained networks themselves."""
        return self._judged(self.bits, self.scores)

    def arrays(self, measured: Measured, periphery: Periphery) -> StageResult:
        """Arrays with a periphery."""
        sums = np.concatenate([measured.train, measured.test], axis=1)
        return self._judged(hidden_bits(sums, periphery), class_scores(sums, measured, periphery))

    def _judged(self, bits: NDArray[np.bool_], scores: Floats) -> StageResult:
        decisions: Labels = np.argmax(scores, axis=2)
        cut = self.train_labels.shape[1]
        return StageResult(
            correct=np.count_nonzero(decisions[:, cut:] == self.test_labels, axis=1),
            train_correct=np.count_nonzero(decisions[:, :cut] == self.train_labels, axis=1),
            agreeing=np.count_nonzero(decisions == np.argmax(self.scores, axis=2), axis=1),
            bits_agreeing=np.mean(bits == self.bits, axis=(1, 2)),
            score_error=np.sqrt(np.mean((scores - self.scores) ** 2, axis=(1, 2))),
        )


def _joined(blocks: list[StageResult]) -> StageResult:
    names = ("correct", "train_correct", "agreeing", "bits_agreeing", "score_error")
    return StageResult(*(np.concatenate([getattr(block, name) for block in blocks]) for name in names))


def join_results(parts: Sequence[CaseResult]) -> CaseResult:
    """One case's outcome from those of parts of its solutions, in their order."""
    first = parts[0]
    return replace(
        first,
        stages={stage: _joined([part.stages[stage] for part in parts]) for stage in STAGES},
        wrong_cells=np.concatenate([part.wrong_cells for part in parts]),
        weight_error=np.concatenate([part.weight_error for part in parts]),
    )


def _weight_error(
    conductances: Floats, networks: Perceptrons, placement: Placement, device: Device
) -> Floats:
    """Root mean square over both layers' weights, shape (solutions,)."""
    errors = [
        (effective_weights(conductances, placement, layer, g_p=device.g_p, g_ap=device.g_ap) - weights)
        for layer, weights in ((placement.hidden, networks.hidden), (placement.output, networks.output))
    ]
    flat = np.concatenate([each.reshape(len(each), -1) for each in errors], axis=1)
    return np.sqrt(np.mean(flat**2, axis=1))


def describe(result: CaseResult) -> dict[str, Any]:
    """A case's outcome as JSON-like whole numbers, one a solution, in the order of the seeds."""
    return {
        "case": result.case,
        "cells": result.cells,
        "train_samples": result.train_samples,
        "test_samples": result.test_samples,
        "wrong_cells": result.wrong_cells.tolist(),
        "stages": {
            stage: {name: getattr(found, name).tolist() for name in ("correct", "train_correct", "agreeing")}
            for stage, found in result.stages.items()
        },
    }
