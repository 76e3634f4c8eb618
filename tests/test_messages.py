"""Messages stay short whatever a kit holds, and the commands they advise do what they say."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

import pytest

from spicebridge.deck import Deck, DeckError
from spicebridge.netlist import make_deck
from spicebridge.settings import listed, shortened
from tests.test_foreign_sweeps import refusal

MANY = 332


def lines_of(error: object) -> int:
    """The lines that a message takes on a terminal of 80 columns."""
    return sum(len(textwrap.wrap(line, 80)) or 1 for line in str(error).splitlines())


def test_long_lists_are_cut_with_their_number() -> None:
    assert listed([]) == "none"
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(5)), most=3) == "0, 1, 2 and 2 more"
    assert shortened("x" * 300) == "x" * 200 + "..."


def test_a_library_of_hundreds_of_sections_is_not_listed_whole(tmp_path: Path) -> None:
    text = "".join(f".lib corner_of_process_{at:03}\n.endl\n" for at in range(MANY))
    (tmp_path / "m.lib").write_text(text)
    with pytest.raises(DeckError, match=r"no library section 'tt'.* and 312 more") as caught:
        make_deck(".lib m.lib tt\n.op", folder=tmp_path, name="x")
    assert lines_of(caught.value) < 40


def test_hundreds_of_parameters_and_long_lines_are_not_told_whole(tmp_path: Path) -> None:
    many = "\n".join(f".param parameter_of_process_{at:03}={{{at}+{'1+' * 50}1}}" for at in range(MANY))
    deck = make_deck(f"{many}\nr1 a 0 1k\n.op", folder=tmp_path, name="x")
    with pytest.raises(DeckError, match="and 312 more") as caught:
        deck.with_parameters(nosuch=1.0)
    assert lines_of(caught.value) < 40
    long = " ".join(f"p{at}=1" for at in range(2000))
    with pytest.raises(DeckError, match=r"\.\.\.'") as unclear:
        make_deck(f".param a=1 + 2 {long}\nr1 a 0 1k\n.op", folder=tmp_path, name="x").with_parameters(a=1.0)
    assert lines_of(unclear.value) < 40


def test_a_failed_simulation_of_hundreds_of_parameters_is_told_shortly(tmp_path: Path) -> None:
    from spicebridge.bare import BareEngine
    from spicebridge.simulator import whole
    from spicebridge.sweep import Unit

    many = "\n".join(f".param parameter_of_process_{at:03}={at}" for at in range(MANY))
    deck = make_deck(f"{many}\nv1 a 0 1\nx1 a nosuch\n.tran 1n 9n", folder=tmp_path, name="x")
    (outcome,) = BareEngine(folder=tmp_path, workers=1).run([Unit(deck, whole, {})])
    assert outcome.failure is not None
    assert "and 312 more" in outcome.failure.message
    assert lines_of(outcome.failure.message) < 40


def test_a_list_of_hundreds_of_another_simulators_values_is_cut(tmp_path: Path) -> None:
    values = " ".join(str(1000 + at) for at in range(MANY))
    message = refusal(tmp_path, f".step param r list {values}")
    assert "and 232 more" in message
    assert lines_of(message) < 40


@pytest.mark.parametrize(
    ("lines", "raw"),
    [
        (".tran 1n 9n", True),
        (".tran 1n 9n\n.save v(a)", True),
        (".dc v1 0 1 0.5", True),
        (".ac dec 2 1 1k", True),
        (".tran 1n 9n\n.meas tran g find v(a) at=5n", False),
        (".tran 1n 9n\n.print tran v(a)", False),
        (".op", False),
        (".tf v(a) v1", False),
    ],
)
def test_the_command_of_a_replay_simulates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, raw: bool, ngspice_program: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SPICE_USERINIT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    deck = Deck(f"v1 a 0 1\nr1 a 0 1k\n{lines}")
    path = deck.keep(tmp_path)
    command = deck.replay_command(path)
    assert command == " ".join(
        ["ngspice -b", *(["-r", str(path.with_suffix(".raw"))] if raw else []), str(path)]
    )
    run = subprocess.run(
        [ngspice_program, *command.split()[1:]], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0
    assert "no simulations run" not in run.stdout + run.stderr
    assert path.with_suffix(".raw").is_file() == raw
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".spiceinit").write_text("set ngbehavior=hsa\n")
    assert deck.replay_command(path) == command.replace("ngspice -b", "ngspice -n -b")
