"""Definitions of sweeps over a user's own netlist: what they say, and that nonsense is told plainly."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from characterization.definition import DefinitionError, load_definition
from characterization.netlist_sweep import NetlistDefinition
from spicebridge.errors import SpicebridgeError
from spicebridge.permission import RefusedError
from tests.bare_ngspice import bare_measures

DECK = """charging
.param rval=1k cval=1p
.param seed={2*3}
.lib "models.lib" tt
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {rval}
c1 out 0 {cval}
.tran 10p 3n
.meas tran v1ns find v(out) at=1n
.meas tran v2ns find v(out) at=2n
.end
"""
LIBRARY = ".lib tt\n.param speed=1\n.endl\n.lib ff\n.param speed=2\n.endl\n.lib ss\n.param speed=3\n.endl\n"
SMALL: dict[str, Any] = {
    "deck": "rc.cir",
    "files": ["models.lib"],
    "axes": {"rval": {"unit": "ohm", "start": 100, "stop": 1e4, "points": 4}},
    "measures": {"v1ns": {"unit": "V"}},
}
LARGE: dict[str, Any] = {
    "deck": "rc.cir",
    "about": "an RC element",
    "files": ["pdk"],
    "parameters": {"seed": 7},
    "batch": 1,
    "time_limit": 5.0,
    "axes": {
        "corner": {"library": "models.lib", "values": ["tt", "ff"], "long_name": "process corner"},
        "rval": {"unit": "ohm", "start": 100, "stop": 1e4, "points": 3, "spacing": "log"},
        "cval": {"unit": "F", "values": [1e-12, 2e-12], "scale": "linear", "long_name": "load"},
    },
    "measures": {"v1ns": {"unit": "V", "scale": "log"}, "v2ns": {"unit": "V", "long_name": "later"}},
}


def toml(value: Any) -> str:
    """A value as TOML writes it; sections as inline tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else f"{'-' if value < 0 else ''}inf"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=True)


def text_of(content: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in content.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a deck and its library."""
    made = tmp_path_factory.mktemp("sweep")
    (made / "rc.cir").write_text(DECK)
    (made / "models.lib").write_text(LIBRARY)
    (made / "pdk").mkdir()
    return made


def load(folder: Path, content: dict[str, Any], **overrides: Any) -> NetlistDefinition:
    path = folder / "mine.toml"
    path.write_text(text_of(content), encoding="utf-8")
    made = load_definition(str(path), size="quick", overrides=overrides.pop("overrides", None), **overrides)
    assert isinstance(made, NetlistDefinition)
    return made


def changed(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """The content with the value at a dotted place; None takes it away."""
    made = deepcopy(content)
    *sections, last = place.split(".")
    inner = made
    for section in sections:
        inner = inner.setdefault(section, {})
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return made


def test_the_smallest_definition_is_a_deck_an_axis_and_a_measure(folder: Path) -> None:
    made = load(folder, SMALL)
    assert (made.name, made.about, made.shape, made.batch, made.time_limit) == ("mine", "mine", (4,), 1, None)
    assert made.axes[0].values == (100.0, 3400.0, 6700.0, 10000.0)
    assert (made.axes[0].unit, made.axes[0].scale) == ("ohm", "linear")
    assert [deck.parameters["speed"] for deck in made.decks] == ["1"]
    assert set(made.netlists) == {"rc.cir", "models.lib"}


def test_every_key_is_read(folder: Path) -> None:
    made = load(folder, LARGE)
    assert made.about == "an RC element"
    assert [axis.name for axis in made.axes] == ["corner", "rval", "cval"]
    assert made.shape == (2, 3, 2)
    assert made.axes[0].values == ("tt", "ff")
    assert made.axes[1].values == (100.0, 1000.0, 10000.0)
    assert made.axes[1].scale == "log"
    assert made.axes[2].long_name == "load"
    assert [deck.parameters["speed"] for deck in made.decks] == ["1", "2"]
    assert [deck.parameters["seed"] for deck in made.decks] == ["7.0", "7.0"]
    assert made.measures[0].scale == "log"
    assert made.time_limit == 5.0


def test_a_value_of_the_file_can_be_overridden(folder: Path) -> None:
    made = load(folder, SMALL, overrides={"axes.rval.points": 7, "parameters.cval": 2e-12})
    assert made.shape == (7,)
    assert made.decks[0].parameters["cval"] == "2e-12"
    with pytest.raises(DefinitionError, match=r"unknown key axes\.rval\.pionts\. Did you mean points\?"):
        load(folder, SMALL, overrides={"axes.rval.pionts": 7})
    with pytest.raises(DefinitionError, match=r"deck is no section, so deck\.x cannot be set"):
        load(folder, SMALL, overrides={"deck.x": 7})


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("deck", None, r"mine\.toml: deck is missing"),
        ("deck", 3, "deck = 3 should be a text"),
        ("deck", "nothere.cir", "deck names 'nothere.cir', and there is no such file beside mine.toml"),
        ("deck", "pdk", "there is no such file"),
        ("deck", "rc\0.cir", "should be a text of one line"),
        ("axes", None, "axes is missing"),
        ("axes", {}, "axes should be sections"),
        ("axes", 3, "axes should be sections"),
        ("measures", None, "measures is missing"),
        ("measure", {}, r"unknown key measure\. Did you mean measures\?"),
        ("axes.rval", 3, r"axes\.rval should be a section"),
        ("axes.rval.unit", None, r"axes\.rval\.unit is missing"),
        ("axes.rval.unit", 3, r"axes\.rval\.unit = 3 should be a text"),
        ("axes.rval.unit", "a\nb", r"axes\.rval\.unit = 'a\\nb' should be a text of one line"),
        ("axes.rval.stop", None, r"axes\.rval\.stop is missing"),
        ("axes.rval.start", math.nan, r"axis axes\.rval must be finite and strictly increasing"),
        ("axes.rval.stop", math.inf, r"axis axes\.rval must be finite"),
        ("axes.rval.stop", 10**400, "too large"),
        ("axes.rval.stop", 1, "strictly increasing"),
        ("axes.rval.start", True, "needs numbers start and stop"),
        ("axes.rval.points", 0, "points, 1 to 100000"),
        ("axes.rval.points", 2.5, "points, 1 to 100000"),
        ("axes.rval.points", math.inf, "points, 1 to 100000"),
        ("axes.rval.points", 10**30, "points, 1 to 100000"),
        ("axes.rval.spacing", "lgo", "spacing 'lgo'. There are: linear, log"),
        ("axes.rval.values", [1, 2], "has both values and start, stop, points"),
        ("axes.rval", {"unit": "ohm", "values": [1, 1]}, "strictly increasing"),
        ("axes.rval", {"unit": "ohm", "values": []}, "at least one value"),
        ("axes.rval", {"unit": "ohm", "values": [1, "2"]}, "give a list of numbers"),
        ("axes.rval", {"unit": "ohm", "start": 0, "stop": 1, "points": 2, "spacing": "log"}, "0 < start"),
        ("axes.rval", {"unit": "ohm", "values": [0, 1], "scale": "log"}, "does not fit 0 to 1"),
        ("axes.rval.labels", "yes", r"axes\.rval\.labels = 'yes' should be true or false"),
        ("axes.rval.scale", "cubic", r"axes\.rval\.scale = 'cubic' is none of: linear, log"),
        ("axes.rvla", {"unit": "ohm", "values": [1]}, r"no top-level \.param rvla\. Did you mean rval\?"),
        ("axes.RVAL", {"unit": "ohm", "values": [1]}, "the name RVAL is given twice"),
        ("axes.v1ns", {"unit": "ohm", "values": [1]}, "the name v1ns is given twice"),
        ("axes.a b", {"unit": "ohm", "values": [1]}, "a name is made of letters, digits and _"),
        ("measures.v1sn", {"unit": "V"}, r"no \.meas v1sn\. Did you mean v1ns\? It has: v1ns, v2ns"),
        ("measures.v1ns.unit", None, r"measures\.v1ns\.unit is missing"),
        ("measures.v1ns.scale", 1, r"measures\.v1ns\.scale = 1 is none of"),
        ("parameters", 3, "parameters should be a section"),
        ("parameters", {"cval": "2p"}, r"parameters\.cval = '2p' should be a finite number"),
        ("parameters", {"cval": math.nan}, "should be a finite number"),
        ("parameters", {"cvla": 1}, r"parameters\.cvla: .* Did you mean cval\?"),
        ("parameters", {"rval": 1}, "rval is given twice among axes and parameters"),
        ("batch", 0, "batch = 0 should be a whole number"),
        ("batch", True, "batch = True should be a whole number"),
        ("time_limit", 0, "time_limit = 0 should be a positive number"),
        ("time_limit", math.inf, "should be a positive number"),
        ("files", "models.lib", r"files = 'models\.lib' should be a list"),
        ("files", ["nothere"], "files names 'nothere', and there is no such file"),
        ("axes.c", {"library": "models.lib", "values": ["tt", "TT"]}, "names a section twice: tt, tt"),
        ("axes.c", {"library": "models.lib", "values": []}, "should be a list of sections"),
        ("axes.c", {"library": "models.lib", "values": ["zz"]}, "no library section 'zz'. It has: tt, ff"),
        ("axes.c", {"library": "rc.cir", "values": ["tt"]}, r"one line \.lib 'rc\.cir' SECTION"),
        ("axes.c", {"library": "models.lib", "unit": "1", "values": ["tt"]}, r"unknown key axes\.c\.unit"),
        ("axes.speed", {"library": "models.lib", "values": ["tt"]}, r"has a \.param of that name"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told_with_file_and_key(
    folder: Path, place: str, value: Any, words: str
) -> None:
    with pytest.raises(SpicebridgeError, match=words) as told:
        load(folder, changed(SMALL, place, value))
    assert "mine.toml" in str(told.value) or "models.lib" in str(told.value)


def test_a_table_of_too_many_points_or_corners_is_refused(folder: Path) -> None:
    axis = {"unit": "1", "start": 1, "stop": 2, "points": 10_000}
    with pytest.raises(DefinitionError, match="100,000,000 points are more than 10,000,000"):
        load(folder, changed(changed(SMALL, "axes.cval", axis), "axes.rval", axis))
    corners = {"library": "models.lib", "values": [f"s{number}" for number in range(101)]}
    with pytest.raises(DefinitionError, match="101 combinations of sections are more than 100"):
        load(folder, changed(SMALL, "axes.corner", corners))


def test_a_library_that_no_key_names_is_refused_but_with_trust(folder: Path) -> None:
    bare = changed(SMALL, "files", None)
    with pytest.raises(RefusedError, match=r"rc\.cir, line 4: the file models\.lib is refused: .* --trust"):
        load(folder, bare)
    assert load(folder, bare, trust=True).decks == load(folder, SMALL).decks


def test_a_deck_outside_of_its_folder_is_named_without_this_machines_path(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir(exist_ok=True)
    made = load(inner, SMALL | {"deck": "../rc.cir", "files": [str(folder / "models.lib")]})
    assert set(made.netlists) == {"../rc.cir", "models.lib"}


def test_two_axes_choose_from_one_library(tmp_path: Path) -> None:
    (tmp_path / "rc.cir").write_text(
        DECK.replace('.lib "models.lib" tt', '.lib models.lib fast_c\n.lib "models.lib" tt')
    )
    more = ".lib fast_c\n.param kind=1\n.endl\n.lib slow_c\n.param kind=2\n.endl\n"
    (tmp_path / "models.lib").write_text(LIBRARY + more)
    content = changed(SMALL, "axes.mos", {"library": "models.lib", "values": ["tt", "ff"]})
    content = changed(content, "axes.cap", {"library": "models.lib", "values": ["slow_c", "fast_c"]})
    made = load(tmp_path, content)
    found = [(deck.parameters["speed"], deck.parameters["kind"]) for deck in made.decks]
    assert found == [("1", "2"), ("1", "1"), ("2", "2"), ("2", "1")]
    with pytest.raises(DefinitionError, match=r"axes\.both: rc\.cir should have one line .* has 2"):
        load(tmp_path, changed(SMALL, "axes.both", {"library": "models.lib", "values": ["tt", "fast_c"]}))
    with pytest.raises(DefinitionError, match="two axes choose the section of the same"):
        load(tmp_path, changed(content, "axes.again", {"library": "models.lib", "values": ["ff", "tt"]}))


def test_a_temperature_that_ngspice_would_not_take_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rc.cir").write_text(DECK.replace(".tran", ".param t=27\n.temp t\n.tran"))
    (tmp_path / "models.lib").write_text(LIBRARY)
    with pytest.raises(DefinitionError, match=r"takes 27 for the temperature in '\.temp t'"):
        load(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (".param spread={agauss(1k, 100, 3)}", "draws random numbers"),
        ("v2 n 0 trnoise(1m 1n 0 0)", "not even with a seed"),
        (".ac dec 5 1k 1g\n.meas ac peak max v(out)", ".meas lines of ac and tran"),
    ],
)
def test_what_could_not_be_made_again_or_measured_is_refused(tmp_path: Path, lines: str, words: str) -> None:
    (tmp_path / "rc.cir").write_text(DECK.replace("v1 in", f"{lines}\nv1 in"))
    (tmp_path / "models.lib").write_text(LIBRARY)
    with pytest.raises(DefinitionError, match=re.escape(words)):
        load(tmp_path, SMALL)


@pytest.mark.parametrize(
    "lines",
    [
        "a1 in far lm\nr2 far out 1k\n.model lm limit(gain=1 out_lower_limit=-1 out_upper_limit=0.5)",
        ".func limit(x,lo,hi) {min(max(x,lo),hi)}\n.param q={limit(5k,1k,2k)}\nr2 out 0 {q}",
        ".subckt limit (p)\nr1 p 0 1k\n.ends\nx1 (out) limit",
    ],
)
def test_what_only_has_a_random_functions_name_is_swept(
    tmp_path: Path, ngspice_program: str, lines: str
) -> None:
    (tmp_path / "rc.cir").write_text(DECK.replace("v1 in", f"{lines}\nv1 in"))
    (tmp_path / "models.lib").write_text(LIBRARY)
    deck = load(tmp_path, SMALL).decks[0]
    by_hand = bare_measures(ngspice_program, tmp_path / "rc.cir")
    assert set(by_hand) == {"v1ns", "v2ns"}
    assert by_hand["v1ns"] != pytest.approx(1 - math.exp(-1), rel=1e-3)
    assert bare_measures(ngspice_program, deck.keep(tmp_path / "kept")) == by_hand


def test_a_netlist_in_the_place_of_a_definition_is_told_what_to_do(folder: Path) -> None:
    with pytest.raises(DefinitionError, match="is a netlist: name it in a TOML file"):
        load_definition(str(folder / "rc.cir"), size="quick")
    with pytest.raises(DefinitionError, match=r"there is no file .*none\.toml"):
        load_definition(str(folder / "none.toml"), size="quick")


def test_a_pipe_in_the_place_of_a_library_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "rc.cir").write_text(DECK)
    os.mkfifo(tmp_path / "models.lib")
    with pytest.raises(SpicebridgeError, match=r"no such file|it is no file"):
        load(tmp_path, SMALL)


def test_a_definition_of_neither_kind_says_what_both_have(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[axis.r]\nunit = 'ohm'\n")
    with pytest.raises(DefinitionError, match=r"x\.toml: unknown: axis; missing: procedure, sweep\. .* deck"):
        load_definition(str(tmp_path / "x.toml"), size="quick")


# Malformed files

words = st.text(max_size=12) | st.sampled_from(
    [
        "rval",
        "cval",
        "v1ns",
        "tt",
        "ff",
        "log",
        "linear",
        "models.lib",
        "rc.cir",
        "pdk",
        "..",
        "/",
        "",
        "\0",
        "é",
    ]
)
plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, 10**400, -(10**9), 2**63])
    | st.floats()
    | st.dates()
    | words
)
values = st.recursive(
    plain.filter(lambda value: value is not None),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=6,
)


def places(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in nested dictionaries and lists."""
    inner = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in inner:
        yield (*above, key)
        yield from places(value, (*above, key))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good file with a few values, keys or bytes made another."""
    content = deepcopy(draw(st.sampled_from([SMALL, LARGE])))
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from(list(places(content)) or [("deck",)]))
        inner: Any = content
        for key in way[:-1]:
            inner = inner[key]
        act = draw(
            st.sampled_from(["replace", "remove", "rename"] if isinstance(inner, dict) else ["replace"])
        )
        if act == "replace":
            inner[way[-1]] = draw(values)
        elif way[-1] in inner:
            value = inner.pop(way[-1])
            if act == "rename":
                inner[draw(words)] = value
    written = text_of(content).encode("utf-8", errors="surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 4]))):
        at = draw(st.integers(0, len(written)))
        written = written[:at] + draw(st.binary(max_size=3)) + written[at + draw(st.integers(0, 3)) :]
    return written


@given(content=mutated())
@example(content=b"deck = " + b"[" * 5000)
@example(content=b"deck = 1" + b"0" * 5000)
@example(content=text_of(SMALL | {"deck": "x" * 5000}).encode())
@example(content=b"\xff\xfe")
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_malformed_file_is_refused_plainly_or_makes_sense(folder: Path, content: bytes) -> None:
    path = folder / "mutated.toml"
    path.write_bytes(content)
    with suppress(SpicebridgeError):
        made = load_definition(str(path), size="quick")
        assert isinstance(made, NetlistDefinition)
        assert makes_sense(made)


def makes_sense(made: NetlistDefinition) -> bool:
    """Whether a definition could be swept as it stands."""
    return all(
        (
            0 < math.prod(made.shape) <= 10_000_000,
            len({name.lower() for each in (made.axes, made.measures) for name in [one.name for one in each]})
            == len(made.axes) + len(made.measures),
            all(len(set(axis.values)) == len(axis.values) for axis in made.axes),
            all(np.all(np.isfinite(axis.values)) for axis in made.axes if axis.library is None),
            all(isinstance(each, str) for axis in made.axes if axis.library for each in axis.values),
            len(made.decks) == math.prod(len(axis.values) for axis in made.axes if axis.library is not None),
            {measure.name.lower() for measure in made.measures} <= set(made.decks[0].measures),
            {axis.name.lower() for axis in made.axes if axis.library is None}
            <= set(made.decks[0].parameters),
            all(each.unit.isprintable() and each.long_name for each in (*made.axes, *made.measures)),
        )
    )


def test_most_mutations_are_told_and_some_make_sense(folder: Path) -> None:
    """The property above would hold of a loader that refuses everything."""
    assert makes_sense(load(folder, SMALL))
    assert makes_sense(load(folder, LARGE))
