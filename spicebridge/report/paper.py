"""Figures of the papers whose systems the experiments rebuild, as their abstracts give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Paper:
    """What a paper's abstract claims.

    Attributes:
        source: citation, and which part of it was read.
        short: what a table's heading calls it.
        accuracy: in per cent, by data set.
        feedforward_tops_per_watt, update_tops_per_watt: of the synapse array, TOPS/W.
        unknown: what could not be read there.
    """

    source: str
    short: str
    accuracy: Mapping[str, float]
    feedforward_tops_per_watt: float
    update_tops_per_watt: float
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON-like values; energies per operation in J, worked out here."""
        return {
            "source": self.source,
            "accuracy": dict(self.accuracy),
            "feedforward_tops_per_watt": self.feedforward_tops_per_watt,
            "feedforward_energy_per_op": 1e-12 / self.feedforward_tops_per_watt,
            "update_tops_per_watt": self.update_tops_per_watt,
            "update_energy_per_op": 1e-12 / self.update_tops_per_watt,
            "unknown": list(self.unknown),
        }


@dataclass(frozen=True)
class ArrayPaper:
    """What a paper on arrays of trained weights claims.

    Attributes:
        source: citation, and which part of it was read.
        short: what a table's heading calls it.
        accuracy: the best after tuning, in per cent.
        unknown: what could not be read there.
    """

    source: str
    short: str
    accuracy: float
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON-like values."""
        return {"source": self.source, "accuracy": self.accuracy, "unknown": list(self.unknown)}


PASSIVE_ARRAY = ArrayPaper(
    source=(
        "Goodwill et al., Implementation of a Binary Neural Network on a Passive Array of Magnetic Tunnel "
        "Junctions, Phys. Rev. Applied 18, 014039 (2022), arXiv:2112.09159; abstract"
    ),
    short="Goodwill 2022",
    accuracy=95.3,
    unknown=(
        "network and placement of weights",
        "diameters, resistance-area product and TMR",
        "write scheme and voltages",
        "division of the data",
        "what is tuned, and how",
    ),
)


@dataclass(frozen=True)
class MixedPaper:
    """What a paper on mixed-precision training claims.

    Attributes:
        source: citation, and which part of it was read.
        short: what a table's heading calls it.
        accuracy: in per cent on MNIST, by how it was found.
        energy_ratio: energy of a digital 32-bit design over that of theirs, for training.
        unknown: what could not be read there.
    """

    source: str
    short: str
    accuracy: Mapping[str, float]
    energy_ratio: float
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON-like values."""
        return {
            "source": self.source,
            "accuracy": dict(self.accuracy),
            "energy_ratio": self.energy_ratio,
            "unknown": list(self.unknown),
        }


MIXED_PRECISION = MixedPaper(
    source=(
        "Nandakumar et al., Mixed-precision architecture based on computational memory for training deep "
        "neural networks, arXiv:1712.01192 (97.40 %), and Mixed-Precision Deep Learning Based on "
        "Computational Memory, Front. Neurosci. 14:406 (2020), arXiv:2001.11773 (97.73 %, ratio "
        "173, as published 172); abstracts"
    ),
    short="Nandakumar 2017, 2020",
    accuracy=MappingProxyType({"PCM model": 97.40, "PCM chip": 97.73}),
    energy_ratio=173.0,
    unknown=(
        "learning rate, batch and epochs",
        "the rule of the refresh",
        "time between images",
        "what the energy figure counts, phase by phase",
        "where the digital design keeps its weights, and theirs chi",
    ),
)

TERNARY_MTJ = Paper(
    source=(
        "Greenberg-Toledo et al., Training of Quantized Deep Neural Networks using a Magnetic Tunnel "
        "Junction-Based Synapse, Semicond. Sci. Technol. 36, 114003 (2021), arXiv:1912.12636; abstract"
    ),
    short="Greenberg-Toledo 2021",
    accuracy=MappingProxyType({"mnist": 98.61, "svhn": 93.99, "cifar10": 82.71}),
    feedforward_tops_per_watt=18.3,
    update_tops_per_watt=3.0,
    unknown=(
        "device and transistor parameters",
        "read and write voltages and times",
        "network, epochs and batch",
        "what counts as an operation",
        "whether periphery is included",
    ),
)

DATA_NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "svhn": "SVHN",
    "cifar10": "CIFAR10",
    "digits": "8x8 digits",
    "wine": "Wine",
}
"""Data sets as their papers spell them."""


def paper_of(record: Mapping[str, Any]) -> Paper | None:
    """The paper whose system a record rebuilds: that whose device its tables were swept on."""
    return TERNARY_MTJ if has_model(record, "stt_mtj", before="mtj_write") else None


def has_model(record: Mapping[str, Any], model: str, *, before: str) -> bool:
    """Whether all models in a record's tables are ``model``.

    Args:
        record: as ``record.json`` holds it.
        model: the Verilog-A module's name.
        before: how a table's name begins in records that do not name their models.
    """
    tables = record.get("tables", ())
    models = {name for table in tables for name in table.get("models", ())}
    if any("models" in table for table in tables):
        return models == {model}
    return any(str(table["name"]).startswith(before) for table in tables)
