"""A record of mixed-precision training, built by hand in its schema; its energy by the code."""

from __future__ import annotations

from typing import Any

import numpy as np

from nn.mixed_precision.boundaries import accounting_block
from nn.mixed_precision.costs import energy_block
from spicebridge.energy import Source
from tests import synthetic_pcm

LAYERS = [[785, 250], [251, 10]]
SEEDS = (1, 2, 3, 4, 5)
TABLES = {each.digest: each for each in synthetic_pcm.tables().values()}
ARMS = {
    "table": ("PCM pairs as the tables have them, every effect on", 97.75, 5),
    "float": ("the same network in floating point", 98.25, 5),
    "ideal": ("chi with an ideal device", 98.05, 2),
    "without_chi": ("each update rounded to pulses at once", 93.4, 2),
    "without_refresh": ("pairs that saturate are left so", 96.9, 2),
    "without_noise": ("no read noise, every pulse does its mean", 97.85, 2),
    "without_drift": ("conductances stay as they are", 97.8, 2),
}


def arm(about: str, final: float, seeds: int) -> dict[str, Any]:
    """An arm of some seeds whose accuracy nears ``final`` (%) over ten epochs."""
    runs = []
    for seed in SEEDS[:seeds]:
        accuracy = final + 0.05 * ((seed * 7) % 5 - 2)
        epochs = [
            {
                "epoch": epoch,
                "loss": 0.5 / epoch,
                "train_accuracy": accuracy / 100,
                "test_accuracy": accuracy / 100 - 0.05 * (1 / epoch - 0.1),
                "set_pulses": 100_000,
                "resets": 400,
                "refreshed_pairs": 200,
                "outside_support": 1_000,
            }
            for epoch in range(1, 11)
        ]
        runs.append({"seed": seed, "test_accuracy": accuracy, "seconds": 60.0, "epochs": epochs})
    finals = [run["test_accuracy"] for run in runs]
    return {
        "about": about,
        "runs": runs,
        "accuracy": float(np.mean(finals)),
        "accuracy_spread": float(np.std(finals, ddof=1)) if seeds > 1 else None,
    }


def make_counts() -> dict[str, Any]:
    """Counts of five seeds of ten epochs of 60,000 images, one image an update."""
    images = 3_000_000
    pulses = [int(8e6 * np.exp(-number / 4)) for number in range(20)]
    return {
        "images": images,
        "steps": images,
        "set_pulses": pulses,
        "set_energy_sum": sum(pulses) * synthetic_pcm.SET_ENERGY,
        "refresh_set_pulses": 30_000,
        "resets": 20_000,
        "reset_energy_sum": 20_000 * synthetic_pcm.RESET_ENERGY,
        "refreshes": 30_000,
        "refreshed_pairs": 10_000,
        "refresh_reads": {"events": 30_000 * 198_760, "energy": 30_000 * 198_760 * 3e-13},
        "forward_reads": {
            "layer1": {"events": 196_250 * images // 5, "energy": 196_250 * images / 5 * 8e-14},
            "layer2": {"events": 2_510 * images, "energy": 2_510 * images * 1e-13},
        },
        "backward_reads": {"layer2": {"events": 2_510 * images, "energy": 2_510 * images * 1e-13}},
        "nonzero_inputs": [157 * images, 251 * images],
        "touched_rows": [157 * images, 251 * images],
        "layers": LAYERS,
    }


def make_record() -> dict[str, Any]:
    """The record of an experiment on MNIST with every arm."""
    arms = {name: arm(*each) for name, each in ARMS.items()}
    counts = make_counts()
    device = {
        "epsilon": 0.0963,
        "epsilon_siemens": 0.77e-6,
        "g_scale": 8e-6,
        "v_read": 0.2,
        "t_read": 1e-6,
    }
    sources = [Source(each.name, each.digest) for each in synthetic_pcm.tables().values()]
    record: dict[str, Any] = {
        "experiment": "mnist_pcm_mixed",
        "description": "MNIST on differential PCM pairs, updates gathered in chi",
        "study": "mixed_precision",
        "settings": {
            "evaluate_on": "test",
            "batch": 1,
            "epochs": 10,
            "rate_start": 0.4,
            "rate_end": 0.1,
            "refresh_interval": 100,
            "refresh_threshold": 8e-6,
            "refresh_difference": 6e-6,
            "refresh_pulses": 3,
            "dac_bits": 8,
            "adc_bits": 8,
            "image_time": 0.01,
        },
        "seeds": list(SEEDS),
        "data": {"name": "mnist", "checksum": "c0ffee", "split": "60000 training and 10000 test images"},
        "tables": [
            {"name": each.name, "digest": each.digest, "size": "full", "samples": 10_000}
            for each in TABLES.values()
        ],
        "device": device,
        "arms": arms,
        "accuracy": arms["table"]["accuracy"],
        "accuracy_spread": arms["table"]["accuracy_spread"],
        "baseline_accuracy": arms["float"]["accuracy"],
        "gap": arms["table"]["accuracy"] - arms["float"]["accuracy"],
        "counts": counts,
        "retention": [
            {"age_s": age, "accuracy": accuracy, "accuracy_spread": 0.06}
            for age, accuracy in ((1.0, 97.74), (3600.0, 97.6), (86400.0, 97.4), (2.6e6, 97.1), (3.1e7, 96.9))
        ],
        "energy": energy_block(counts, device, LAYERS, sources=sources),
        "circumstances": {"revision": "test"},
    }
    return record | {"accounting": accounting_block(record)}
