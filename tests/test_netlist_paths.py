"""Names of files in decks lead where bare ngspice takes them, and no further than the TOML file allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from characterization.definition import load_definition
from characterization.netlist_sweep import NetlistDefinition
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import read_deck
from spicebridge.netlist_paths import PathError
from spicebridge.permission import RefusedError
from tests.bare_ngspice import bare_measures

DIVIDER = """a divider
.param r=1k
.param rl=9k
LINE
v1 in 0 1
r1 in out {r}
r2 out 0 {rl}
.tran 1n 10n
.meas tran g find v(out) at=5n
.end
"""
SWEEP = """deck = "deck/d.cir"
files = FILES
[axes.r]
unit = "ohm"
values = [1000, 2000]
[measures.g]
unit = "V"
"""
SHUNT = """`include "disciplines.vams"
module shunt(p, n);
  inout p, n;
  electrical p, n;
  parameter real r = 1k from (0:inf);
  analog I(p, n) <+ V(p, n) / r;
endmodule
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit of a library and an include, each of a load of 1 kohm, beside the folder of the deck."""
    for name in ("deck", "kit/fast", "home"):
        (tmp_path / name).mkdir(parents=True)
    for place in ("kit", "kit/fast", "home"):
        (tmp_path / place / "m.inc").write_text(".param rl=1k\n")
        (tmp_path / place / "m.lib").write_text(".lib tt\n.param rl=1k\n.endl\n")
    monkeypatch.setenv("KIT", str(tmp_path / "kit"))
    monkeypatch.setenv("NEAR", "../kit")
    monkeypatch.setenv("SPEED", "fast")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NOT_SET", raising=False)
    return tmp_path


def deck(folder: Path, line: str) -> Path:
    path = folder / "deck" / "d.cir"
    path.write_text(DIVIDER.replace("LINE", line))
    return path


def loaded(folder: Path, line: str, files: str = '["kit"]', *, trust: bool = False) -> NetlistDefinition:
    deck(folder, line)
    (folder / "mine.toml").write_text(SWEEP.replace("FILES", files))
    made = load_definition(str(folder / "mine.toml"), size="quick", overrides={}, trust=trust)
    assert isinstance(made, NetlistDefinition)
    return made


@pytest.mark.parametrize(
    "line",
    [
        ".include $KIT/m.inc",
        '.include "$KIT/m.inc"',
        ".INC '$KIT/m.inc' ; a comment",
        ".include\t$KIT/$SPEED/m.inc $ a comment",
        ".include $NEAR/m.inc",
        ".include ~/m.inc",
        '.include "~/m.inc"',
        ".lib $KIT/m.lib tt",
        '.lib "$KIT/$SPEED/m.lib" TT $ a comment',
        ".lib ~/m.lib tt",
    ],
)
def test_variables_and_the_home_folder_lead_where_ngspice_goes(
    folder: Path, line: str, ngspice_program: str
) -> None:
    path = deck(folder, line)
    assert bare_measures(ngspice_program, path)["g"] == pytest.approx(0.5)
    read = read_deck(path)
    assert ".param rl=1k" in read.lines
    assert read.digest == read_deck(deck(folder, ".param rl=1k")).digest


@pytest.mark.parametrize("name", ["${KIT}/m.inc", "$KIT$SPEED/m.inc", "$NOT_SET/m.inc", "$/m.inc"])
def test_what_ngspice_takes_for_no_variable_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(PathError, match=r"d\.cir, line 4: .*(is not set. Set it|ngspice does not take)"):
        read_deck(deck(folder, f".include {name}"))


@pytest.mark.parametrize("name", ["../$NEAR/m.inc", "$KIT/~/m.inc", "$KIT/a$SPEED/m.inc", "~none/m.inc"])
def test_a_variable_counts_at_the_beginning_and_as_a_whole_part_only(folder: Path, name: str) -> None:
    with pytest.raises(SpicebridgeError, match="cannot read netlist"):
        read_deck(deck(folder, f".include {name}"))


def test_the_files_of_a_toml_file_may_be_named_by_variables(folder: Path) -> None:
    made = loaded(folder, '.lib "$KIT/m.lib" tt', '["$KIT"]')
    assert "$KIT/m.lib" in made.netlists
    told = repr(made.netlists) + "".join(each.text for each in made.decks)
    assert str(folder) not in told
    assert loaded(folder, '.lib "$KIT/m.lib" tt').decks[0].digest == made.decks[0].digest


def test_an_axis_chooses_the_section_of_a_library_behind_a_variable(folder: Path) -> None:
    (folder / "kit" / "m.lib").write_text(".lib tt\n.param rl=1k\n.endl\n.lib ff\n.param rl=2k\n.endl\n")
    deck(folder, ".lib $KIT/m.lib tt")
    corner = '[axes.corner]\nlibrary = "$KIT/m.lib"\nvalues = ["tt", "ff"]\n'
    (folder / "mine.toml").write_text(SWEEP.replace("FILES", "[]").replace("[axes.r]", f"{corner}[axes.r]"))
    made = load_definition(str(folder / "mine.toml"), size="quick", overrides={})
    assert isinstance(made, NetlistDefinition)
    assert [f".param rl={each}" in made.decks[at].lines for at, each in enumerate(("1k", "2k"))] == [True] * 2


@pytest.mark.parametrize(
    ("places", "sourcepath"),
    [
        (("deck", "deck/inc", "sp"), "( ../sp )"),
        (("deck/inc", "sp"), "( ../sp )"),
        (("deck/inc", "sp"), '( "../sp" /nowhere )'),
        (("deck/inc", "sp"), "../sp"),  # no list: ngspice looks nowhere else
        (("deck/inc", "sp"), "( ../sp )\nset sourcepath = ( /nowhere )"),
        (("deck/inc", "sp"), "( ../sp )\nset sourcepath = ( $sourcepath /nowhere )"),
        (("deck/inc", "home/sp"), "( ~/sp )"),
        (("deck/inc",), ""),
        (("deck", "deck/inc"), ""),
        (("deck",), ""),
    ],
)
def test_an_included_file_is_looked_for_where_ngspice_looks(
    folder: Path, places: tuple[str, ...], sourcepath: str, ngspice_program: str
) -> None:
    path = deck(folder, ".include inc/top.inc")
    for name in ("deck/inc", "sp", "home/sp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "deck/inc/top.inc").write_text(".include part.inc\n")
    loads = {"deck": 1, "deck/inc": 2, "sp": 3, "home/sp": 4}
    for place in places:
        (folder / place / "part.inc").write_text(f".param rl={loads[place]}k\n")
    if sourcepath:
        (folder / "deck" / ".spiceinit").write_text(f"set sourcepath = {sourcepath}\n")
    right = bare_measures(ngspice_program, path)["g"]
    files = '["deck", "sp", "home/sp"]'
    read = loaded(folder, ".include inc/top.inc", files).decks[0]
    last = [line for line in read.lines if line.startswith(".param rl=")][-1]
    load = float(last.removeprefix(".param rl=").removesuffix("k"))
    assert load / (1 + load) == pytest.approx(right, rel=1e-5)


def test_what_lies_outside_is_refused_with_where_it_lies_and_what_to_write(folder: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        loaded(folder, ".include $KIT/m.inc", "[]")
    message = str(caught.value)
    assert message.startswith("d.cir, line 4: the file m.inc is refused: it lies at ")
    assert str(folder / "kit" / "m.inc") in message
    assert 'files = ["kit/m.inc"]' in message
    assert ".param rl=1k" in loaded(folder, ".include $KIT/m.inc", '["kit/m.inc"]').decks[0].lines
    with pytest.raises(RefusedError, match=r"would lie at .*none\.inc, where there is none"):
        loaded(folder, ".include $KIT/../none.inc")
    (folder / "deck" / "link.inc").symlink_to(folder / "kit" / "m.inc")
    with pytest.raises(RefusedError, match=r"link\.inc \(it leads to m\.inc\) is refused"):
        loaded(folder, ".include link.inc", "[]")
    # A file beside the deck is the one that ngspice takes, so another of its name does not stand in for it.
    (folder / "deck" / "m.inc").write_text(".param rl=2k\n")
    (folder / "kit" / "top.inc").write_text(".include m.inc\n")
    with pytest.raises(RefusedError, match=r"m\.inc is refused: it lies at .*deck/m\.inc"):
        loaded(folder, ".include $KIT/top.inc")


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("loads", ["", ".control\npre_osdi shunt.osdi\n.endc\n"])
def test_a_verilog_a_source_in_a_folder_of_files_is_found(folder: Path, loads: str) -> None:
    (folder / "kit" / "fast" / "shunt.va").write_text(SHUNT)
    line = f"{loads}n1 out 0 leak\n.model leak shunt r=1k"
    for trust in (False, True):
        (model,) = loaded(folder, line, trust=trust).decks[0].models
        assert model.module == "shunt"
    (folder / "kit" / "other.va").write_text(SHUNT.replace("1k from", "2k from"))
    if not loads:
        with pytest.raises(PathError, match=r"module shunt is defined in .* and in .*Name the one"):
            loaded(folder, line)
        assert len(loaded(folder, line, '["kit", "kit/other.va"]').decks[0].models) == 1
