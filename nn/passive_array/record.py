"""The study's record: every solution's outcome in every case, what they come to, what it cost; JSON-like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nn.experiment import json_like
from nn.origin import describe_tables, versions
from nn.passive_array.costs import accounting_block, inference_block, writing_block
from nn.passive_array.experiment import ArrayExperiment
from nn.passive_array.judgement import associate, judge, summarize
from nn.passive_array.operating import Arrays
from nn.passive_array.perceptrons import Perceptrons, distinct
from nn.passive_array.placement import Placement, targets
from nn.passive_array.plan import Plan
from nn.passive_array.splits import Splits
from nn.passive_array.study import STAGES, CaseResult, describe
from spicebridge.errors import SpicebridgeError

JUDGED = ("lines", "columns_tuned", "thresholds_tuned")
SEED = 0  # of the bootstrap


@dataclass(frozen=True, eq=False)
class Study:
    """A study that was carried out.

    Attributes:
        experiment, arrays, splits, placement: what was studied.
        plain, aware: the trained networks, without and with hardware-aware training.
        cases, results: what was done to all solutions, and the outcomes; the headline's first.
    """

    experiment: ArrayExperiment
    arrays: Arrays
    splits: Splits
    placement: Placement
    plain: Perceptrons
    aware: Perceptrons
    cases: tuple[Plan, ...]
    results: tuple[CaseResult, ...]

    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """Every network by name, as ``weights.npz`` holds them."""
        return {
            f"{kind}.{name}": getattr(networks, name)
            for kind, networks in (("plain", self.plain), ("aware", self.aware))
            for name in ("hidden", "threshold", "output", "offset")
        }


def study_record(study: Study, *, circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a study.

    Args:
        study: what was done.
        circumstances: what does not bear on the values: git revision, command, wall time.

    Returns:
        ``experiment``, ``study``, ``settings``, ``seeds``, ``data``, ``tables``, ``array``; ``accuracy`` and
        ``baseline_accuracy`` (medians over the solutions after tuning and of the software, per cent),
        ``write_fidelity`` (mean of the headline's case, share), ``stages`` (of that case), ``cases``,
        ``judgement``; ``feedforward``, ``write``, ``ledgers``, ``accounting``; ``weights``, ``versions``,
        ``circumstances``. SI units; energies in J.
    """
    experiment, main = study.experiment, study.results[0]
    stages = {stage: summarize(main.accuracy(stage)) for stage in STAGES}
    point = study.cases[0].point
    reading, read_ledger = inference_block(study.arrays, study.splits, study.placement, point.diameter)
    writing, write_ledger = writing_block(study.arrays, targets(study.plain, study.placement), point)
    record = {
        "experiment": experiment.name,
        "study": experiment.study,
        "description": experiment.description,
        "settings": json_like(experiment),
        "seeds": list(experiment.seeds),
        "data": describe_data(study.splits, experiment),
        "tables": describe_tables([study.arrays.write, study.arrays.read]),
        "array": {
            "rows": study.placement.rows,
            "columns": study.placement.columns,
            "arrays": study.placement.arrays,
            "cells_used": int(study.placement.used.sum()),
            "wiring": asdict(study.arrays.wiring),
            "r_short": study.arrays.device.r_short,
            "network": [len(study.placement.hidden.rows), experiment.hidden, study.splits.classes],
        },
        "accuracy": stages["thresholds_tuned"]["median"],
        "accuracy_mean": stages["thresholds_tuned"]["mean"],
        "baseline_accuracy": stages["software"]["median"],
        "baseline_accuracy_mean": stages["software"]["mean"],
        "write_fidelity": float(main.fidelity.mean()),
        "stages": stages,
        "cases": [
            _case(study, number, whole=number == 0 or plan.drawn is not None)
            for number, plan in enumerate(study.cases)
        ],
        "judgement": judgement(study),
        "feedforward": reading,
        "write": writing,
        "ledgers": {"feedforward": read_ledger.to_json(), "write": write_ledger.to_json()},
        "weights": {
            "digest": weights_digest(study.weights()),
            "distinct": distinct(study.plain),
        },
        "versions": versions(),
        "circumstances": dict(circumstances),
    }
    return record | {"accounting": accounting_block(record)}


def describe_data(splits: Splits, experiment: ArrayExperiment) -> dict[str, Any]:
    """The data set and how it was divided; the checksum covers what every solution saw."""
    content = hashlib.sha256()
    for part in (splits.train, splits.test, splits.train_inputs, splits.train_labels, splits.test_inputs):
        kind = "<i8" if part.dtype.kind == "i" else "<f4"
        content.update(np.ascontiguousarray(part).astype(kind).tobytes())
    parts = experiment.split
    return {
        "name": "wine",
        "checksum": content.hexdigest(),
        "split": (
            f"a stratified split of its own for each solution, {parts.train} training and {parts.test} test "
            "samples"
        ),
        "training_samples": parts.train,
        "test_samples": parts.test,
    }


def _case(study: Study, number: int, *, whole: bool) -> dict[str, Any]:
    """A case's outcome: every solution's correct test samples, and for ``whole`` ones all that was counted.

    ``write_energy`` is that of one solution (J), where each cell gets one pulse of the table's.
    """
    plan, result = study.cases[number], study.results[number]
    told = describe(result)
    energy = plan.pulsed and plan.passes == 1
    wanted = targets(study.aware if plan.aware else study.plain, study.placement)
    if not whole:
        told["stages"] = {stage: {"correct": each["correct"]} for stage, each in told["stages"].items()}
    return {
        "about": plan.about,
        "point": asdict(plan.point) if plan.pulsed else None,
        "aware": plan.aware,
        "passes": plan.passes,
        "defects": {name: share for name, share in asdict(plan.defects).items() if share},
        "write_fidelity": float(result.fidelity.mean()),
        "write_energy": writing_block(study.arrays, wanted, plan.point)[0]["energy_per_solution"]
        if energy
        else None,
        "summary": {stage: summarize(result.accuracy(stage)) for stage in STAGES},
        **told,
    }


def judgement(study: Study) -> dict[str, Any]:
    """What goes with accuracy: in the headline's and the drawn case, and fidelity in every written one."""
    by_case = {}
    for plan, result in zip(study.cases, study.results, strict=True):
        if plan.drawn is not None or plan is study.cases[0]:
            by_case[plan.name] = {stage: judge(result, stage, seed=SEED) for stage in JUDGED}
    written = [(plan, result) for plan, result in zip(study.cases, study.results, strict=True) if plan.plain]
    return {
        "cases": by_case,
        "fidelity": {
            plan.name: {stage: _associated([result], stage) for stage in JUDGED} for plan, result in written
        },
        "pooled": {stage: _associated([result for _, result in written], stage) for stage in JUDGED},
    }


def _associated(results: list[CaseResult], stage: str) -> dict[str, Any] | None:
    """How write fidelity goes with test accuracy; None where one of them does not vary."""
    fidelity = np.concatenate([result.fidelity for result in results])
    accuracy = np.concatenate([result.accuracy(stage) for result in results])
    try:
        found = associate(fidelity, accuracy, seed=SEED)
    except SpicebridgeError:
        return None
    return asdict(found) | {"predicts_alone": found.predicts_alone}


def weights_digest(weights: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """SHA-256 of the networks: names, shapes and values."""
    content = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        content.update(f"{name}{array.shape}".encode())
        content.update(array.astype("<i1" if array.dtype == np.int8 else "<f8").tobytes())
    return content.hexdigest()


def record_text(record: Mapping[str, Any]) -> str:
    """A record as JSON, a line for each of its keys and each case: small, and still to be compared."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    lines = []
    for key, value in record.items():
        if key == "cases":
            body = "[\n" + ",\n".join(compact(each) for each in value) + "\n]"
        else:
            body = compact(value)
        lines.append(f"{compact(key)}: {body}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
