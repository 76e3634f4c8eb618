"""The study of system B in the small: stages, what they lose and regain, and the judgement of metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nn.passive_array.cells import Defects, Device
from nn.passive_array.judgement import associate, compare, judge, metrics, summarize
from nn.passive_array.perceptrons import Perceptrons, distinct
from nn.passive_array.placement import place
from nn.passive_array.reading import biased_crossbar, ideal_crossbar
from nn.passive_array.splits import Splits, draw_splits, wine
from nn.passive_array.study import STAGES, Case, CaseResult, describe, run_case
from nn.passive_array.training import Recipe, train
from nn.passive_array.writing import BitErrors
from spicebridge.crossbar import Spread, Wiring
from spicebridge.errors import SpicebridgeError
from tests.test_array_mapping import linear_crossbar

PAIR = place(inputs=15, hidden=7, classes=3)
NO_SPREAD = Spread(ra=0, tmr=0, diameter=0, v_switch=0)
IDEAL = Case(name="ideal", device=Device(spread=NO_SPREAD), writing=BitErrors(0.0), crossbar=ideal_crossbar)


def wiring(segment: float) -> Wiring:
    return Wiring(r_word=segment, r_bit=segment, r_source=50, r_sense=50, g_leak_bit=1e-6)


MIDDLE = Case(
    name="middle",
    device=Device(spread=Spread(ra=0.05, tmr=0.05, diameter=0)),
    writing=BitErrors(0.02),
    crossbar=linear_crossbar(wiring(5)),
)
HARSH = Case(
    name="harsh",
    device=Device(diameter=100e-9, spread=Spread(ra=0.1, tmr=0.1, diameter=0)),
    writing=BitErrors(0.05),
    crossbar=linear_crossbar(wiring(10)),
)


@cache
def trained() -> tuple[Splits, Perceptrons]:
    splits = draw_splits(*wine(), seeds=range(60))
    return splits, train(splits, Recipe(epochs=150)).networks


@cache
def middle() -> CaseResult:
    return run_case(*trained(), PAIR, MIDDLE)


def means(result: CaseResult) -> dict[str, float]:
    return {stage: 100 * float(result.accuracy(stage).mean()) for stage in STAGES}


def small() -> tuple[Splits, Perceptrons]:
    splits, networks = trained()
    return splits.part(slice(0, 6)), networks.part(slice(0, 6))


def same(one: CaseResult, other: CaseResult) -> bool:
    return describe(one) == describe(other)


def test_ideal_arrays_do_what_software_does_until_they_are_tuned() -> None:
    result = run_case(*small(), PAIR, IDEAL)
    for stage in STAGES[:-1]:
        np.testing.assert_array_equal(result.agreement(stage), 1.0)
        np.testing.assert_array_equal(result.stages[stage].bits_agreeing, 1.0)
        np.testing.assert_allclose(result.stages[stage].score_error, 0.0, atol=1e-9)
    np.testing.assert_array_equal(result.wrong_cells, 0)
    np.testing.assert_allclose(result.weight_error, 0.0, atol=1e-12)


def test_a_reference_column_does_as_well_on_ideal_arrays() -> None:
    splits = small()[0]
    networks = train(splits, Recipe(hidden=11, epochs=10)).networks
    placement = place(inputs=15, hidden=11, classes=3, scheme="reference")
    result = run_case(splits, networks, placement, IDEAL)
    np.testing.assert_array_equal(result.agreement("lines"), 1.0)
    assert result.cells == 216


def test_software_is_judged_on_the_networks_own_decisions() -> None:
    splits, networks = small()
    found = run_case(splits, networks, PAIR, IDEAL).stages["software"]
    right = networks.decisions(splits.test_inputs) == splits.test_labels
    np.testing.assert_array_equal(found.correct, right.sum(axis=1))


def test_tuned_arrays_of_the_middle_case_come_close_to_software() -> None:
    found = means(middle())
    assert distinct(trained()[1]) == 60
    assert found["lines"] < found["thresholds_tuned"]
    assert found["thresholds_tuned"] > max(93.0, found["software"] - 1.5)
    assert middle().fidelity.mean() == pytest.approx(0.98, abs=0.003)


def test_tuning_regains_most_of_what_lines_and_errors_take() -> None:
    found = means(run_case(*trained(), PAIR, HARSH))
    assert found["write_errors"] < found["software"]
    assert found["spread"] < found["write_errors"]
    assert found["lines"] < found["spread"] - 5
    assert found["columns_tuned"] > found["lines"] + 8
    assert found["thresholds_tuned"] > found["columns_tuned"]
    assert found["thresholds_tuned"] > found["software"] - 3


def test_an_outcome_depends_on_its_own_seed_only() -> None:
    splits, networks = trained()
    part = slice(51, 54)  # across the blocks that a case is worked through in
    few, many = describe(run_case(splits.part(part), networks.part(part), PAIR, MIDDLE)), describe(middle())
    assert few["wrong_cells"] == many["wrong_cells"][part]
    for stage in STAGES:
        for name in ("correct", "train_correct", "agreeing"):
            assert few["stages"][stage][name] == many["stages"][stage][name][part]


def test_the_same_case_gives_the_same_outcome() -> None:
    assert same(run_case(*small(), PAIR, MIDDLE), run_case(*small(), PAIR, MIDDLE))


def test_test_labels_and_inputs_change_nothing_on_training_samples() -> None:
    splits, networks = small()
    rng = np.random.default_rng(0)
    other = replace(
        splits,
        test_inputs=rng.uniform(-1, 1, splits.test_inputs.shape).astype(np.float32),
        test_labels=rng.integers(0, 3, splits.test_labels.shape),
    )
    one, another = (run_case(each, networks, PAIR, MIDDLE) for each in (splits, other))
    for stage in STAGES:
        np.testing.assert_array_equal(one.stages[stage].train_correct, another.stages[stage].train_correct)
    assert not same(one, another)


def test_fidelity_counts_the_used_cells_that_are_not_as_wanted() -> None:
    inverted = run_case(*small(), PAIR, replace(IDEAL, writing=BitErrors(1.0)))
    np.testing.assert_array_equal(inverted.wrong_cells, inverted.cells)
    np.testing.assert_array_equal(inverted.fidelity, 0.0)
    opened = run_case(*small(), PAIR, replace(IDEAL, defects=Defects(open=1.0)))
    np.testing.assert_array_equal(opened.fidelity, 0.0)


def test_defects_cost_accuracy_and_tuning_regains_some() -> None:
    found = means(run_case(*trained(), PAIR, replace(MIDDLE, defects=Defects(shorted=0.01, open=0.01))))
    assert found["write_errors"] == means(middle())["write_errors"]
    assert found["spread"] < found["write_errors"] - 5
    assert found["thresholds_tuned"] > found["lines"] + 5


def test_bias_dependence_changes_currents_but_hardly_a_decision() -> None:
    linear = run_case(*small(), PAIR, MIDDLE)
    biased = run_case(*small(), PAIR, replace(MIDDLE, crossbar=biased_crossbar(wiring(5), v_h=0.5)))
    assert np.any(linear.stages["lines"].score_error != biased.stages["lines"].score_error)
    for stage in ("lines", "thresholds_tuned"):
        assert abs(means(linear)[stage] - means(biased)[stage]) < 2.0


def test_networks_without_a_split_of_their_own_are_refused() -> None:
    splits, networks = trained()
    with pytest.raises(SpicebridgeError, match="5 networks cannot share 60 splits"):
        run_case(splits, networks.part(slice(0, 5)), PAIR, IDEAL)


def test_a_described_case_is_json_of_whole_numbers_from_which_accuracies_follow() -> None:
    told = json.loads(json.dumps(describe(middle())))
    correct = np.array(told["stages"]["thresholds_tuned"]["correct"])
    np.testing.assert_allclose(correct / told["test_samples"], middle().accuracy("thresholds_tuned"))
    assert (told["train_samples"], told["test_samples"], told["cells"]) == (135, 43, 258)
    assert all(isinstance(each, int) for each in told["wrong_cells"])


def test_a_summary_is_in_per_cent_with_its_quantiles() -> None:
    found = summarize(np.array([0.9, 1.0, 0.8, 0.9, 0.7]))
    assert found["median"] == pytest.approx(90.0)
    assert found["mean"] == pytest.approx(86.0)
    assert (found["min"], found["max"]) == pytest.approx((70.0, 100.0))
    assert (found["q25"], found["q75"]) == pytest.approx((80.0, 90.0))
    assert found["standard_error"] == pytest.approx(np.std([90, 100, 80, 90, 70], ddof=1) / np.sqrt(5))


def related(correlation: float, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, noise = np.random.default_rng(seed).normal(size=(2, n))
    return x, correlation * x + np.sqrt(1 - correlation**2) * noise


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_an_association_is_scipys_with_an_interval_like_fishers(correlation: float) -> None:
    x, y = related(correlation)
    found, known = associate(x, y, seed=0), stats.pearsonr(x, y)
    assert (found.pearson, found.pearson_p) == pytest.approx((known.statistic, known.pvalue), rel=1e-9)
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-9)
    theory = known.confidence_interval(0.95)
    assert found.pearson_low == pytest.approx(theory.low, abs=0.03)
    assert found.pearson_high == pytest.approx(theory.high, abs=0.03)
    assert found.pearson_low < correlation < found.pearson_high
    assert found.explained == pytest.approx(found.pearson**2)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = 0
    for seed in range(100):
        found = associate(*related(0.4, n=80, seed=seed), seed=seed)
        held += found.pearson_low <= 0.4 <= found.pearson_high
    assert 87 <= held <= 100


def test_what_explains_little_does_not_predict_alone_and_what_explains_most_does() -> None:
    assert not associate(*related(0.3), seed=0).predicts_alone
    assert associate(*related(0.9), seed=0).predicts_alone


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_ranks_do_not_mind_a_bent_scale(seed: int) -> None:
    x, y = related(0.5, n=30, seed=seed)
    straight, bent = associate(x, y, seed=1), associate(np.exp(x), y, seed=1)
    for name in ("spearman", "spearman_low", "spearman_high"):
        assert getattr(bent, name) == pytest.approx(getattr(straight, name), abs=1e-9)


def test_the_better_of_two_metrics_is_found_better_and_a_twin_is_not() -> None:
    x, y = related(0.8)
    weak = x + 2 * np.random.default_rng(1).normal(size=len(x))
    found = compare(weak, x, y, seed=0)
    assert found["low"] > 0
    assert found["p"] < 0.01
    assert found["gain"] == pytest.approx(
        stats.pearsonr(x, y).statistic ** 2 - stats.pearsonr(weak, y).statistic ** 2
    )
    twin = compare(x, 3 * x + 1, y, seed=0)
    assert abs(twin["gain"]) < 1e-12


@pytest.mark.parametrize(("x", "told"), [(np.ones(10), "do not vary"), (np.arange(3.0), "take four or more")])
def test_pairs_that_tell_nothing_are_refused(x: np.ndarray, told: str) -> None:
    with pytest.raises(SpicebridgeError, match=told):
        associate(x, np.arange(float(len(x))), seed=0)


def test_fidelity_explains_less_of_accuracy_than_agreement_with_software_does() -> None:
    told = judge(middle(), "lines", seed=0)
    assert set(told) == {"test", "overall", "change"}
    assert set(told["overall"]) == set(metrics(middle(), "lines"))
    assert not told["test"]["fidelity"]["predicts_alone"]
    assert told["overall"]["decision_agreement"]["over_fidelity"]["low"] > 0
    json.dumps(told)


def test_a_metric_that_is_the_same_everywhere_is_not_judged() -> None:
    told = judge(run_case(*small(), PAIR, replace(MIDDLE, writing=BitErrors(0.0))), "lines", seed=0)
    assert "fidelity" not in told["overall"]
    assert "decision_agreement" in told["overall"]
