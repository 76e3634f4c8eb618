"""Parameter sets: every device value has a unit and a source, or the set is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spicebridge.errors import SpicebridgeError
from spicebridge.parameters import read_parameter_set
from spicebridge.project import netlists_folder

SETS = sorted((netlists_folder() / "devices").glob("*.lib"))
JUNCTIONS = [path for path in SETS if path.stem.startswith("mtj")]
CARDS = sorted((netlists_folder() / "transistors").glob("*.lib"))
GOOD = "* a set\n.model mtj stt_mtj\n+ alpha=0.01 ; 1 | assumed; published decks use 0.0062 to 0.05\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.lib"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_every_device_parameter_has_a_unit_and_a_source(path: Path) -> None:
    values = read_parameter_set(path)
    assert len(values) >= 5
    for name, each in values.items():
        assert each.unit, name
        assert each.source.startswith("assumed") or re.search(r"[A-Z]\w+", each.source), name
    assigned = re.findall(r"^\s*\+.*?(\w+)\s*=", path.read_text(), re.MULTILINE)
    assert sorted(values) == sorted(assigned)


@pytest.mark.parametrize("path", JUNCTIONS, ids=lambda path: path.stem)
def test_the_tmr_of_an_mtj_set_is_julliere_s_of_its_polarisation(path: Path) -> None:
    values = read_parameter_set(path)
    pol = values["pol"].value
    assert values["tmr"].value == pytest.approx(2 * pol**2 / (1 - pol**2), rel=1e-3)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_every_transistor_card_names_its_source(path: Path) -> None:
    head = "\n".join(line for line in path.read_text().splitlines() if line.startswith("*"))
    assert re.search(r"^\* Source: .+\(\d{4}\)", head, re.MULTILINE)
    assert re.search(r"^\* Units", head, re.MULTILINE)


def test_a_value_is_read_in_si_units_with_its_unit_and_source(tmp_path: Path) -> None:
    values = read_parameter_set(
        write(tmp_path, GOOD + "+ d = 32n ; m | Ikeda et al., Nat. Mater. 9, 721 (2010)\n")
    )
    assert values["d"].value == pytest.approx(32e-9)
    assert (values["d"].unit, values["d"].source) == ("m", "Ikeda et al., Nat. Mater. 9, 721 (2010)")
    assert (values["alpha"].value, values["alpha"].unit) == (0.01, "1")


@pytest.mark.parametrize(
    "line",
    [
        "+ d=32n",
        "+ d=32n ; m",
        "+ d=32n ; m |",
        "+ d=32n ; | assumed",
        "+ d=32n | assumed",
        "  + d=32n",
        "+ d=1n e=2 ; m | x",
    ],
)
def test_a_value_without_unit_or_source_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(
        SpicebridgeError, match=r"mine\.lib:4: a parameter needs the form '\+ name=value ; unit \| source'"
    ):
        read_parameter_set(write(tmp_path, GOOD + line + "\n"))


def test_a_value_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    for name in ("alpha", "ALPHA"):  # ngspice takes them for one
        with pytest.raises(SpicebridgeError, match=rf"mine\.lib:4: {name} is given twice"):
            read_parameter_set(write(tmp_path, GOOD + f"+ {name}=0.02 ; 1 | assumed\n"))


def test_a_value_on_the_model_line_itself_cannot_escape(tmp_path: Path) -> None:
    with pytest.raises(SpicebridgeError, match=r"mine\.lib:2: a parameter needs the form"):
        read_parameter_set(write(tmp_path, GOOD.replace("stt_mtj\n", "stt_mtj alpha=0.5\n")))


def test_a_missing_or_unreadable_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpicebridgeError, match=r"cannot read parameter set .*none\.lib: No such file"):
        read_parameter_set(tmp_path / "none.lib")
    (tmp_path / "bytes.lib").write_bytes(b"\xff\xfe")
    with pytest.raises(SpicebridgeError, match="not a text file"):
        read_parameter_set(tmp_path / "bytes.lib")
