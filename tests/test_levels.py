"""Measures at another measure's result, against closed forms and by every route that simulates."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest

from spicebridge.bare import BareEngine
from spicebridge.batch import BatchError, batched
from spicebridge.deck import Deck
from spicebridge.kept_decks import kept_deck
from spicebridge.levels import LevelError, levels_of
from spicebridge.netlist import read_netlist
from spicebridge.permission import outside
from spicebridge.simulator import Waveforms, in_this_process
from spicebridge.sweep import Unit
from spicebridge.table import load_table
from tests.command_line import done

R, C = 1e3, 1e-9
LOW_PASS = """low pass
.param r=1k drop=3
v1 in 0 dc 0 ac 1
r1 in out {r}
c1 out 0 1n
.ac dec 200 1 100meg
.meas ac peak max vdb(out)
"""
DECAY = """decay
.param r=1k
c1 out 0 1n ic=1
r1 out 0 {r}
.tran 1n 6u uic
.meas tran top max v(out)
"""


def measured(text: str, tmp_path: Path) -> dict[str, float]:
    """The measures of a deck from outside, by the library."""
    return dict(in_this_process().run(read(text, tmp_path)).measures)


def read(text: str, tmp_path: Path) -> Deck:
    path = tmp_path / "own.cir"
    path.write_text(f"{text}.end\n")
    return read_netlist(path, permission=outside([path])).deck


@pytest.mark.parametrize(
    "level",
    ["peak-3", "'peak-3'", "{peak - 3}", "'peak-drop'", "'(2*peak-6)/2'", "'peak-abs(-3)'", "'-3+peak'"],
)
def test_a_level_is_an_expression_with_another_measures_result(level: str, tmp_path: Path) -> None:
    got = measured(f"{LOW_PASS}.meas ac f3 when vdb(out)={level} fall=last\n", tmp_path)
    assert got["f3"] == pytest.approx(math.sqrt(10**0.3 - 1) / (2 * math.pi * R * C), rel=2e-4)


def test_windows_edges_and_points_are_at_other_measures_times(tmp_path: Path) -> None:
    got = measured(
        DECAY
        + ".meas tran half when v(out)='top/2' fall=1\n"
        + ".meas tran quarter when v(out)='top/4' td=half fall=1\n"
        + ".meas tran charge integ @r1[i] from=half to='half+1u'\n"
        + ".meas tran energy integ par('v(out)*v(out)/1k') from=half to=quarter\n"
        + ".meas tran later find v(out) at='half+quarter'\n"
        + ".meas tran between trig at=half targ v(out) val='top/8' fall=1\n"
        + ".meas tran ratio param='quarter/half'\n",
        tmp_path,
    )
    tau, ln2 = R * C, math.log(2)
    assert got["half"] == pytest.approx(tau * ln2, rel=1e-3)
    assert got["quarter"] == pytest.approx(2 * tau * ln2, rel=1e-3)
    assert got["charge"] == pytest.approx(0.5 / R * tau * (1 - math.exp(-1)), rel=1e-3)
    assert got["energy"] == pytest.approx(tau / (2 * R) * (1 / 4 - 1 / 16), rel=2e-3)
    assert got["later"] == pytest.approx(1 / 8, rel=2e-3)
    assert got["between"] == pytest.approx(2 * tau * ln2, rel=2e-3)
    assert got["ratio"] == pytest.approx(2, rel=2e-3)


def test_lines_may_stand_in_any_order_and_case(tmp_path: Path) -> None:
    text = LOW_PASS.replace(".meas", ".MEAS AC F3 WHEN VDB(out)='PEAK-Drop' FALL=LAST\n.meas")
    assert measured(text, tmp_path)["f3"] == pytest.approx(1.5878e5, rel=1e-3)


def test_a_parameter_of_that_name_comes_before_the_measure(tmp_path: Path) -> None:
    text = LOW_PASS.replace("drop=3", "drop=3 peak=10") + ".meas ac f when vdb(out)=peak fall=1\n"
    assert read(text, tmp_path).levels is None


def test_what_has_no_value_costs_itself_and_what_stands_on_it(tmp_path: Path) -> None:
    got = measured(
        DECAY
        + ".meas tran never when v(out)='top*2'\n"
        + ".meas tran after find v(out) at='never+1u'\n"
        + ".meas tran gone max v(nowhere)\n"
        + ".meas tran on_gone when v(out)='gone/2'\n"
        + ".meas tran half when v(out)='top/2'\n",
        tmp_path,
    )
    assert all(math.isnan(got[name]) for name in ("never", "after", "gone", "on_gone"))
    assert got["half"] == pytest.approx(R * C * math.log(2), rel=1e-3)


def test_a_process_that_goes_on_keeps_nothing_of_the_deck_before(tmp_path: Path) -> None:
    first = measured(f"{LOW_PASS}.meas ac f3 when vdb(out)='peak-drop' fall=last\n", tmp_path)
    wider = LOW_PASS.replace("drop=3", "drop=6")
    second = measured(f"{wider}.meas ac f3 when vdb(out)='peak-drop' fall=last\n", tmp_path)
    assert second["f3"] / first["f3"] == pytest.approx(math.sqrt((10**0.6 - 1) / (10**0.3 - 1)), rel=5e-4)


def test_no_waveform_bears_a_name_of_the_commands(tmp_path: Path) -> None:
    recorded = in_this_process().run(read(f"{DECAY}.meas tran half when v(out)='top/2'\n", tmp_path))
    assert sorted(recorded.vectors) == ["out", "time"]


def test_a_kept_deck_gives_the_values_to_the_bare_program_and_is_read_back(tmp_path: Path) -> None:
    deck = read(f"{DECAY}.meas tran half when v(out)='top/2'\n.MEAS tran d param='half/2'\n", tmp_path)
    path = deck.keep(tmp_path)
    ran = subprocess.run(
        deck.replay_command(path).split(), capture_output=True, text=True, check=True, cwd=tmp_path
    )
    printed = dict(line.split()[::2][:2] for line in ran.stdout.splitlines() if line.startswith("measured_"))
    own = in_this_process().run(deck).measures
    assert float(printed["measured_half"]) == pytest.approx(own["half"], rel=1e-6)
    assert float(printed["measured_d"]) == pytest.approx(own["d"], rel=1e-6)
    assert kept_deck(path, deck.digest, name="own") == deck


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (".meas tran b when v(out)='top;shell'", "may hold"),
        (".meas tran b when v(out)='top*$x'", "may hold"),
        (".meas tran b when v(out)='top>1'", "may hold"),
        (".meas tran b when v(out)='top*`x`'", "may hold"),
        (".meas tran b when v(out)='top*pow(2,1)'", "pow(...)"),
        (".meas tran b when v(out)='top*other'", "other, which is no top-level .param"),
        (".meas tran b find par('top*@r1[i]') at=top shell", "'shell' was never tried"),
        (".meas tran b when v(out)='b/2'", "stand on each other: b -> b"),
        (".meas tran b when v(out)='c/2'\n.meas tran c when v(out)='b/2'", "b -> c -> b"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(line: str, words: str) -> None:
    with pytest.raises(LevelError) as caught:
        levels_of(f"{DECAY}{line}".splitlines(), {"r"})
    assert words in str(caught.value)


def test_a_node_named_as_a_result_is_kept_is_refused(tmp_path: Path) -> None:
    text = DECAY.replace("r1 out 0", "r2 out measured_top 1k\nr1 out 0")
    with pytest.raises(LevelError, match="begins with measured_"):
        measured(f"{text}.meas tran half when v(out)='top/2'\n", tmp_path)


def test_copies_of_a_batch_do_not_take_it(tmp_path: Path) -> None:
    deck = read(f"{DECAY}.meas tran half when v(out)='top/2'\n", tmp_path)
    with pytest.raises(BatchError, match="names another measure's result"):
        batched(deck, [{"r": 1e3}, {"r": 2e3}])


def test_a_sweep_has_it_as_a_measure_and_is_verified(results: Path, tmp_path: Path) -> None:
    (tmp_path / "own.cir").write_text(f"{LOW_PASS}.meas ac f3 when vdb(out)='peak-drop' fall=last\n.end\n")
    (tmp_path / "own.toml").write_text(
        'deck = "own.cir"\n[axes.r]\nunit = "ohm"\nvalues = [500, 1000, 2000]\n'
        '[axes.drop]\nunit = "dB"\nvalues = [3, 6]\n[measures.f3]\nunit = "Hz"\n'
    )
    done("characterize", str(tmp_path / "own.toml"))
    table = load_table(results / "tables" / "own.h5").data["f3"]
    for r in (500, 1000, 2000):
        for drop in (3, 6):
            expected = math.sqrt(10 ** (drop / 10) - 1) / (2 * math.pi * r * C)
            assert float(table.sel({"r": r, "drop": drop})) == pytest.approx(expected, rel=2e-4)
    assert "6 of 6" in done("verify", "own").out


def test_a_devices_current_is_kept_for_measures_without_a_save_line(tmp_path: Path) -> None:
    got = measured(f"{DECAY}.meas tran charge integ @r1[i] from=0 to=6u\n", tmp_path)
    assert got["charge"] == pytest.approx(C * (1 - math.exp(-6)), rel=2e-3)


def test_a_replay_keeps_what_a_measure_in_decibels_reads(tmp_path: Path) -> None:
    path = read(LOW_PASS, tmp_path).keep(tmp_path)
    ran = subprocess.run(["ngspice", "-n", "-b", str(path)], capture_output=True, text=True, cwd=tmp_path)
    peak = next(line.split()[2] for line in ran.stdout.splitlines() if line.startswith("peak"))
    assert float(peak) == pytest.approx(0, abs=1e-3)


def test_a_deck_that_measures_devices_only_runs_by_the_bare_program(tmp_path: Path) -> None:
    """ngspice -b says of such a deck that there is nothing to simulate."""
    text = "transistor\nvd d 0 1\nvg g 0 pulse(0 1 1n 1n 1n 1u 2u)\nm1 d g 0 0 n w=1u l=1u\n"
    text += ".model n nmos level=1 vto=0.4 kp=1e-4\n.tran 1n 3u\n.meas tran most max @m1[id]\n"
    deck = read(text, tmp_path)
    assert dict(in_this_process().run(deck).measures)["most"] == pytest.approx(0.5e-4 * 0.6**2, rel=1e-6)
    command = deck.replay_command(deck.keep(tmp_path)).split()
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    most = next(line.split()[2] for line in ran.stdout.splitlines() if line.startswith("most"))
    assert float(most) == pytest.approx(0.5e-4 * 0.6**2, rel=1e-5)
    assert BareEngine(tmp_path, 1).run([Unit(deck, whole_measures, {})])[0].values == {
        "most": pytest.approx(0.5e-4 * 0.6**2, rel=1e-6)
    }


def whole_measures(recorded: Waveforms) -> dict[str, float]:
    return dict(recorded.measures)


def test_a_measure_named_like_a_prefix_or_an_exponent_is_not_named_by_numbers(tmp_path: Path) -> None:
    got = measured(
        DECAY
        + ".meas tran e integ v(out) from=0 to=1e-6\n.meas tran u find v(out) at=1u\n"
        + ".meas tran n avg v(out) from=10n to=200n\n",
        tmp_path,
    )
    assert got["u"] == pytest.approx(math.exp(-1), rel=1e-3)
    assert got["e"] == pytest.approx(1e-6 * (1 - math.exp(-1)), rel=1e-2)
