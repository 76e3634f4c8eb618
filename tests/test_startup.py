"""Start-up files and compatibility modes: what they decide stands in the deck, for it alone."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from characterization.definition import DefinitionError, load_definition
from characterization.replay import replay
from characterization.run import make_table
from characterization.verify import plan, verify
from spicebridge.bare import BareEngine
from spicebridge.deck import Deck, DeckError
from spicebridge.kept_decks import kept_command, kept_deck
from spicebridge.netlist import read_deck
from spicebridge.simulator import whole
from spicebridge.startup import StartupError, check_compat
from spicebridge.sweep import Engine
from spicebridge.workers import Pool, Task

# Two bins of one transistor: HSPICE's rule goes by the width of a finger, ngspice's own by the whole width.
BINNED = """two bins
.param fingers=2
m1 d g 0 0 nch w=8u l=1u nf={fingers}
vd d 0 1
vg g 0 1.2
.model nch.1 nmos (level=54 version=4.7 lmin=0.1u lmax=20u wmin=0.1u wmax=5u vth0=0.3)
.model nch.2 nmos (level=54 version=4.7 lmin=0.1u lmax=20u wmin=5u wmax=100u vth0=0.7)
.tran 1n 10n
.meas tran id find i(vd) at=5n
.end
"""
SWEEP = """deck = "d.cir"
[axes.fingers]
unit = "1"
values = [2, 4]
[measures.id]
unit = "A"
"""
WITH, WITHOUT = [-1.065756e-3, -1.033965e-3], [-3.196502e-4, -3.017612e-4]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "d.cir").write_text(BINNED)
    (tmp_path / "binned.toml").write_text(SWEEP)
    return tmp_path


def engine(folder: Path) -> Engine:
    return Engine(store=folder / "points.sqlite", workers=1, version="ngspice-46")


def test_a_sweep_has_the_values_of_its_mode_which_verify_and_replay_share(
    folder: Path, ngspice_program: str
) -> None:
    path = str(folder / "binned.toml")
    plain = make_table(load_definition(path, size="quick"), engine(folder))
    table = make_table(load_definition(path, size="quick", overrides={"compat": "hsa"}), engine(folder))
    assert plain.data["id"].values == pytest.approx(WITHOUT, rel=1e-3)
    assert table.data["id"].values == pytest.approx(WITH, rel=1e-5)
    assert table.digest != plain.digest
    (folder / "home" / ".spiceinit").write_text("set ngbehavior=hsa\n")
    for each in (plain, table):
        checked = verify(plan(each, entries=2, seed=1), engine=BareEngine(folder=folder / "v", workers=1))
        assert checked.ok
        again = replay(each, workers=1, version="ngspice-46", progress=lambda *_: None)
        assert again["same"]
    command = kept_command(checked.decks[0])
    assert command == f"ngspice -n -D ngbehavior=hsa -b {checked.decks[0]}"
    said = subprocess.run(
        [ngspice_program, *command.split()[1:]], capture_output=True, text=True, check=False
    ).stdout
    assert "Compatibility modes selected: hs a" in said


def test_a_mode_holds_for_its_deck_only_in_one_worker(folder: Path) -> None:
    decks = [read_deck(folder / "d.cir", compat=mode) for mode in ("", "hsa", "", "ps", "")]
    with Pool(workers=1) as pool:
        answers = dict(pool.run([Task(deck, whole) for deck in decks]))
    values = [answers[at].value.measures["id"] for at in range(5)]
    assert values == pytest.approx([WITHOUT[0], WITH[0], WITHOUT[0], WITHOUT[0], WITHOUT[0]], rel=1e-4)


def test_a_kept_deck_keeps_its_mode_and_one_without_keeps_its_digest(folder: Path) -> None:
    deck = read_deck(folder / "d.cir", compat="hsa")
    assert kept_deck(deck.keep(folder), deck.digest, name="d") == deck
    plain = Deck("r1 a 0 1")
    assert plain.digest == hashlib.sha256(b"r1 a 0 1").hexdigest()
    assert "ngbehavior" not in plain.replayable()


@pytest.mark.parametrize("place", [".", "home"])
@pytest.mark.parametrize(
    "content",
    [
        "set ngbehavior=hsa",
        "* of a PDK\nset x=1 ngbehavior = hsa",
        'if 1\n set NGBEHAVIOR="hsa"\nend',
        "set num_threads=2; set ngbehavior=hsa",
        "alias s set\ns ngbehavior=hsa",
    ],
)
def test_a_start_up_file_that_sets_a_mode_is_refused_with_the_line_to_add(
    folder: Path, place: str, content: str
) -> None:
    (folder / place / ".spiceinit").write_text(content + "\n")
    with pytest.raises(StartupError, match=r'Add this to binned.toml: compat = "hsa"'):
        load_definition(str(folder / "binned.toml"), size="quick")
    for mode in ("hsa", "none"):
        load_definition(str(folder / "binned.toml"), size="quick", overrides={"compat": mode})


def test_an_option_is_refused_unless_the_deck_sets_it_and_the_rest_is_a_note(folder: Path) -> None:
    (folder / "spice.rc").write_text("option temp=50\nset num_threads=2\n#set ngbehavior=hsa\n")
    with pytest.raises(StartupError, match=r"Add this to the deck: \.options temp=50"):
        load_definition(str(folder / "binned.toml"), size="quick")
    (folder / "d.cir").write_text(BINNED.replace(".tran", ".options temp=27\n.tran"))
    (note,) = load_definition(str(folder / "binned.toml"), size="quick").notes  # type: ignore[union-attr]
    assert "set num_threads=2" in note


@pytest.mark.parametrize("mode", ["Hsa", "hspice", "", 3, True, "hsa; shell ls"])
def test_what_is_no_mode_is_refused(mode: object) -> None:
    with pytest.raises(StartupError, match="is no mode of ngspice's"):
        check_compat(mode)


def test_a_mode_that_translates_included_files_only_is_refused_for_a_deck_that_has_some(folder: Path) -> None:
    (folder / "part.inc").write_text("b1 b 0 v=uplim(v(a),0.5,0.01)\n")
    (folder / "lt.cir").write_text(
        "t\nv1 a 0 1\n.include part.inc\nr1 b 0 1k\n.tran 1n 10n\n.meas tran v find v(b) at=5n\n.end\n"
    )
    with pytest.raises(DeckError, match="Choose lta"):
        read_deck(folder / "lt.cir", compat="lt")
    with Pool(workers=1) as pool:
        ((_, answer),) = pool.run([Task(read_deck(folder / "lt.cir", compat="lta"), whole)])
    assert answer.value.measures["v"] == pytest.approx(0.5)


def test_a_mode_of_no_kind_in_a_toml_file_is_one_sentence(folder: Path) -> None:
    with pytest.raises((DefinitionError, StartupError), match="no mode of ngspice"):
        load_definition(str(folder / "binned.toml"), size="quick", overrides={"compat": "foo"})
