"""The golden check of system B: inference with every layer's array solved in ngspice.

Run as a module (``python -m tests.golden_array``) it takes all solutions of the reference record, a quarter
of an hour on two cores, and writes ``golden.json`` beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from circuits.passive_array import dc_read_deck, measure_dc_read
from nn.passive_array.cells import Filled, draw_cells
from nn.passive_array.experiment import CLASSES, CONSTANT_ROWS, FEATURES, array_experiment_from
from nn.passive_array.operating import Arrays, WritePoint, arrays_of
from nn.passive_array.perceptrons import Perceptrons, output_rows
from nn.passive_array.placement import Layer, Placement, place, targets
from nn.passive_array.plan import Plan, build_case
from nn.passive_array.reading import biased_crossbar, measure, row_voltages, weighted_sums
from nn.passive_array.splits import Splits, draw_splits, wine
from nn.passive_array.training import Recipe, train
from nn.passive_array.tuning import Periphery, fit_columns, hidden_bits, search_thresholds, untuned
from spicebridge.crossbar import Junctions
from spicebridge.deck import Deck
from spicebridge.files import write_text
from spicebridge.project import reference_folder
from spicebridge.table import load_table
from spicebridge.terminal import cores
from spicebridge.workers import Pool, Task

RUN = "wine_passive_array"
TUNINGS = ("lines", "thresholds_tuned")


@dataclass(frozen=True)
class Bench:
    """Some solutions of the reference record, trained, written and tuned anew."""

    arrays: Arrays
    splits: Splits
    placement: Placement
    networks: Perceptrons
    filled: Filled
    peripheries: dict[str, Periphery]

    @property
    def inputs(self) -> np.ndarray:
        """Row values of all samples, training first, shape (solutions, samples, rows)."""
        return np.concatenate([self.splits.train_inputs, self.splits.test_inputs], axis=1)

    @property
    def labels(self) -> np.ndarray:
        return np.concatenate([self.splits.train_labels, self.splits.test_labels], axis=1)

    def voltages(self, values: np.ndarray, layer: Layer) -> np.ndarray:
        return row_voltages(values, layer, self.placement, v_read=self.arrays.experiment.v_read)

    def sums(self, currents: np.ndarray, layer: Layer) -> np.ndarray:
        v_read = self.arrays.experiment.v_read
        return weighted_sums(currents, layer, self.placement, device=self.arrays.device, v_read=v_read)

    def solved(self, voltages: np.ndarray, layer: Layer) -> np.ndarray:
        """Column currents (A) by the direct solution."""
        crossbar = biased_crossbar(self.arrays.wiring, v_h=self.arrays.device.v_h)
        return crossbar(self.filled.array(layer.array))(voltages)

    def decks(self, voltages: np.ndarray, layer: Layer) -> list[Deck]:
        """One deck a solution: its array, all its vectors."""
        cells = self.filled.array(layer.array)
        v_h = np.full(cells.g_p.shape[1:], self.arrays.device.v_h)
        return [
            dc_read_deck(Junctions(g_p, tmr, v_h), self.arrays.wiring, voltages=driven)
            for g_p, tmr, driven in zip(cells.g_p, cells.tmr, voltages, strict=True)
        ]


def reference_record() -> dict[str, Any]:
    return json.loads((reference_folder() / "runs" / RUN / "record.json").read_text(encoding="utf-8"))


def prepare(record: dict[str, Any], seeds: Sequence[int]) -> Bench:
    """These solutions in the arrays of the record's headline."""
    experiment = array_experiment_from(record["settings"], where="the record")
    folder = reference_folder() / "tables"
    names = (experiment.tables.write, experiment.tables.read)
    arrays = arrays_of(experiment, {name: load_table(folder / f"{name}.h5") for name in names})
    parts = experiment.split
    splits = draw_splits(*wine(), seeds=seeds, train=parts.train, test=parts.test)
    placement = place(
        inputs=FEATURES + CONSTANT_ROWS,
        hidden=experiment.hidden,
        classes=CLASSES,
        scheme=experiment.placement,
    )
    networks = train(splits, Recipe(hidden=experiment.hidden, epochs=experiment.epochs)).networks
    plan = Plan(name="golden", about="", point=WritePoint(**record["cases"][0]["point"]))
    case = build_case(plan, arrays, placement, splits.seeds)
    written = case.writing(targets(networks, placement), splits.seeds)
    filled = draw_cells(splits.seeds, placement, case.device).fill(written)
    measured = measure(
        filled,
        splits.train_inputs,
        splits.test_inputs,
        placement,
        device=case.device,
        crossbar=case.crossbar,
        v_read=case.v_read,
    )
    tuned = search_thresholds(
        fit_columns(networks, measured, splits.train_inputs), measured, splits.train_labels
    )
    peripheries = dict(zip(TUNINGS, (untuned(networks), tuned), strict=True))
    return Bench(arrays, splits, placement, networks, filled, peripheries)


def in_ngspice(decks: list[Deck], *, columns: int, workers: int) -> np.ndarray:
    """Column currents (A), shape (solutions, vectors, columns)."""
    found: dict[int, np.ndarray] = {}
    tasks = (Task(deck, partial(measure_dc_read, columns=columns)) for deck in decks)
    with Pool(workers=workers) as pool:
        for position, answer in pool.run(tasks):
            if answer.error is not None:
                raise answer.error
            found[position] = answer.value["current"]
    return np.stack([found[position] for position in range(len(decks))])


def check(record: dict[str, Any], seeds: Sequence[int], *, workers: int) -> dict[str, Any]:
    """Infer every sample of these solutions in ngspice and by the direct solution, and compare.

    The chain is closed in each: the bits that ngspice's first layer gives drive ngspice's second.
    """
    with threadpool_limits(1):
        bench = prepare(record, seeds)
        first = bench.voltages(bench.inputs, bench.placement.hidden)
        solved, columns = bench.solved(first, bench.placement.hidden), bench.placement.columns
    spice = in_ngspice(bench.decks(first, bench.placement.hidden), columns=columns, workers=workers)
    result: dict[str, Any] = {
        "solutions": len(seeds),
        "samples": int(bench.inputs.shape[1]),
        "first_layer": largest_difference(spice, solved),
        "second_layer": 0.0,
        "dc_points": int(spice.shape[0] * spice.shape[1]),
    }
    for tuning, periphery in bench.peripheries.items():
        bits = {
            name: hidden_bits(bench.sums(currents, bench.placement.hidden), periphery)
            for name, currents in (("spice", spice), ("solver", solved))
        }
        decisions = {}
        for name in bits:
            driven = bench.voltages(output_rows(np.where(bits[name], 1.0, -1.0)), bench.placement.output)
            currents = bench.solved(driven, bench.placement.output)
            if name == "spice":
                direct = currents
                decks = bench.decks(driven, bench.placement.output)
                currents = in_ngspice(decks, columns=columns, workers=workers)
                difference = largest_difference(currents, direct)
                result["second_layer"] = max(result["second_layer"], difference)
                result["dc_points"] += int(currents.shape[0] * currents.shape[1])
            sums = bench.sums(currents, bench.placement.output)
            scores = periphery.class_gain[:, None] * sums + periphery.class_offset[:, None]
            decisions[name] = np.argmax(scores, axis=2)
        held = slice(len(bench.splits.train[0]), None)
        right = decisions["spice"][:, held] == bench.labels[:, held]
        result[tuning] = {
            "bits_differing": int(np.count_nonzero(bits["spice"] != bits["solver"])),
            "decisions": int(decisions["spice"].size),
            "decisions_differing": int(np.count_nonzero(decisions["spice"] != decisions["solver"])),
            "correct": np.count_nonzero(right, axis=1).tolist(),
        }
    return result


def largest_difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Of currents, as a share of the largest of their own array's, the worst solution's."""
    largest = np.abs(wanted).max(axis=(1, 2))
    return float((np.abs(found - wanted).max(axis=(1, 2)) / largest).max())


def main() -> None:
    record, started = reference_record(), time.perf_counter()
    result = check(record, record["seeds"], workers=cores())
    result["wall_seconds"] = round(time.perf_counter() - started, 1)
    result["tables"] = [table["digest"] for table in record["tables"]]
    text = json.dumps(result, separators=(",", ":")).replace(',"', ',\n"')
    write_text(reference_folder() / "runs" / RUN / "golden.json", text + "\n")


if __name__ == "__main__":
    main()
