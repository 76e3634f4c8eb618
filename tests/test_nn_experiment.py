"""Experiment files: what comes with the project, and what a mistake in one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nn.experiment import available_experiments, experiment_from, json_like
from nn.passive_array.experiment import ArrayExperiment
from nn.studies import load_study
from spicebridge.errors import SpicebridgeError
from spicebridge.settings import parse_setting

SMALL: dict[str, Any] = {
    "name": "small",
    "description": "a small one",
    "dataset": "digits",
    "hidden": [16],
    "batch": 50,
    "epochs": 2,
    "seeds": [1],
    "split": {"train": 400, "test": 100, "seed": 0},
}


def test_the_experiments_of_the_project_all_load() -> None:
    assert {"digits_ternary_mtj", "wine_ternary_mtj", "mnist_mlp_ternary_mtj"} <= set(available_experiments())
    for name in available_experiments():
        experiment = load_study(name)
        assert experiment.name == name
        if isinstance(experiment, ArrayExperiment):
            continue
        assert experiment.evaluate_on == "test"
        assert load_study(name, overrides=json_like(experiment)) == experiment


def test_a_users_own_file_loads_by_its_path_and_is_named_after_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'description = "mine"\ndataset = "wine"\nhidden = [8]\nbatch = 16\nepochs = 3\nseeds = [4]\n'
        "[split]\ntrain = 100\ntest = 50\nseed = 1\n"
    )
    experiment = load_study(path)
    assert experiment.name == "mine"
    assert experiment.hidden == (8,)
    assert experiment.tables.write == "mtj_write"


def test_overrides_reach_settings_and_sections_and_are_read_as_toml() -> None:
    experiment = load_study(
        "digits_ternary_mtj",
        overrides={
            "hidden": "[32, 16]",
            "v_write": "0.6",
            "tables.write": "mine",
            "encoding": "affine",
            "epochs": 3,
        },
    )
    assert experiment.hidden == (32, 16)
    assert experiment.v_write == 0.6
    assert experiment.tables.write == "mine"
    assert experiment.encoding == "affine"
    assert experiment.epochs == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epoch": 3}, "unknown setting 'epoch' (did you mean 'epochs'?)"),
        ({"split": {"train": 1, "tset": 2, "seed": 0}}, "section split has an unknown setting 'tset'"),
        ({"tables": {"wriet": "x"}}, "did you mean 'write'"),
        ({"epochs": "three"}, "epochs = 'three' must be a whole number"),
        ({"epochs": 1.5}, "epochs = 1.5 must be a whole number"),
        ({"epochs": True}, "must be a whole number"),
        ({"hidden": [16, "x"]}, "must be a list of whole numbers"),
        ({"v_write": "high"}, "v_write = 'high' must be a number"),
        ({"split": 3}, "split = 3 must be a section"),
        ({"dataset": "digit"}, "is none of: digits, wine, mnist, fashion_mnist (did you mean 'digits'?)"),
        ({"encoding": "afine"}, "did you mean 'affine'"),
        ({"zero": "week"}, "did you mean 'weak'"),
        ({"evaluate_on": "train"}, "is none of: test, validation"),
        ({"epochs": 0}, "epochs = 0 must be above zero"),
        ({"rate_start": -0.1}, "must be above zero"),
        ({"t_read": float("inf")}, "must be above zero"),
        ({"beta1": 1.0}, "must lie in [0, 1)"),
        ({"batch": 1}, "at least 2"),
        ({"input_bits": 9}, "must lie in 1 .. 8"),
        ({"adc_bits": 1}, "adc_bits = 1 must lie in 2 .. 16"),
        ({"adc_range": 0}, "adc_range = 0.0 must lie above 0, at most 1"),
        ({"adc_range": 32}, "adc_range = 32.0 must lie above 0, at most 1"),
        ({"adc_range": float("nan")}, "adc_range = nan must lie above 0, at most 1"),
        ({"tile": 0}, "tile = 0 must be above zero"),
        ({"read_gap": 0.0}, "read_gap = 0.0 must be above zero"),
        ({"write_spread": -0.1}, "write_spread = -0.1 must not be negative"),
        ({"write_spread": float("nan")}, "write_spread = nan must not be negative"),
        ({"hidden": [0]}, "widths of 1 to 1,000,000"),
        ({"hidden": [100_000_000_000]}, "widths of 1 to 1,000,000"),
        ({"hidden": [1_000_000, 1_000_000]}, "more than 1,000,000,000 weights in a layer"),
        ({"seeds": []}, "different and not negative"),
        ({"seeds": [1, 1]}, "different and not negative"),
        ({"seeds": [-1]}, "different and not negative"),
        ({"split": {"train": 400, "test": 100, "seed": -1}}, "split.seed = -1 must not be negative"),
        ({"timing_step": 1e-20}, "timing_step = 1e-20 must be at least 1e-13 (s)"),
        ({"v_write": 10**400}, "must be a number"),
        ({"name": "../small"}, "name = '../small' must be letters, digits, _ and -"),
        ({"name": "small/x"}, "must be letters, digits, _ and -"),
        ({"name": "sm.all"}, "must be letters, digits, _ and -"),
        ({"name": "small\n"}, "must be letters, digits, _ and -"),
        ({"name": ""}, "must be letters, digits, _ and -"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_it_may_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SpicebridgeError) as caught:
        experiment_from(SMALL | change, where="experiment small")
    assert words in str(caught.value)
    assert "small" in str(caught.value)


def test_the_widest_layers_and_finest_step_allowed_are_allowed() -> None:
    experiment = experiment_from(SMALL | {"hidden": [1_000_000, 1000], "timing_step": 1e-13, "name": "a_B-9"})
    assert experiment.hidden == (1_000_000, 1000)


def test_a_users_own_file_of_a_name_no_run_can_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my own.toml"
    path.write_text(
        'description = "mine"\ndataset = "wine"\nhidden = [8]\nbatch = 16\nepochs = 3\nseeds = [4]\n'
        "[split]\ntrain = 100\ntest = 50\nseed = 1\n"
    )
    with pytest.raises(SpicebridgeError, match="name = 'my own' must be letters"):
        load_study(path)
    assert load_study(path, overrides={"name": "mine"}).name == "mine"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-9", 1e-9),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("'0.5'", "0.5"),
        ("affine", "affine"),
        ("../x", "../x"),
        ("", ""),
        ("3\nepochs = 4", "3\nepochs = 4"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_setting_is_what_toml_reads_and_else_text(text: str, value: object) -> None:
    read = parse_setting(text)
    assert (read, type(read)) == (value, type(value))


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SpicebridgeError, match="lacks the setting 'batch'"):
        experiment_from({key: value for key, value in SMALL.items() if key != "batch"})


def test_a_misspelt_experiment_names_the_nearest() -> None:
    with pytest.raises(SpicebridgeError, match="did you mean 'digits_ternary_mtj'"):
        load_study("digit_ternary_mtj")


def test_files_that_are_missing_or_not_toml_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SpicebridgeError, match="No such file"):
        load_study(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("epochs = = 3")
    with pytest.raises(SpicebridgeError, match="is not valid TOML"):
        load_study(tmp_path / "bad.toml")


def test_an_override_of_a_setting_as_a_section_is_refused() -> None:
    with pytest.raises(SpicebridgeError, match="is a setting, not a section"):
        load_study("digits_ternary_mtj", overrides={"epochs.x": "1"})
