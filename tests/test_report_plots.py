"""Plots that cannot be drawn cost a sentence, never the page: empty data, zeros, NaN, one of a kind."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from spicebridge.report import html_report, text_report
from spicebridge.report.drawing import never_fatal
from spicebridge.report.mixed_energy_plots import part_plot, phase_plot
from spicebridge.report.mixed_plots import ablation_plot
from spicebridge.report.quantity import power_of_ten
from tests import digits_record, mixed_records

NAMES = ("float", "ideal", "without_chi")


def effects(*values: float) -> dict[str, dict[str, Any]]:
    """Arms with these effects, the first with a spread."""
    return {
        name: {"effect": value, "effect_spread": 0.1 if name == "float" else None, "seeds": [1]}
        for name, value in zip(NAMES, values, strict=False)
    }


@pytest.mark.parametrize(
    "values", [(-1.0, -0.2), (-60.0,), (-5.0, -5.0, -5.0), (0.0,), (-0.01,), (0.4, 0.3), (100.0,)]
)
def test_ablations_are_drawn_whichever_arm_is_best(values: tuple[float, ...]) -> None:
    drawn = ablation_plot(effects(*values))
    assert drawn is not None
    assert drawn.svg is not None, drawn.caption


def test_a_plot_that_fails_is_a_sentence_on_the_page_and_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = mixed_records.make_record()
    arms = record["arms"]["float"]["runs"]
    arms[0]["test_accuracy"] = float("nan")
    page = html_report(record, tables={}, chain=(), write=None)
    words = "The plot of the ablations could not be drawn (ValueError: Axis limits cannot be NaN or Inf)."
    assert words in page
    assert 'id="training"' in page
    assert 'id="sensitivity"' in page
    assert capsys.readouterr().err == f"Note: {words}\n"


def test_a_page_that_lost_every_plot_still_has_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no room\nfor the axes")

    for made in (digits_record.make_record(), mixed_records.make_record()):
        with monkeypatch.context() as patch:
            patch.setattr("matplotlib.figure.Figure.savefig", broken)
            page = html_report(made, tables=digits_record.TABLES, chain=(), write=None)
        assert "<svg" not in page
        assert "could not be drawn (RuntimeError: no room for the axes)" in page
        assert f"{made['accuracy']:.2f} ±" in page
        assert f"{made['accuracy']:.2f} ±" in text_report(made)


@pytest.mark.parametrize("zero", ["forward", "all"])
def test_a_phase_that_cost_nothing_leaves_the_others_drawn(zero: str) -> None:
    energy = copy.deepcopy(mixed_records.make_record()["energy"])
    for phase in ("forward", "backward", "update") if zero == "all" else (zero,):
        energy["per_image"][phase] = dict.fromkeys(energy["per_image"][phase], 0.0)
        energy["digital"][phase] = 0.0
    if zero == "all":
        energy["per_image"]["total"] = energy["digital"]["total"] = 0.0
        assert phase_plot(energy) is None
        assert part_plot(energy) is None
        return
    for drawn in (phase_plot(energy), part_plot(energy)):
        assert drawn is not None
        assert drawn.svg is not None, drawn.caption


def test_what_a_plot_returns_is_kept_and_interrupts_pass() -> None:
    @never_fatal("nothing")
    def absent() -> None:
        return None

    @never_fatal("nothing")
    def stopped() -> None:
        raise KeyboardInterrupt

    assert absent() is None
    with pytest.raises(KeyboardInterrupt):
        stopped()


@pytest.mark.parametrize(("value", "said"), [(1e-4, "10⁻⁴"), (0.0, "0"), (float("nan"), "nan")])
def test_a_decade_of_an_axis_has_a_label_whatever_its_value(value: float, said: str) -> None:
    assert power_of_ten(value) == said
