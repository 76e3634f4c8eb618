"""A small record of the digits, its small tables and their page, for the tests of the report."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import xarray as xr

from nn.costs import accounting_block
from spicebridge.lineage import Link
from spicebridge.report import html_report
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable

DEVICES = 225
CITED = {"name": "Horowitz, ISSCC 2014, 45 nm, 0.9 V", "digest": ""}
VOID = {"meta", "br", "img", "link", "input", "hr"}


def make_write_table() -> LookupTable:
    """Gumbel curves as the oracle at 0.4 and 0.5 V; at 0.5 V devices that lag it by 20 ps."""
    t_pulse = np.arange(1, 121) * 50e-12
    spans = np.array([[0.55e-9, 0.4e-9], [0.9e-9, 0.7e-9]])
    oracle = np.exp(-30 * np.exp(-t_pulse / spans[..., None]))
    lagging = np.exp(-30 * np.exp(-(t_pulse - 20e-12) / spans[..., None]))
    devices = np.array([[0, DEVICES], [0, DEVICES]])
    switched = np.round(lagging * devices[..., None]).astype(int)
    used = (switched >= 10) & (devices[..., None] - switched >= 10)
    axes = ("direction", "v_write", "t_pulse")
    p_switch = np.where(used, switched / DEVICES, oracle)
    data = xr.Dataset(
        {
            "p_switch": (axes, p_switch, {"units": "1", "scale": "log(-log)"}),
            "p_fokker_planck": (axes, oracle, {"units": "1", "scale": "log(-log)"}),
            "n_samples": (axes, np.broadcast_to(devices[..., None], switched.shape), {"units": "1"}),
            "n_switched": (axes, switched, {"units": "1"}),
            "route": (axes, used.astype(int), {"units": "1"}),
        },
        coords={
            "direction": ["ap_to_p", "p_to_ap"],
            "v_write": ("v_write", [0.4, 0.5], {"units": "V"}),
            "t_pulse": ("t_pulse", t_pulse, {"units": "s"}),
        },
    )
    lineage = {
        "parameters": {
            "alpha": {"value": 0.01, "unit": "1", "source": "assumed; published decks use 0.0062 to 0.05"},
            "v_h": {"value": 0.5, "unit": "V", "source": "BUAA VGSOT compact model"},
        },
        "cell": {"mtj": "mtj_b", "card": "ptm45hp", "w_n": 4e-7, "temperature": 300.15},
    }
    return LookupTable(data=data, name="mtj_write", lineage=lineage, origin={})


def make_read_table() -> LookupTable:
    """Currents and energies that tell state and activation apart, at one operating point."""
    axes = ("state", "activation", "v_read", "t_read")
    current = np.array([[14e-6, 0, -14e-6], [-14e-6, 0, 14e-6]])[:, :, None, None]
    energy = np.array([[12.5e-15, 0.1e-15, 12.5e-15]] * 2)[:, :, None, None]
    data = xr.Dataset(
        {"current": (axes, current, {"units": "A"}), "energy": (axes, energy, {"units": "J"})},
        coords={
            "state": ["ap_p", "p_ap"],
            "activation": ["-1", "0", "+1"],
            "v_read": ("v_read", [0.2], {"units": "V"}),
            "t_read": ("t_read", [1e-9], {"units": "s"}),
        },
    )
    return LookupTable(data=data, name="synapse_read", lineage={}, origin={})


WRITE, READ = make_write_table(), make_read_table()
TABLES = {WRITE.digest: WRITE, READ.digest: READ}


def make_arm(finals: tuple[float, ...]) -> dict[str, Any]:
    runs = [
        {
            "seed": seed,
            "test_accuracy": final,
            "epochs": [
                {"epoch": epoch, "test_accuracy": final / 100 - 0.1 / epoch + 0.05} for epoch in (1, 2)
            ],
        }
        for seed, final in enumerate(finals, start=1)
    ]
    return {
        "runs": runs,
        "accuracy": float(np.mean(finals)),
        "accuracy_spread": float(np.std(finals, ddof=1)) if len(finals) > 1 else None,
    }


def line(
    component: str, action: str, events: int, joules: float, source: LookupTable | None = None
) -> dict[str, Any]:
    stamp = {"name": source.name, "digest": source.digest} if source else CITED
    return {
        "component": component,
        "action": action,
        "events": events,
        "joules": joules,
        "source": stamp,
    }


def make_record() -> dict[str, Any]:
    """A record as a training run writes it, of two seeds and two epochs."""
    record: dict[str, Any] = {
        "experiment": "digits_ternary_mtj",
        "description": "8x8 digits on a ternary network",
        "settings": {
            "evaluate_on": "test",
            "input_bits": 4,
            "encoding": "inverse",
            "hidden": [16],
            "batch": 50,
            "split": {"train": 1347, "test": 450, "seed": 0},
            "tile": 128,
            "adc_bits": 6,
        },
        "seeds": [1, 2],
        "data": {
            "name": "digits",
            "checksum": "c0ffee",
            "split": "1347 training and 450 test images, seed 0",
        },
        "device": {
            "v_write": 0.5,
            "timing_step": 50e-12,
            "longest_pulse": {"ap_to_p": 6e-9},
            "v_read": 0.2,
            "t_read": 1e-9,
            "zero_state": "ap_ap",
        },
        "tables": [{"name": each.name, "digest": each.digest} for each in (WRITE, READ)],
        "arms": {
            "table": make_arm((97.0, 98.0)),
            "ideal": make_arm((97.25, 97.75)),
            "float": make_arm((98.5, 98.75)),
        },
        "accuracy": 97.5,
        "ideal_accuracy": 97.5,
        "baseline_accuracy": 98.625,
        "feedforward": {
            "tops_per_watt": 150.0,
            "energy_per_op": 1 / 150 * 1e-12,
            "energy_per_mac": 2 / 150 * 1e-12,
            "energy_per_image": 2.5e-10,
            "images": 900,
            "per_read": {"tops_per_watt": 540.0, "energy_per_op": 1.85e-15},
            "mean_of_nine": {"tops_per_watt": 250.0, "energy_per_op": 4e-15},
            "layers": [
                {
                    "name": "layer 1",
                    "inputs": 64,
                    "outputs": 10,
                    "planes": 4,
                    "energy_per_op": 6.7e-15,
                    "tops_per_watt": 150.0,
                }
            ],
            "definition": "1 MAC = 2 operations",
        },
        "update": {
            "tops_per_watt": 66.0,
            "energy_per_op": 15e-15,
            "energy_per_update": 30e-15,
            "energy_per_pulse": 34e-15,
            "energy_per_flip": 16.4e-12,
            "updates": 1000,
            "reads": 960,
            "pulses": 400,
            "flips": 2,
            "pulse_widths": {
                "ap_to_p": {"width": [0.5e-9, 1.5e-9], "pulses": [300, 100]},
                "p_to_ap": {"width": [0.5e-9, 1.5e-9], "pulses": [0, 0]},
            },
            "energy_total": 3e-11,
            "nonzero_inputs": [1000],
            "absent": ["wires", "dither"],
            "definition": "one synapse's update in one step = 2 operations",
        },
        "ledgers": {
            "feedforward": [
                line("layer 1", "read p_ap at activation +1", 500, 2.25e-7, READ),
            ],
            "update": [
                line("update", "pulse ap_to_p", 400, 1.36e-11, WRITE),
            ],
        },
    }
    return record | {"accounting": accounting_block(record)}


def make_waveforms() -> Waveforms:
    time = np.linspace(0, 5e-9, 101)
    vectors = {
        "time": time,
        "u": np.where(time > 0.2e-9, 0.5, 0.0),
        "e": np.where(time > 0.1e-9, 1.2, 0.0),
        "n.x_cell.n_mtj#mz": np.tanh((time - 2e-9) / 0.5e-9),
        "v_ref#branch": np.where(time > 0.2e-9, 40e-6, 0.0),
    }
    return Waveforms(analysis="tran", vectors=vectors, measures={"energy": 1.25e-13}, engine="46", log="")


def make_chain() -> tuple[Link, ...]:
    decks = tuple(Link("deck", f"{n:064x}") for n in range(3))
    table = Link("table", "mtj_write", (f"digest {WRITE.digest}",), decks)
    return (Link("figure", "accuracy 97.50 %", (), (Link("run", "digits_ternary_mtj", (), (table,)),)),)


def make_page(record: dict[str, Any], **changed: Any) -> str:
    given: dict[str, Any] = {"tables": TABLES, "chain": make_chain(), "write": make_waveforms()}
    return html_report(record, **(given | changed))


class Reader(HTMLParser):
    """A page's elements and text; refuses tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [each["id"] or "" for _, each in self.elements if "id" in each]
