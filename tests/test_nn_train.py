"""Training runs: accuracy, the record, resumption, worker processes."""

from __future__ import annotations

import json
import multiprocessing
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn.arms import ARMS
from nn.checkpoint import CHECKPOINTS
from nn.experiment import Experiment, experiment_from
from nn.jobs import Progress
from nn.record import ACCURACY_KEYS
from nn.run import jobs_of, run
from nn.studies import load_study
from spicebridge.energy import ledger_from_json
from spicebridge.errors import SpicebridgeError
from spicebridge.report import html_report, text_report
from spicebridge.table import LookupTable
from tests.synthetic_tables import HALF_SELECTED, near, tables, write_table

SMALL: dict[str, Any] = {
    "name": "small",
    "description": "digits on a small network",
    "dataset": "digits",
    "hidden": [32],
    "batch": 50,
    "epochs": 3,
    "seeds": [1, 2],
    "split": {"train": 600, "test": 200, "seed": 0},
}


def small(**changes: Any) -> Experiment:
    return experiment_from(SMALL | changes)


def values_of(record: dict[str, Any]) -> dict[str, Any]:
    """A record without its circumstances and the time it took."""
    kept: dict[str, Any] = json.loads(json.dumps(record))
    del kept["circumstances"]
    for arm in kept["arms"].values():
        for each in arm["runs"]:
            del each["seconds"]
    return kept


class CutShortError(Exception):
    """Stands for whatever cuts a run short."""


def test_digits_train_to_a_sensible_accuracy_in_every_arm(tmp_path: Path) -> None:
    experiment = load_study("digits_ternary_mtj", overrides={"epochs": 20, "seeds": [1]})
    record = run(experiment, tables(), folder=tmp_path)
    assert record["accuracy"] > 94
    assert record["ideal_accuracy"] > 94
    assert record["baseline_accuracy"] > 96


def test_the_record_is_on_disk_and_its_energies_are_those_of_its_ledgers(tmp_path: Path) -> None:
    given = tables()
    record = run(small(), given, folder=tmp_path, circumstances={"command": "train small"})
    assert json.loads((tmp_path / "record.json").read_text()) == record
    assert record["circumstances"]["command"] == "train small"
    assert [(each["name"], each["digest"]) for each in record["tables"]] == [
        (each.name, each.digest) for each in given.values()
    ]
    assert record["device"]["zero_state"] == "ap_ap"
    assert set(record["arms"]) == set(ARMS)
    for arm, key in ACCURACY_KEYS.items():
        runs = record["arms"][arm]["runs"]
        assert [each["seed"] for each in runs] == [1, 2]
        assert record[key] == pytest.approx(np.mean([each["test_accuracy"] for each in runs]))
        assert all(100 * each["epochs"][-1]["test_accuracy"] == each["test_accuracy"] for each in runs)

    feedforward, update = (ledger_from_json(record["ledgers"][name]) for name in ("feedforward", "update"))
    macs = (64 * 32 + 32 * 10) * 200 * 2
    assert record["feedforward"]["operations"] == 2 * macs
    assert feedforward.joules("layer 1") + feedforward.joules("layer 2") == near(
        record["feedforward"]["energy_total"]
    )
    assert feedforward.events("layer 1") == 4 * 64 * 32 * 200 * 2
    updates = (64 * 32 + 32 * 10) * (600 // 50) * 3 * 2
    assert record["update"]["operations"] == 2 * updates
    assert update.joules("update") == near(record["update"]["energy_total"])
    epochs = [epoch for each in record["arms"]["table"]["runs"] for epoch in each["epochs"]]
    assert sum(epoch["flips"] for epoch in epochs) == record["update"]["flips"]
    assert sum(epoch["pulses"] for epoch in epochs) == record["update"]["pulses"]
    assert sum(epoch["pulse_energy"] + epoch["read_energy"] for epoch in epochs) == near(
        record["update"]["energy_total"]
    )
    assert sum(epoch["read_energy"] for epoch in epochs) == near(record["update"]["read_energy"])
    assert record["update"]["energy_per_flip"] * record["update"]["flips"] == near(update.joules("update"))
    told = record["accounting"]
    images = 600 * 3 * 2
    assert told["update"]["array"]["energy_per_image"] == near(record["update"]["energy_total"] / images)
    assert told["feedforward"]["array"]["tops_per_watt"] == near(record["feedforward"]["tops_per_watt"])
    seen = record["update"]["nonzero_inputs"]
    training = ledger_from_json(told["ledgers"]["training"])
    assert training.events("update products", "outer product, add, fp32") == 32 * seen[0] + 10 * seen[1]
    assert training.events("update products", "outer product, multiply, fp32") == 32 * seen[0]
    half = record["update"]["half_selected"]
    sent = {name: sum(each["pulses"]) for name, each in record["update"]["pulse_widths"].items()}
    extra = sum(
        sent[name] * 2 * 127 * HALF_SELECTED[0] + (2 * updates - sent[name]) * HALF_SELECTED[1]
        for name in sent
    )
    assert half["energy_total"] == near(record["update"]["energy_total"] + extra)
    assert record["update"]["tops_per_watt"] == near(1e-12 / record["update"]["energy_per_op"])
    digests = {each["source"]["digest"] for each in record["ledgers"]["update"]} - {""}
    assert digests == {each["digest"] for each in record["tables"]}


def test_weights_on_disk_are_ternary_and_without_pickle(tmp_path: Path) -> None:
    run(small(epochs=1, seeds=[3]), tables(), folder=tmp_path, arms=["table"])
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as file:
        weights = file["table.seed3.layer1.weights"]
    assert weights.dtype == np.int8
    assert set(np.unique(weights)) <= {-1, 0, 1}


@pytest.mark.parametrize("arm", ARMS)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path, arm: str) -> None:
    whole = run(small(seeds=[1]), tables(), folder=tmp_path / "whole", arms=[arm])

    def interrupt(progress: Progress) -> None:
        if progress.epoch == 2:
            raise CutShortError

    with pytest.raises(CutShortError):
        run(small(seeds=[1]), tables(), folder=tmp_path / "cut", arms=[arm], progress=interrupt)
    seen: list[int] = []
    resumed = run(
        small(seeds=[1]),
        tables(),
        folder=tmp_path / "cut",
        arms=[arm],
        progress=lambda progress: seen.append(progress.epoch),
    )
    assert seen == [3]
    assert values_of(resumed) == values_of(whole)
    with np.load(tmp_path / "cut/weights.npz") as cut, np.load(tmp_path / "whole/weights.npz") as uncut:
        for name in uncut.files:
            np.testing.assert_array_equal(cut[name], uncut[name])
    assert not (tmp_path / "cut" / CHECKPOINTS).exists()


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        ({"steepness": 2.0}, {}),
        ({}, {"mtj_write": write_table(last=8e-9)}),
        ({"split": {"train": 600, "test": 200, "seed": 1}}, {}),
        ({"seeds": [2]}, {}),
    ],
    ids=["settings", "table", "data", "seed"],
)
def test_a_checkpoint_of_anything_else_is_not_continued(
    tmp_path: Path, changes: dict[str, Any], given: dict[str, LookupTable]
) -> None:
    seen: list[int] = []

    def cut(progress: Progress) -> None:
        seen.append(progress.epoch)
        raise CutShortError

    for experiment, read in (
        (small(seeds=[1]), tables()),
        (small(seeds=[1]), tables()),
        (small(**({"seeds": [1]} | changes)), tables() | given),
    ):
        with pytest.raises(CutShortError):
            run(experiment, read, folder=tmp_path, arms=["table"], progress=cut)
    assert seen == [1, 2, 1]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINTS / "table-1.npz"
    path.parent.mkdir()
    path.write_bytes(b"PK not a checkpoint")
    with pytest.raises(SpicebridgeError, match=r"table-1\.npz is damaged"):
        run(small(seeds=[1]), tables(), folder=tmp_path, arms=["table"])


def test_one_and_two_workers_give_the_same_values(tmp_path: Path) -> None:
    seen: list[Progress] = []
    one = run(small(epochs=2), tables(), folder=tmp_path / "one")
    two = run(small(epochs=2), tables(), folder=tmp_path / "two", workers=2, progress=seen.append)
    assert values_of(one) == values_of(two)
    assert {(each.arm, each.seed, each.epoch) for each in seen} == {
        (arm, seed, epoch) for arm in ARMS for seed in (1, 2) for epoch in (1, 2)
    }
    with np.load(tmp_path / "one/weights.npz") as first, np.load(tmp_path / "two/weights.npz") as second:
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name])


def test_a_killed_worker_is_reported_and_the_run_continued_to_the_same_values(tmp_path: Path) -> None:
    def kill(_: Progress) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    experiment, arms = small(epochs=30, seeds=[1]), ["table", "ideal"]
    with pytest.raises(SpicebridgeError, match="a training worker died"):
        run(experiment, tables(), folder=tmp_path / "cut", arms=arms, workers=2, progress=kill)
    assert list((tmp_path / "cut" / CHECKPOINTS).glob("*.npz"))
    resumed = run(experiment, tables(), folder=tmp_path / "cut", arms=arms, workers=2)
    whole = run(experiment, tables(), folder=tmp_path / "whole", arms=arms)
    assert values_of(resumed) == values_of(whole)


def test_a_run_stopped_from_outside_stops_its_workers_too(tmp_path: Path) -> None:
    def interrupt(_: Progress) -> None:
        raise CutShortError

    epochs = 2000
    with pytest.raises(CutShortError):
        run(small(epochs=epochs, seeds=[1]), tables(), folder=tmp_path, workers=2, progress=interrupt)
    assert not multiprocessing.active_children()
    assert not (tmp_path / "record.json").exists()


def test_another_seed_gives_other_values(tmp_path: Path) -> None:
    first = run(small(epochs=1, seeds=[1]), tables(), folder=tmp_path / "a", arms=["table"])
    second = run(small(epochs=1, seeds=[2]), tables(), folder=tmp_path / "b", arms=["table"])
    assert first["update"]["flips"] != second["update"]["flips"]


@pytest.mark.parametrize("encoding", ["affine", "gated", "blind"])
def test_every_ablation_trains_and_keeps_its_books(tmp_path: Path, encoding: str) -> None:
    record = run(small(seeds=[1], encoding=encoding), tables(), folder=tmp_path, arms=["table"])
    assert record["update"]["pulses"] > 0
    assert record["update"]["energy_total"] == near(
        ledger_from_json(record["ledgers"]["update"]).joules("update")
    )
    assert (record["update"]["reads"] == 0) == (encoding == "blind")


def test_affine_widths_flip_far_more_often_and_gated_ones_far_less(tmp_path: Path) -> None:
    flips = {
        encoding: run(
            small(seeds=[1], encoding=encoding, rate_start=0.001),
            tables(),
            folder=tmp_path / encoding,
            arms=["table"],
        )["update"]["flips"]
        for encoding in ("inverse", "affine", "gated")
    }
    assert flips["affine"] > 5 * flips["inverse"]
    assert flips["gated"] < 0.5 * flips["inverse"]


def test_a_table_or_an_arm_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpicebridgeError, match="spicebridge characterize synapse_read"):
        run(small(), {"mtj_write": write_table()}, folder=tmp_path / "run")
    with pytest.raises(SpicebridgeError, match="table, ideal, float"):
        run(small(), tables(), folder=tmp_path / "run", arms=["digital"])
    with pytest.raises(SpicebridgeError, match=r"v_write=0\.9 V lies outside table mtj_write"):
        run(small(v_write=0.9), tables(), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_ternary_mtj", "wine_ternary_mtj"])
def test_the_ternary_network_is_within_two_points_of_the_floating_point_one(
    tmp_path: Path, name: str
) -> None:
    record = run(load_study(name), tables(), folder=tmp_path, workers=2)
    assert record["accuracy"] > record["baseline_accuracy"] - 2


def test_what_half_selected_cells_take_is_not_zero_where_the_table_does_not_tell(tmp_path: Path) -> None:
    whole = write_table()
    silent = LookupTable(
        data=whole.data.drop_vars("energy_half_selected"), name=whole.name, lineage=whole.lineage, origin={}
    )
    given = tables() | {"mtj_write": silent}
    record = run(small(epochs=1, seeds=[1]), given, folder=tmp_path, arms=["table"])
    half = record["update"]["half_selected"]
    assert half["tops_per_watt"] is half["energy_per_op"] is half["u_line_energy"] is None
    assert not any("sibling" in line["action"] for line in record["ledgers"]["update"])
    text = text_report(record)
    assert re.search(r"with half-selected cells of 128 x 128 tiles +not in the table", text)
    assert "idle siblings and half-selected cells, of which the table does not tell" in " ".join(text.split())
    page = html_report(record, tables={}, chain=(), write=None)
    assert "not in the table" in page


def test_an_arms_place_seeds_its_draws_so_new_ones_come_last() -> None:
    assert ARMS == ("table", "ideal", "float", "table_read", "table_spread")


def test_arms_with_one_effect_more_get_the_first_seeds_alone() -> None:
    jobs = [(job.seed, job.arm) for job in jobs_of(small(seeds=[3, 4], ablation_seeds=1))]
    plain = ("table", "ideal", "float")
    assert jobs == [(3, arm) for arm in (*plain, "table_read", "table_spread")] + [(4, arm) for arm in plain]
