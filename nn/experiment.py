"""Experiments as files: what is trained, on what data, at which operating point."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from math import inf, isfinite
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from nn.data import LOADERS, Split
from nn.encoding import ENCODINGS
from spicebridge.errors import SpicebridgeError
from spicebridge.settings import NAME_WORDS, is_name, parse_setting, read_toml

FOLDER = Path(__file__).parent / "experiments"
ENCODING_NAMES = (*ENCODINGS, "blind")
FINEST_STEP = 1e-13  # s: 100,000 widths in a table's 10 ns
WIDEST_LAYER = 1_000_000
MOST_WEIGHTS = 1_000_000_000  # between two hidden layers

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class TableNames:
    """The tables an experiment reads.

    Attributes:
        write: switching probability and energy of a write pulse.
        read: energy of a read.
    """

    write: str = "mtj_write"
    read: str = "synapse_read"

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (self.write, self.read)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One training job: network, algorithm, operating point, seeds.

    Attributes:
        name: also the name of its run.
        description: one line.
        dataset: one of ``nn.data.LOADERS``.
        split: sizes and seed of the two parts.
        evaluate_on: ``test``, or ``validation`` while settings are being chosen.
        input_bits: bits an input is read in.
        hidden: hidden layers' widths; dense layers, each batch-normalised.
        batch: images a step.
        epochs: passes over the training images, the same for every arm.
        seeds: one run of every arm for each.
        ablation_seeds: how many of the seeds, from the first, the arms with one effect more get.
        rate_start, rate_end: Adam's rate for ternary increments, falling exponentially over the run.
        beta1, beta2: Adam's decays for ternary increments.
        steepness: m of tanh(m nu).
        zero_window: r, the ternary activation's zero window.
        derivative_width: a, half-width of its surrogate derivative.
        norm_rate: Adam's rate for batch-norm scale and shift, falling linearly to zero over the run.
        float_rate_start, float_rate_end: Adam's rate for the floating-point baseline's weights, exponential.
        calibration: training images that batch-norm statistics are taken from before each test, at most.
        encoding: ``inverse``, or one of the ablations ``affine``, ``gated``, ``blind``.
        zero: canonical zero, ``weak``, ``strong`` or ``auto`` (the cheaper to read).
        v_write: write drive (V).
        timing_step: grid of pulse widths (s).
        v_read: read drive (V).
        t_read: read duration (s).
        read_gap: rest of a cell between two reads, bit planes and images alike (s); the read period is
            ``t_read + read_gap``. The default is the shortest rest that the lines' timing leaves: a converter
            that takes longer makes reads safer.
        tile: rows of synapses whose currents one conversion sums, and as many columns; also the lines that
            half-selected cells share. Assumed, an array size in common use.
        adc_bits: bits of the converter at the foot of a tile's column.
        adc_range: what it tells apart, of either sign: this share of a tile's largest sum, that of inputs and
            weights all one. A half was chosen on held-out training images of MNIST: a quarter costs a point
            there, with 6 bits.
        write_spread: device-to-device spread of the write, the standard deviation of ln(P_switch) where that
            is small; assumed. The converter and the spread bear on arms of their own.
        tables: names of the tables.
        allow_mixed_elements: whether the tables may be of different elements: devices, cards, supplies.
    """

    name: str
    description: str
    dataset: str
    split: Split
    hidden: tuple[int, ...]
    batch: int
    epochs: int
    seeds: tuple[int, ...]
    ablation_seeds: int = 3
    evaluate_on: str = "test"
    input_bits: int = 4
    rate_start: float = 0.03
    rate_end: float = 5e-4
    beta1: float = 0.98
    beta2: float = 0.999
    steepness: float = 3.0
    zero_window: float = 0.5
    derivative_width: float = 0.5
    norm_rate: float = 0.003
    float_rate_start: float = 0.003
    float_rate_end: float = 1e-4
    calibration: int = 10000
    encoding: str = "inverse"
    zero: str = "auto"
    v_write: float = 0.5
    timing_step: float = 50e-12
    v_read: float = 0.1
    t_read: float = 1e-9
    read_gap: float = 0.3e-9
    tile: int = 128
    adc_bits: int = 6
    adc_range: float = 0.5
    write_spread: float = 0.8
    tables: TableNames = TableNames()
    allow_mixed_elements: bool = False

    @property
    def unit(self) -> str:
        """What its progress is counted in."""
        return "epoch"


def available_experiments() -> tuple[str, ...]:
    """Names of the experiments that come with the project."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def read_settings(name_or_path: str | Path, *, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An experiment's settings as its file and the overrides have them, unchecked.

    Args:
        name_or_path: one of ``available_experiments``, or a path that ends in ``.toml``.
        overrides: settings by key, ``tables.write`` for one in a section; text is read as TOML would.

    Raises:
        SpicebridgeError: no such experiment, or a file that is not TOML.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        name = str(name_or_path)
        if name not in available_experiments():
            raise SpicebridgeError(
                f"there is no experiment {name!r}{nearest(name, available_experiments())}. "
                f"There are: {', '.join(available_experiments())}; or give the path of a .toml file."
            )
        path = FOLDER / f"{name}.toml"
    settings = read_toml(path, what="experiment")
    settings.setdefault("name", path.stem)
    for key, value in (overrides or {}).items():
        _override(settings, key, value)
    return settings


def experiment_from(settings: Mapping[str, Any], *, where: str = "the experiment") -> Experiment:
    """An experiment from JSON-like settings, checked.

    Raises:
        SpicebridgeError: an unknown or missing key, or a value of the wrong kind or out of range.
    """
    experiment = dataclass_from(Experiment, settings, where)
    _check_ranges(Checks(experiment, where))
    return experiment


def _as_kind(value: Any, kind: str, what: str) -> Any:
    """A setting's value as the field's annotated type wants it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and isinstance(value, int) and number:
        return value
    if kind == "float" and number:
        with suppress(OverflowError):
            return float(value)
    types = {type(each) for each in value} if isinstance(value, list | tuple) else {None}
    for listed, allowed in LISTS.items():
        if kind == listed and types <= allowed:
            return tuple(value)
    if kind not in KIND_WORDS and isinstance(value, Mapping):
        return value
    raise SpicebridgeError(f"{what} = {value!r} must be {KIND_WORDS.get(kind, 'a section')}.")


KIND_WORDS = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "tuple[int, ...]": "a list of whole numbers",
    "tuple[float, ...]": "a list of numbers",
    "tuple[str, ...]": "a list of words",
}
LISTS: dict[str, set[type]] = {
    "tuple[int, ...]": {int},
    "tuple[float, ...]": {int, float},
    "tuple[str, ...]": {str},
}


def dataclass_from(kind: type[Kind], settings: Mapping[str, Any], where: str) -> Kind:
    """A dataclass from JSON-like settings; its fields that are dataclasses are sections of their own.

    Raises:
        SpicebridgeError: an unknown or missing key, or a value of the wrong kind.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in settings:
        if key not in fields:
            raise SpicebridgeError(
                f"{where} has an unknown setting {key!r}{nearest(key, tuple(fields))}. "
                f"Settings are: {', '.join(sorted(fields))}."
            )
    values, kinds = {}, get_type_hints(kind)
    for name, field in fields.items():
        if name not in settings:
            if field.default is dataclasses.MISSING:
                raise SpicebridgeError(f"{where} lacks the setting {name!r}.")
            continue
        value = _as_kind(settings[name], str(field.type), f"{where}: {name}")
        if dataclasses.is_dataclass(kinds[name]):
            value = dataclass_from(kinds[name], value, f"{where}, section {name}")
        values[name] = value
    return kind(**values)


def json_like(experiment: Any) -> dict[str, Any]:
    """Every field of an experiment as JSON-like values."""
    settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(experiment)))
    return settings


@dataclass(frozen=True)
class Checks:
    """Refusals of an experiment's values: each names the setting, its value and what it may be.

    A key is a field's name, ``split.seed`` for one in a section. ``one_of`` and ``above_zero`` want the same
    of every entry of a list.
    """

    experiment: Any
    where: str

    def __call__(self, holds: bool, key: str, words: str) -> None:
        """Refuse the setting unless ``holds``."""
        if not holds:
            raise SpicebridgeError(f"{self.where}: {key} = {attrgetter(key)(self.experiment)!r} {words}.")

    def _entries(self, key: str) -> tuple[Any, ...]:
        value = attrgetter(key)(self.experiment)
        return value if isinstance(value, tuple) else (value,)

    def one_of(self, key: str, allowed: tuple[str, ...]) -> None:
        """Refuse what is not among the words allowed."""
        for each in self._entries(key):
            self(each in allowed, key, f"is none of: {', '.join(allowed)}{nearest(each, allowed)}")

    def above_zero(self, *keys: str) -> None:
        """Refuse numbers of zero or less, and infinite ones."""
        for key in keys:
            self(all(each > 0 and isfinite(each) for each in self._entries(key)), key, "must be above zero")

    def training(self, *, fewest_layers: int) -> None:
        """Refuse names, data, widths and seeds that no training of networks can have."""
        experiment = self.experiment
        self(is_name(experiment.name), "name", NAME_WORDS)
        self.one_of("dataset", tuple(LOADERS))
        self.one_of("evaluate_on", ("test", "validation"))
        hidden, seeds = experiment.hidden, experiment.seeds
        fits = len(hidden) >= fewest_layers and all(0 < width <= WIDEST_LAYER for width in hidden)
        self(fits, "hidden", f"must hold widths of 1 to {WIDEST_LAYER:,}")
        self(experiment.split.seed >= 0, "split.seed", "must not be negative")
        different = bool(seeds) and len(set(seeds)) == len(seeds) and min(seeds) >= 0
        self(different, "seeds", "must be different and not negative")


def _check_ranges(check: Checks) -> None:
    experiment: Experiment = check.experiment
    check.training(fewest_layers=0)
    check.one_of("encoding", ENCODING_NAMES)
    check.one_of("zero", ("auto", "weak", "strong"))
    check.above_zero(
        "rate_start", "rate_end", "steepness", "zero_window", "derivative_width", "norm_rate",
        "float_rate_start", "float_rate_end", "v_write", "timing_step", "v_read", "t_read",
        "read_gap", "epochs", "calibration", "tile", "ablation_seeds",
    )  # fmt: skip
    for key in ("beta1", "beta2"):
        check(0 <= getattr(experiment, key) < 1, key, "must lie in [0, 1)")
    check(experiment.batch >= 2, "batch", "must be at least 2 (batch normalisation)")
    check(1 <= experiment.input_bits <= 8, "input_bits", "must lie in 1 .. 8")
    check(2 <= experiment.adc_bits <= 16, "adc_bits", "must lie in 2 .. 16")
    check(0 < experiment.adc_range <= 1, "adc_range", "must lie above 0, at most 1")
    check(0 <= experiment.write_spread < inf, "write_spread", "must not be negative or infinite")
    check(experiment.timing_step >= FINEST_STEP, "timing_step", f"must be at least {FINEST_STEP:g} (s)")
    fits = all(before * after <= MOST_WEIGHTS for before, after in pairwise(experiment.hidden))
    check(fits, "hidden", f"must not ask for more than {MOST_WEIGHTS:,} weights in a layer")


def _override(settings: dict[str, Any], key: str, value: Any) -> None:
    section, _, last = key.rpartition(".")
    place = settings.setdefault(section, {}) if section else settings
    if not isinstance(place, dict):
        raise SpicebridgeError(f"{section} is a setting, not a section, so {key} cannot be set.")
    place[last] = parse_setting(value) if isinstance(value, str) else value


def nearest(name: str, names: tuple[str, ...]) -> str:
    """The name that a misspelt one is nearest to, as a question in brackets; empty if none is near."""
    close = get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
