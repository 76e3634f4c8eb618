"""The study's cases: which arrays, written how, with which networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nn.passive_array.cells import Defects
from nn.passive_array.experiment import ArrayExperiment
from nn.passive_array.operating import Arrays, WritePoint, writing_at
from nn.passive_array.placement import Placement
from nn.passive_array.reading import biased_crossbar, ideal_crossbar
from nn.passive_array.study import Case
from nn.passive_array.writing import BitErrors, drawn_errors
from spicebridge.crossbar import Spread

VERIFIED = 3  # passes of the write-verify case
DRAWN = "drawn_fidelity"
IDEAL = "ideal"
NO_SPREAD = Spread(ra=0.0, tmr=0.0, diameter=0.0, v_switch=0.0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One case, as plain values.

    Attributes:
        name: of the case.
        about: what it is, in words.
        point: where it is written.
        aware: whether its networks had hardware-aware training.
        passes: of writing; from the second on only what reads wrong is pulsed.
        defects: shares of bad cells.
        drawn: the least and the highest write fidelity to draw each solution's errors from, without pulses.
        ideal: whether cells are all alike and written without error, on ideal lines.
    """

    name: str
    about: str
    point: WritePoint
    aware: bool = False
    passes: int = 1
    defects: Defects = field(default_factory=Defects)
    drawn: tuple[float, float] | None = None
    ideal: bool = False

    @property
    def pulsed(self) -> bool:
        """Whether its cells are written by pulses."""
        return self.drawn is None and not self.ideal

    @property
    def plain(self) -> bool:
        """Whether it is a sound array written once, with networks as they are."""
        return self.pulsed and not self.aware and self.passes == 1 and not any(self.defects.rates)


def case_name(diameter: float, scheme: str) -> str:
    """What the case of a diameter (m) and a scheme is called: ``40nm_half``."""
    return f"{1e9 * diameter:g}nm_{scheme}"


def main_point(experiment: ArrayExperiment, points: Sequence[WritePoint]) -> WritePoint:
    """Where the headline is written: at its diameter, the scheme of higher predicted fidelity."""
    return max((each for each in points if each.diameter == experiment.diameter), key=lambda p: p.predicted)


def plan_cases(experiment: ArrayExperiment, points: Sequence[WritePoint]) -> tuple[Plan, ...]:
    """All cases of a study; the first is the headline's."""
    main = main_point(experiment, points)
    ordered = [main, *(point for point in points if point != main)]
    cases = [
        Plan(
            name=case_name(point.diameter, point.scheme),
            about=f"{1e9 * point.diameter:g} nm, {scheme_words(point.scheme)}",
            point=point,
        )
        for point in ordered
    ]
    here = [each for each in ordered if each.diameter == experiment.diameter]
    cases += [
        Plan(
            name=f"aware_{point.scheme}",
            about=f"hardware-aware training, {scheme_words(point.scheme)}",
            point=point,
            aware=True,
        )
        for point in here
    ]
    if "half" in experiment.schemes:
        half = next(each for each in here if each.scheme == "half")
        about = f"V/2 with write-verify, {VERIFIED} passes"
        cases.append(Plan(name="verified_half", about=about, point=half, passes=VERIFIED))
    shares = experiment.defects
    for name, about, defects in (
        (
            "stuck",
            f"{100 * shares.stuck:g} % of cells stuck, half in P",
            Defects(stuck_p=shares.stuck / 2, stuck_ap=shares.stuck / 2),
        ),
        ("shorted", f"{100 * shares.shorted:g} % of cells shorted", Defects(shorted=shares.shorted)),
        ("open", f"{100 * shares.open:g} % of cells open", Defects(open=shares.open)),
    ):
        cases.append(Plan(name=name, about=about, point=main, defects=defects))
    cases.append(Plan(name=IDEAL, about="ideal arrays, no error", point=main, ideal=True))
    drawn = (experiment.fidelity.lowest, experiment.fidelity.highest)
    about = f"write fidelity drawn from {drawn[0]:g} to {drawn[1]:g}"
    cases.append(Plan(name=DRAWN, about=about, point=main, drawn=drawn))
    return tuple(cases)


def scheme_words(scheme: str) -> str:
    """A write scheme as a reader knows it."""
    return {"half": "V/2", "third": "V/3"}[scheme]


def build_case(plan: Plan, arrays: Arrays, placement: Placement, seeds: Sequence[int]) -> Case:
    """A case for these solutions, ready to run."""
    device = arrays.of(plan.point.diameter)
    if plan.ideal:
        return Case(
            name=plan.name,
            device=replace(device, spread=NO_SPREAD),
            writing=BitErrors(0.0),
            crossbar=ideal_crossbar,
            v_read=arrays.experiment.v_read,
        )
    if plan.drawn is not None:
        lowest, highest = plan.drawn
        return Case(
            name=plan.name,
            device=device,
            writing=drawn_errors(seeds, lowest=lowest, highest=highest),
            crossbar=biased_crossbar(arrays.wiring, v_h=device.v_h),
            v_read=arrays.experiment.v_read,
        )
    pulses = writing_at(
        arrays,
        placement,
        seeds,
        scheme=plan.point.scheme,
        diameter=plan.point.diameter,
        v_write=plan.point.v_write,
    )
    return Case(
        name=plan.name,
        device=device,
        defects=plan.defects,
        writing=replace(pulses, passes=plan.passes),
        crossbar=biased_crossbar(arrays.wiring, v_h=device.v_h),
        v_read=arrays.experiment.v_read,
    )
