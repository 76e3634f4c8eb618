"""Judgement: what accuracies come to, and whether write fidelity or anything else predicts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Floats
from nn.passive_array.study import CaseResult
from spicebridge.errors import SpicebridgeError

RESAMPLES = 2000
LEVEL = 0.95  # of confidence intervals
ALONE = 0.5  # share of accuracy's variance that a metric must explain to be said to predict it by itself


@dataclass(frozen=True)
class Association:
    """How one quantity goes with another over solutions.

    Attributes:
        n: pairs.
        pearson, pearson_p, pearson_low, pearson_high: correlation, its p-value against none, and its
            confidence interval (bootstrap).
        spearman, spearman_p, spearman_low, spearman_high: the same of the ranks.
        explained, explained_low, explained_high: the square of ``pearson`` and its confidence interval.
    """

    n: int
    pearson: float
    pearson_p: float
    pearson_low: float
    pearson_high: float
    spearman: float
    spearman_p: float
    spearman_low: float
    spearman_high: float
    explained: float
    explained_low: float
    explained_high: float

    @property
    def predicts_alone(self) -> bool:
        """Whether the data allow that it explains half of the variance or more."""
        return self.explained_high >= ALONE


def summarize(shares: Floats) -> dict[str, float]:
    """Median, mean with its standard error, quantiles and extremes of shares, all in per cent."""
    percent = 100 * np.asarray(shares, np.float64)
    low, quarter, median, three, high = np.quantile(percent, [0.1, 0.25, 0.5, 0.75, 0.9])
    return {
        "median": float(median),
        "mean": float(percent.mean()),
        "standard_error": float(percent.std(ddof=1) / np.sqrt(len(percent))) if len(percent) > 1 else 0.0,
        "q10": float(low),
        "q25": float(quarter),
        "q75": float(three),
        "q90": float(high),
        "min": float(percent.min()),
        "max": float(percent.max()),
    }


def associate(x: Floats, y: Floats, *, seed: int) -> Association:
    """How ``x`` goes with ``y``, each of shape (solutions,).

    Raises:
        SpicebridgeError: fewer than four pairs, or a quantity that is the same everywhere.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise SpicebridgeError(
            f"nothing can be said of how {len(x)} pairs go together"
            + (" that do not vary." if len(x) >= 4 else "; take four or more.")
        )
    from scipy import stats  # a second, which only this needs

    linear, ranked = stats.pearsonr(x, y), stats.spearmanr(x, y)
    chosen = resamples(len(x), seed=seed)
    drawn = correlations(x[chosen], y[chosen])
    drawn_ranks = correlations(stats.rankdata(x[chosen], axis=1), stats.rankdata(y[chosen], axis=1))
    return Association(
        len(x),
        float(linear.statistic),
        float(linear.pvalue),
        *interval(drawn),
        float(ranked.statistic),
        float(ranked.pvalue),
        *interval(drawn_ranks),
        float(linear.statistic**2),
        *interval(drawn**2),
    )


def compare(first: Floats, second: Floats, y: Floats, *, seed: int) -> dict[str, float]:
    """By how much more of ``y``'s variance ``second`` explains than ``first``; with confidence interval.

    ``p`` is the two-sided bootstrap p-value against no difference.
    """
    chosen = resamples(len(y), seed=seed)
    gain = correlations(second[chosen], y[chosen]) ** 2 - correlations(first[chosen], y[chosen]) ** 2
    low, high = interval(gain)
    found = correlations(second[None], y[None]) ** 2 - correlations(first[None], y[None]) ** 2
    tail = min(float(np.mean(gain <= 0)), float(np.mean(gain >= 0)))
    return {
        "gain": float(found[0]),
        "low": low,
        "high": high,
        "p": float(min(1.0, 2 * max(tail, 1 / len(gain)))),
    }


def resamples(n: int, *, seed: int) -> NDArray[np.int64]:
    """Indices of bootstrap resamples, shape (``RESAMPLES``, n)."""
    return np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))


def correlations(x: Floats, y: Floats) -> Floats:
    """Pearson's r of each row, shape (rows,); 0 where one of them does not vary."""
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    power = np.sqrt(np.sum(x**2, axis=1) * np.sum(y**2, axis=1))
    return np.sum(x * y, axis=1) / np.where(power > 0, power, np.inf)


def interval(drawn: Floats) -> tuple[float, float]:
    """The central ``LEVEL`` of resampled values."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def metrics(result: CaseResult, stage: str) -> dict[str, Floats]:
    """What might predict a stage's accuracy, each of shape (solutions,)."""
    found = result.stages[stage]
    return {
        "fidelity": result.fidelity,
        "weight_error": result.weight_error,
        "hidden_agreement": found.bits_agreeing,
        "score_error": found.score_error,
        "decision_agreement": result.agreement(stage),
    }


def judge(result: CaseResult, stage: str, *, seed: int) -> dict[str, Any]:
    """Which metrics go with a stage's accuracy; JSON-like.

    ``test`` takes the accuracy on test samples, ``overall`` on all samples, ``change`` the latter less that
    of the same solution's software, so that easy and hard splits count alike. A metric that does not vary
    over the solutions is left out.
    """
    overall = result.overall_accuracy(stage)
    return {
        name: _judged(metrics(result, stage), accuracy, seed=seed)
        for name, accuracy in (
            ("test", result.accuracy(stage)),
            ("overall", overall),
            ("change", overall - result.overall_accuracy("software")),
        )
    }


def _judged(candidates: Mapping[str, Floats], accuracy: Floats, *, seed: int) -> dict[str, Any]:
    varying = {name: values for name, values in candidates.items() if np.ptp(values) > 0}
    if np.ptp(accuracy) == 0:
        return {}
    return {name: _one(varying, name, accuracy, seed=seed) for name in varying}


def _one(metrics: Mapping[str, Floats], name: str, accuracy: Floats, *, seed: int) -> dict[str, Any]:
    """One metric's association, and what it has over fidelity."""
    found = associate(metrics[name], accuracy, seed=seed)
    told = asdict(found) | {"predicts_alone": found.predicts_alone}
    if name != "fidelity" and "fidelity" in metrics:
        told["over_fidelity"] = compare(metrics["fidelity"], metrics[name], accuracy, seed=seed)
    return told
