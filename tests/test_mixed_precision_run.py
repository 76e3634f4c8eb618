"""Mixed-precision training as an experiment: its file, its arms, the record, resumption after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

from nn.checkpoint import CHECKPOINTS
from nn.experiment import json_like
from nn.jobs import Progress
from nn.mixed_precision.arms import ARMS
from nn.mixed_precision.costs import energy_block
from nn.mixed_precision.experiment import MixedExperiment
from nn.mixed_precision.loop import Job, fresh_state, train_one
from nn.mixed_precision.memory import PairMemory
from nn.mixed_precision.run import given_for, jobs_of, run
from nn.studies import load_study, run_study
from spicebridge.errors import SpicebridgeError
from tests import synthetic_pcm as known
from tests.synthetic_pcm import tables
from tests.test_nn_train import CutShortError, values_of

ROOT = Path(__file__).parent.parent
NAME = "mnist_pcm_mixed"
SMALL: dict[str, Any] = {
    "name": "small",
    "description": "digits on a small network of pairs",
    "dataset": "digits",
    "hidden": [20],
    "epochs": 3,
    "seeds": [1, 2],
    "ablation_seeds": 1,
    "energy_interval": 40,
    "split": {"train": 600, "test": 200, "seed": 0},
}


def small(**changes: Any) -> MixedExperiment:
    found = load_study(NAME, overrides=SMALL | changes)
    assert isinstance(found, MixedExperiment)
    return found


@cache
def ran() -> tuple[dict[str, Any], Path, list[Progress]]:
    """One small run of every arm: its record, its folder, what progress was told."""
    folder, told = Path(mkdtemp()), []
    record = run(small(), tables(), folder=folder, progress=told.append, circumstances={"command": "train"})
    return record, folder, told


# The file


@pytest.mark.parametrize("name", [NAME, "fashion_pcm_mixed"])
def test_the_experiments_are_mixed_precision_with_five_seeds(name: str) -> None:
    experiment = load_study(name)
    assert isinstance(experiment, MixedExperiment)
    assert (experiment.hidden, experiment.seeds) == ((250,), (1, 2, 3, 4, 5))
    assert experiment.evaluate_on == "test"
    assert experiment.tables.names == ("pcm_set", "pcm_reset", "pair_read")
    assert load_study(name, overrides=json_like(experiment)) == experiment


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("study", "mixed", "study = 'mixed' is none of: passive_array, mixed_precision"),
        ("epoch", 3, "did you mean 'epochs'"),
        ("dataset", "mnits", "did you mean 'mnist'"),
        ("hidden", [], "widths of 1 to"),
        ("rate_end", 0.0, "must be above zero"),
        ("initial_share", 1.5, "must lie in (0, 1]"),
        ("dac_bits", 9, "must lie in 2 .. 8"),
        ("seeds", [1, 1], "different and not negative"),
        ("epochs", 300, "16,777,216 images in all"),
        ("retention_ages", [0.0], "must be above zero"),
        ("tables.erase", "x", "section tables has an unknown setting 'erase'"),
        ("evaluate_on", "train", "is none of: test, validation"),
        ("name", "a/b", "letters, digits"),
    ],
)
def test_a_wrong_setting_is_told(key: str, value: Any, told: str) -> None:
    with pytest.raises(SpicebridgeError, match=re.escape(told)):
        load_study(NAME, overrides={key: value})


def test_tables_that_are_missing_or_do_not_fit_are_told(tmp_path: Path) -> None:
    given = tables()
    for changed, settings, told in (
        ({"pcm_reset": None}, {}, "spicebridge characterize pcm_reset"),
        ({"pcm_set": given["pair_read"]}, {}, "lacks delta_g_mean"),
        ({}, {"t_read": 2e-6}, "longer than the inputs of table pair_read"),
        ({}, {"t_read": 1e-12}, "shorter than the inputs of table pair_read"),
        ({}, {"v_read": 0.1}, "v_read = 0.1 V, but table pair_read is of reads at 0.2 V"),
        ({}, {"rate_start": 1e30}, "training diverges. Lower rate_start"),
        ({}, {"retention_ages": [1e9]}, "read up to 1e+09 s old"),
    ):
        chosen = {name: table for name, table in (given | changed).items() if table is not None}
        with pytest.raises(SpicebridgeError, match=re.escape(told)):
            run(small(**settings), chosen, folder=tmp_path / "run")
    with pytest.raises(SpicebridgeError, match="arms are table, float"):
        run(small(), given, folder=tmp_path / "run", arms=["digital"])
    assert not (tmp_path / "run" / "record.json").exists()


def test_ablations_get_fewer_seeds() -> None:
    jobs = [(job.arm, job.seed) for job in jobs_of(small(seeds=[3, 4, 5], ablation_seeds=2))]
    assert [seed for arm, seed in jobs if arm == "table"] == [3, 4, 5]
    assert [seed for arm, seed in jobs if arm == "without_chi"] == [3, 4]
    assert list(dict.fromkeys(arm for arm, _ in jobs)) == list(ARMS)


# What comes of it


def test_digits_are_learnt_in_every_arm() -> None:
    record = run(
        small(epochs=15, seeds=[1]), tables(), folder=Path(mkdtemp()), arms=["table", "float", "ideal"]
    )
    assert record["accuracy"] > 85
    assert record["baseline_accuracy"] > 90
    assert record["arms"]["ideal"]["accuracy"] > 88
    assert record["gap"] == pytest.approx(record["accuracy"] - record["baseline_accuracy"])


def test_the_record_tells_arms_seeds_tables_and_counts() -> None:
    record, folder, told = ran()
    assert json.loads((folder / "record.json").read_text()) == record
    assert record["study"] == "mixed_precision"
    assert list(record["arms"]) == list(ARMS)
    assert [each["seed"] for each in record["arms"]["table"]["runs"]] == [1, 2]
    assert [each["seed"] for each in record["arms"]["without_noise"]["runs"]] == [1]
    tested = [each["test_accuracy"] for each in record["arms"]["table"]["runs"]]
    assert record["accuracy"] == pytest.approx(np.mean(tested))
    assert record["accuracy_spread"] == pytest.approx(np.std(tested, ddof=1))
    assert [each["digest"] for each in record["tables"]] == [each.digest for each in tables().values()]
    assert len(told) == 3 * len(jobs_of(small()))
    assert [each["age_s"] for each in record["retention"]] == list(small().retention_ages)
    with np.load(folder / "weights.npz", allow_pickle=False) as file:
        assert file["table.seed1.g"].shape == (2 * (65 * 20 + 21 * 10),)
        assert file["float.seed2.weights"].shape == (65 * 20 + 21 * 10,)


def test_the_counts_are_those_of_the_epochs_and_their_energies_those_of_the_tables() -> None:
    record, _, _ = ran()
    counts = record["counts"]
    epochs = [epoch for each in record["arms"]["table"]["runs"] for epoch in each["epochs"]]
    for key, total in (
        ("set_pulses", sum(counts["set_pulses"])),
        ("resets", counts["resets"]),
        ("refreshed_pairs", counts["refreshed_pairs"]),
        ("outside_support", counts["outside_support"]),
    ):
        assert sum(epoch[key] for epoch in epochs) == total
    assert counts["images"] == 600 * 3 * 2
    assert counts["steps"] == counts["images"] // 10
    assert counts["set_energy_sum"] == pytest.approx(sum(counts["set_pulses"]) * known.SET_ENERGY, rel=1e-5)
    assert counts["reset_energy_sum"] == pytest.approx(counts["resets"] * known.RESET_ENERGY, rel=1e-5)
    assert counts["resets"] == 2 * counts["refreshed_pairs"]
    assert counts["refreshes"] == counts["images"] // 100
    assert counts["refresh_reads"]["events"] == counts["refreshes"] * (65 * 20 + 21 * 10)
    assert set(counts["forward_reads"]) == {"layer1", "layer2"}
    assert set(counts["backward_reads"]) == {"layer2"}
    # Layer 2 sees the hidden units and the constant one; few of them are zero.
    assert counts["forward_reads"]["layer2"]["events"] == pytest.approx(counts["images"] * 210, rel=0.05)
    again = energy_block(
        counts, record["device"], counts["layers"], sources=given_for(small(), tables()).device.sources
    )
    assert record["energy"] == again


def test_the_device_is_described_by_its_tables() -> None:
    device = ran()[0]["device"]
    mean, std = known.accumulation()
    assert device["epsilon_siemens"] == pytest.approx((mean[10] - mean[0]) / 10)
    assert device["epsilon"] == pytest.approx(device["epsilon_siemens"] / 8e-6)
    assert (device["reset_mean"], device["reset_std"]) == (pytest.approx(mean[0]), pytest.approx(std[0]))
    assert device["drift"]["g_ratio_1d"] == pytest.approx(known.drifted(1.0, 86400.0), rel=1e-3)
    assert (device["set_latency"], device["read_settling"]) == (60e-9, 2e-9)


def test_ablations_leave_out_what_they_say() -> None:
    arms = ran()[0]["arms"]

    def total(arm: str, key: str) -> int:
        return sum(epoch[key] for epoch in arms[arm]["runs"][0]["epochs"])

    assert total("float", "set_pulses") == total("ideal", "set_pulses") == 0
    assert total("without_refresh", "refreshed_pairs") == 0
    assert total("without_chi", "set_pulses") > total("table", "set_pulses")
    worn = small(seeds=[1], refresh_threshold=2e-6)
    refreshed = run(worn, tables(), folder=Path(mkdtemp()), arms=["table"])
    assert refreshed["counts"]["refreshed_pairs"] > 0


def test_the_ideal_arm_is_the_float_one_up_to_the_granularity_of_epsilon() -> None:
    """With ever finer pulses chi trains what floating point does."""
    accuracy, weights = {}, {}
    for scale in (8e-6, 8e-2):  # a weight of one is this conductance: the finer is ten thousand times finer
        folder = Path(mkdtemp())
        chosen = small(seeds=[1], g_scale=scale)
        record = run(chosen, tables(), folder=folder, arms=["float", "ideal"])
        accuracy[scale] = [record["arms"][arm]["accuracy"] for arm in ("float", "ideal")]
        with np.load(folder / "weights.npz", allow_pickle=False) as file:
            weights[scale] = file["float.seed1.weights"]
        epsilon = record["device"]["epsilon"]
        state_of = final_weights(chosen, "ideal")
        difference = np.abs(state_of - weights[scale])
        assert difference.mean() < (2 * epsilon if scale == 8e-6 else 1e-3)
    assert accuracy[8e-2][0] == accuracy[8e-2][1]


def final_weights(experiment: MixedExperiment, arm: str) -> np.ndarray:
    outcome = train_one(
        Job(experiment, arm, 1),
        given_for(experiment, tables()),
        checkpoint=Path(mkdtemp()) / "state.npz",
        fingerprint="x",
        report=lambda _: None,
    )
    return outcome.weights["weights"]


def test_arms_of_one_seed_start_from_the_same_conductances() -> None:
    given = given_for(small(), tables())
    table, other = (fresh_state(Job(small(), arm, 1), given).memory for arm in ("table", "without_chi"))
    assert isinstance(table, PairMemory)
    np.testing.assert_array_equal(table.arrays()["g"], other.arrays()["g"])
    g_p, g_n = table.arrays()["g"].reshape(2, -1)
    plain, another = (fresh_state(Job(small(), "float", seed), given).memory.weights for seed in (1, 2))
    np.testing.assert_allclose(plain, (g_p - g_n) / np.float32(8e-6), atol=1e-6)
    assert not np.array_equal(plain, another)


# Resumption, workers


@pytest.mark.parametrize("arm", ["table", "float", "ideal", "without_chi"])
@pytest.mark.parametrize("batch", [1, 10])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path, arm: str, batch: int) -> None:
    chosen = small(seeds=[1], batch=batch, rate_start=0.04 * batch, rate_end=0.02 * batch, epochs=2)
    whole = run(chosen, tables(), folder=tmp_path / "whole", arms=[arm])

    def interrupt(_: Progress) -> None:
        raise CutShortError

    with pytest.raises(CutShortError):
        run(chosen, tables(), folder=tmp_path / "cut", arms=[arm], progress=interrupt)
    seen: list[int] = []
    resumed = run(
        chosen, tables(), folder=tmp_path / "cut", arms=[arm], progress=lambda each: seen.append(each.epoch)
    )
    assert seen == [2]
    assert values_of(resumed) == values_of(whole)
    same_weights(tmp_path / "cut", tmp_path / "whole")
    assert not (tmp_path / "cut" / CHECKPOINTS).exists()


def same_weights(one: Path, two: Path) -> None:
    with np.load(one / "weights.npz") as first, np.load(two / "weights.npz") as second:
        assert first.files == second.files
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name])


SCRIPT = """
import json, sys
from pathlib import Path
from nn.mixed_precision.run import run
from nn.studies import load_study
from tests.synthetic_pcm import tables
settings, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
run(load_study("mnist_pcm_mixed", overrides=settings), tables(), folder=folder, arms=["table", "float"])
"""


def test_a_killed_process_is_continued_to_the_values_of_one_that_was_not(tmp_path: Path) -> None:
    """SIGKILL as soon as the first epochs are on disk, in the midst of training; then the same again."""
    settings = SMALL | {"seeds": [1], "epochs": 40}
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, json.dumps(settings), str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    kept = tmp_path / "killed" / CHECKPOINTS / "table-1.npz"
    deadline = time.monotonic() + 60
    while not kept.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert kept.exists()
    assert not (tmp_path / "killed" / "record.json").exists()
    chosen, seen = small(seeds=[1], epochs=40), []
    resumed = run(chosen, tables(), folder=tmp_path / "killed", arms=["table", "float"], progress=seen.append)
    assert seen[0].epoch > 1
    whole = run(chosen, tables(), folder=tmp_path / "whole", arms=["table", "float"])
    assert values_of(resumed) == values_of(whole)
    same_weights(tmp_path / "killed", tmp_path / "whole")


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path: Path) -> None:
    seen: list[int] = []

    def cut(progress: Progress) -> None:
        seen.append(progress.epoch)
        raise CutShortError

    for changes in ({}, {}, {"rate_start": 0.3}, {"image_time": 0.02}):
        with pytest.raises(CutShortError):
            run(small(seeds=[1], **changes), tables(), folder=tmp_path, arms=["table"], progress=cut)
    assert seen == [1, 2, 1, 1]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    kept = tmp_path / CHECKPOINTS / "table-1.npz"
    kept.parent.mkdir()
    kept.write_bytes(b"PK not a checkpoint")
    with pytest.raises(SpicebridgeError, match=r"table-1\.npz is damaged"):
        run(small(seeds=[1]), tables(), folder=tmp_path, arms=["table"])


def test_one_and_two_workers_give_the_same_values(tmp_path: Path) -> None:
    chosen = small(epochs=1)
    one = run(chosen, tables(), folder=tmp_path / "one", arms=["table", "float"])
    two = run(chosen, tables(), folder=tmp_path / "two", arms=["table", "float"], workers=2)
    assert values_of(one) == values_of(two)
    same_weights(tmp_path / "one", tmp_path / "two")


def test_the_study_runs_behind_the_common_door(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    record = run_study(
        small(epochs=1, seeds=[1]), tables(), folder=tmp_path, arms=["table", "without_drift"], workers=1,
        show=lambda *each: told.append(each), data_folder=None, allow_holes=False, circumstances={},
    )  # fmt: skip
    assert set(record["arms"]) == {"table", "without_drift"}
    assert [each[:2] for each in told] == [(1, 2), (2, 2)]
    assert "table seed 1" in told[0][2]
