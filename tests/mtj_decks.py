"""Decks of bare MTJs driven by current sources, for the tests of the device model."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from circuits.cell import STEP
from circuits.mtj_branch import first_passage
from spicebridge.deck import Deck
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import Waveforms
from spicebridge.sweep import Unit
from spicebridge.workers import Task
from tests.on_workers import on_lasting_workers

HEAD = ".control\npre_osdi devices/stt_mtj.osdi\n.endc\n.include devices/mtj_b.lib\n"


def current_driven(
    seeds: Sequence[int],
    *,
    current: float,
    mz0: float,
    t_stop: float,
    phi0: float = 0.0,
    step: float = STEP,
    temperature: float = 300.15,
    card: str = "",
) -> Deck:
    """MTJs each at a constant current (A, positive drives AP to P); ``card`` overrides model parameters."""
    lines = [HEAD, f".model driven stt_mtj {card}" if card else ""]
    model = "driven" if card else "mtj"
    for index, seed in enumerate(seeds):
        lines.append(f"i{index} 0 f{index} {current!r}")
        lines.append(f"n{index} f{index} 0 {model} seed={seed} mz0={mz0!r} phi0={phi0!r}")
    lines.append(f".options trtol=1000 temp={temperature - 273.15:.6g}")
    lines.append(".save " + " ".join(f"v(n{index}#mz)" for index in range(len(seeds))))
    lines.append(f".tran {step:.6g} {t_stop:.6g} 0 {step:.6g}")
    return make_deck("\n".join(lines), folder=netlists_folder(), name="current_driven")


def magnetisations(recorded: Waveforms, *, devices: int) -> dict[str, NDArray[np.float64]]:
    """``time`` (t,) and ``mz`` (devices, t)."""
    return {
        "time": recorded["time"],
        "mz": np.array([recorded[f"n{index}#mz"] for index in range(devices)]),
    }


def passages(recorded: Waveforms, *, devices: int) -> dict[str, NDArray[np.float64]]:
    """``first_passage`` (devices,) in s."""
    time = recorded["time"]
    times = [first_passage(time, recorded[f"n{index}#mz"]) for index in range(devices)]
    return {"first_passage": np.array(times)}


def run_all(units: Iterable[Unit]) -> list[dict[str, NDArray[np.float64]]]:
    """The units' values in order, on two lasting worker processes; the first error is raised."""
    listed = list(units)
    tasks = [Task(unit.deck, _Measure(unit)) for unit in listed]
    answers = on_lasting_workers(tasks)
    for answer in answers.values():
        if answer.error is not None:
            raise answer.error
    return [answers[index].value for index in range(len(listed))]


class _Measure:
    """A unit's measure with its arguments, as something a worker can be sent."""

    def __init__(self, unit: Unit) -> None:
        self.measure, self.arguments = unit.measure, dict(unit.arguments)

    def __call__(self, recorded: Waveforms) -> dict[str, NDArray[np.float64]]:
        return self.measure(recorded, **self.arguments)


def sampled_probability(values: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of first passages by each time."""
    return np.array([np.mean(values <= time) for time in times])


def allowed(probability: NDArray[np.float64], devices: int) -> NDArray[np.float64]:
    """max(3 standard errors, 0.03), the tolerance between a sample and the law."""
    return np.maximum(3 * np.sqrt(probability * (1 - probability) / devices), 0.03)
