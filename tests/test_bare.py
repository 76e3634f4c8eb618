"""The bare route: the ngspice program gives what libngspice gives, and its failures are told plainly."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spicebridge import bare
from spicebridge.bare import (
    BareEngine,
    find_ngspice_program,
    keep_for_program,
    program_version,
    read_raw,
)
from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import make_deck, read_deck
from spicebridge.permission import TRUSTED
from spicebridge.project import netlists_folder
from spicebridge.simulator import SimulationError, Waveforms, whole
from spicebridge.sweep import Engine, Outcome, Unit
from spicebridge.workers import simulate

pytestmark = pytest.mark.usefixtures("results")

CIRCUIT = "v1 in 0 dc 1 ac 1 pulse(0 1 0 1f 1f 1)\nr1 in out 1k\nc1 out 0 1p\n"
RC = f"{CIRCUIT}.tran 1p 5n 0 5p\n"
ENDLESS = f"{CIRCUIT}.tran 1f 1u 0 1f\n"


def deck(text: str, name: str = "mine") -> Deck:
    return make_deck(text, folder=netlists_folder(), name=name)


def final_voltage(recorded: Waveforms, *, scale: float) -> dict[str, Any]:
    return {"v": np.array([scale * recorded["out"][-1]])}


def unit(r: float, *, more: str = "", text: str = RC) -> Unit:
    return Unit(deck(text.replace("1k", f"{r!r}") + more), final_voltage, {"scale": 2.0})


def by_program(deck: Deck, *, folder: Path, time_limit: float = 600.0) -> Waveforms:
    """What the bare engine gives of one deck; what it says of a failure is raised."""
    engine = BareEngine(folder=folder, workers=1, time_limit=time_limit)
    (outcome,) = engine.run([Unit(deck, whole, {})])
    if failed := outcome.failure:
        if failed.log is None:
            raise SpicebridgeError(failed.message)
        raise SimulationError(failed.message, deck=deck, log=failed.log.read_text())
    assert isinstance(outcome.values, Waveforms)
    return outcome.values


def failure(text: str, folder: Path, *, time_limit: float = 60.0) -> SimulationError:
    with pytest.raises(SimulationError) as caught:
        by_program(deck(text), folder=folder, time_limit=time_limit)
    return caught.value


def install(script: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a shell script the ngspice program."""
    program = root / ".local" / "usr" / "bin" / "ngspice"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(bare, "_CHECKOUT", root)


def agree(one: Waveforms, other: Waveforms, *, tolerance: float = 1e-9) -> None:
    """Every waveform of two routes is equal within the tolerance, relative to its largest value."""
    assert one.analysis == other.analysis
    assert set(one.vectors) == set(other.vectors)
    for name, values in one.vectors.items():
        largest = np.abs(values).max()
        assert other[name].shape == values.shape, name
        assert np.abs(other[name] - values).max() <= tolerance * largest, name


# Waveforms and measures


def test_an_rc_circuit_charges_as_the_formula_says_by_both_routes(tmp_path: Path) -> None:
    measured = deck(RC + ".meas tran t_half when v(out)=0.5\n.meas tran v_max max v(out)")
    routes = by_program(measured, folder=tmp_path), simulate(measured)
    for recorded in routes:
        assert recorded.analysis == "tran"
        assert recorded["time"][-1] == pytest.approx(5e-9, abs=0.0)
        assert recorded["out"] == pytest.approx(1 - np.exp(-recorded["time"] / 1e-9), abs=2e-4)
        assert recorded.measures["t_half"] == pytest.approx(np.log(2) * 1e-9, rel=1e-4, abs=0.0)
        assert recorded.measures["v_max"] == pytest.approx(1 - np.exp(-5), rel=1e-4, abs=0.0)
    agree(*routes)
    assert routes[0].measures == pytest.approx(routes[1].measures, rel=1e-11, abs=0.0)
    assert routes[0].engine == routes[1].engine


ANALYSES = {
    "tran": RC,
    "interpolated tran": f"{CIRCUIT}.op\n.tran 10p 5n\n.options interp",
    "dc": f"{CIRCUIT}.dc v1 0 1 0.25",
    "dc of a current": "i1 0 a 1\nr1 a 0 1k\nd1 a 0 dd\n.model dd d\n.save all @d1[id]\n.dc i1 0 1m 0.25m",
    "ac": f"{CIRCUIT}.ac dec 10 1meg 10g",
    "op": f"{CIRCUIT}.op",
    "noise": f"{CIRCUIT}.noise v(out) v1 dec 2 1k 1meg",
    "several": f"{CIRCUIT}.op\n.ac dec 5 1k 1g\n.tran 10p 5n",
    "subcircuit": ".subckt part a b\nv1 a m 0\nr1 m b 1k\n.ends\nv1 in 0 1\nx1 in 0 part\n.op",
    "verilog-a": ".control\npre_osdi devices/stt_mtj.osdi\n.endc\n.model mtj stt_mtj\ni1 0 a 1u\n"
    "n1 a 0 mtj mz0=1\n.tran 1p 50p",
}


@pytest.mark.parametrize("name", ANALYSES)
def test_both_routes_give_the_same_waveforms_of_each_analysis(name: str, tmp_path: Path) -> None:
    agree(simulate(deck(ANALYSES[name])), by_program(deck(ANALYSES[name]), folder=tmp_path))


@pytest.mark.parametrize("name", ["mtj_write", "synapse_read"])
def test_both_routes_agree_on_the_projects_own_netlists(name: str, tmp_path: Path) -> None:
    own = read_deck(netlists_folder() / f"{name}.cir")
    library, program = simulate(own), by_program(own, folder=tmp_path)
    agree(library, program)
    assert program.measures == pytest.approx(library.measures, rel=1e-9, abs=0.0, nan_ok=True)
    assert len(program.measures) > 1


def test_a_small_signal_response_is_complex(tmp_path: Path) -> None:
    ac = by_program(deck(ANALYSES["ac"]), folder=tmp_path)
    omega = 2 * np.pi * np.real(ac["frequency"])
    assert ac["out"] == pytest.approx(1 / (1 + 1j * omega * 1e-9), rel=1e-6, abs=0.0)


def test_every_measure_is_read_whatever_its_name_and_one_that_fails_is_nan(tmp_path: Path) -> None:
    measures = (
        ".meas tran never when v(out)=2",
        ".meas tran a_name_of_more_than_twenty_letters find v(out) at=1n",
        ".measure TRAN T_Rise trig v(out) val=0.1 rise=1 targ v(out) val=0.9 rise=1",
        ".meas tran top max v(out)",
        ".meas tran twice param='2*top'",
    )
    recorded = by_program(deck(RC + "\n".join(measures)), folder=tmp_path)
    assert set(recorded.measures) == {
        "never", "a_name_of_more_than_twenty_letters", "t_rise", "top", "twice",
    }  # fmt: skip
    assert np.isnan(recorded.measures["never"])
    assert recorded.measures["a_name_of_more_than_twenty_letters"] == pytest.approx(1 - np.exp(-1), rel=1e-3)
    assert recorded.measures["t_rise"] == pytest.approx(np.log(9) * 1e-9, rel=1e-3, abs=0.0)
    assert recorded.measures["twice"] == pytest.approx(2 * recorded.measures["top"], rel=1e-11)


def test_measures_are_found_beside_other_analyses_and_with_a_save_line(tmp_path: Path) -> None:
    line = ".meas tran tau find v(out) at=1n\n"
    for more in (".op\n.ac dec 5 1k 1g\n", ".save v(out)\n"):
        recorded = by_program(deck(RC + more + line), folder=tmp_path)
        assert recorded.measures["tau"] == pytest.approx(1 - np.exp(-1), rel=1e-3)
    assert "in" not in recorded.vectors


def test_a_node_called_by_a_number_is_found(tmp_path: Path) -> None:
    recorded = by_program(deck("v1 7 0 2\nr1 7 0 1k\n.op"), folder=tmp_path)
    assert recorded["v(7)"] == recorded["7"] == pytest.approx([2.0])


def test_the_kept_deck_runs_by_itself(tmp_path: Path, ngspice_program: str) -> None:
    kept = keep_for_program(deck(RC + ".meas tran tau find v(out) at=1n\n.op"), tmp_path)
    done = subprocess.run([ngspice_program, "-b", str(kept)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "tau                 =" in done.stdout


COMMANDS = """.control
alter r1=2k
tran 10p 5n
meas tran tau find v(out) at=1n
{more}
.endc
"""


def test_a_trusted_decks_own_commands_are_run_once(tmp_path: Path) -> None:
    netlist = tmp_path / "own.cir"
    netlist.write_text(f"title\n{RC}.meas tran top max v(out)\n{COMMANDS.format(more='')}.end\n")
    own = read_deck(netlist, permission=TRUSTED)
    bare_, library = by_program(own, folder=tmp_path), simulate(own)
    assert bare_.measures["tau"] == pytest.approx(1 - np.exp(-0.5), rel=1e-3)
    assert bare_.measures == pytest.approx(library.measures, rel=1e-9, abs=0.0)
    assert bare_.log.count("Initial Transient Solution") == 1
    netlist.write_text(f"title\n{RC}{COMMANDS.format(more='nonsense')}.end\n")
    with pytest.raises(SimulationError, match=r"(?s)did not do all that the deck says.*nonsense"):
        by_program(read_deck(netlist, permission=TRUSTED), folder=tmp_path)


# Raw files


@pytest.mark.parametrize("name", ["tran", "ac", "op", "several"])
def test_an_ascii_raw_file_reads_like_a_binary_one(name: str, tmp_path: Path, ngspice_program: str) -> None:
    plots = []
    for form in ("binary", "ascii"):
        path, raw = tmp_path / f"{form}.cir", tmp_path / f"{form}.raw"
        path.write_text(f"title\n.control\nset filetype={form}\n.endc\n{ANALYSES[name]}\n.end\n")
        subprocess.run([ngspice_program, "-b", "-r", raw, path], capture_output=True, timeout=60, check=True)
        plots.append(read_raw(raw.read_bytes()))
    assert b"Values:" in raw.read_bytes()
    (analysis, binary), (also, ascii_) = plots
    assert analysis == also
    assert set(binary) == set(ascii_)
    for vector, values in binary.items():
        assert ascii_[vector] == pytest.approx(values, rel=1e-14, abs=1e-300), vector


HEADER = (
    b"Title: t\nPlotname: Operating Point\nFlags: real\nNo. Variables: 2\nNo. Points: 1\nVariables:\n"
    b"\t0\tv(a)\tvoltage\n\t1\ti(v1)\tcurrent\n"
)
RAW = HEADER + b"Binary:\n" + np.array([1.5, -2.0]).tobytes()
ASCII = HEADER + b"Values:\n 0\t1.5\n\t-2.0\n\n"


@pytest.mark.parametrize("content", [RAW, ASCII])
def test_a_raw_file_gives_names_as_the_library_does(content: bytes) -> None:
    analysis, vectors = read_raw(content)
    assert analysis == "op"
    assert {name: values.tolist() for name, values in vectors.items()} == {"a": [1.5], "v1#branch": [-2.0]}
    assert read_raw(content + content)[1] == vectors


def test_rows_that_ngspice_repeats_in_a_raw_file_count_once() -> None:
    header = HEADER.replace(b"No. Points: 1", b"No. Points: 2") + b"Binary:\n"
    first, second = np.array([0.0, 1.0]).tobytes(), np.array([1.0, 1.0]).tobytes()
    for rows in (first * 3 + second, first + second * 2):
        _, vectors = read_raw(header + rows)
        assert vectors["a"].tolist() == [0.0, 1.0]
        assert read_raw(header + rows + RAW)[1]["a"].tolist() == [1.5]
    with pytest.raises(SpicebridgeError, match="more points than its header says"):
        read_raw(header + first + second + first)
    with pytest.raises(SpicebridgeError, match="cut short"):
        read_raw(header + first * 3 + second[:-1])


@pytest.mark.parametrize("content", [RAW, ASCII])
def test_a_raw_file_cut_short_is_refused(content: bytes) -> None:
    for length in range(len(content.rstrip(b"\n")) - 4):
        with pytest.raises(SpicebridgeError, match="raw file"):
            read_raw(content[:length])


@given(st.sampled_from([RAW, ASCII]), st.integers(0, len(RAW) - 1), st.binary(max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_damaged_raw_file_is_read_or_refused(content: bytes, at: int, junk: bytes) -> None:
    with contextlib.suppress(SpicebridgeError):
        read_raw(content[:at] + junk + content[at + len(junk) :])


# Failures


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x1 out 0 nosuch", "unknown subckt"),
        ("r9 out", "did not do all that the deck says"),
        ("d9 out 0 dd\n.model dd d bogus=1", r"(?s)did not do all that the deck says.*bogus"),
        (".save v(nowhere)", "no data saved"),
        ("b9 out 0 v=sgn(v(out)-0.5)\nv9 out 0 1", "failed on mine"),
    ],
)
def test_a_deck_that_fails_is_told_and_kept(line: str, words: str, tmp_path: Path) -> None:
    error = failure(RC + line, tmp_path)
    assert error.args[0].startswith("the bare ngspice program failed on mine: ")
    with pytest.raises(SimulationError, match=words):
        raise error
    kept = tmp_path / f"{error.deck.digest[:12]}.cir"
    raw = "" if ".meas" in RC else f"-r {kept.with_suffix('.raw')} "
    assert f"Deck kept: {kept}   Replay: ngspice -b {raw}{kept}" in str(error)
    assert line.splitlines()[0] in kept.read_text()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{RC}m1 out out 0 0 nope", "could not find a valid modelname"),
        (f"{RC}rq out 0 {{1/(1-1)}}", "unknown parameter (inf)"),
        (ENDLESS, "it ran past 0.5 s"),
    ],
)
def test_the_reason_of_a_failure_is_one_line_that_says_why(text: str, reason: str, tmp_path: Path) -> None:
    engine = BareEngine(folder=tmp_path, workers=1, time_limit=0.5 if text == ENDLESS else 60.0)
    (outcome,) = engine.run([Unit(deck(text), whole, {})])
    assert outcome.failure is not None
    assert outcome.failure.reason == reason


def test_a_failure_names_the_parameters(tmp_path: Path) -> None:
    assert "failed on mine at r=2000.0:" in str(failure(".param r=2000.0\nx1 a 0 nosuch\n.op", tmp_path))


def test_a_deck_past_its_time_is_stopped(tmp_path: Path) -> None:
    began = time.monotonic()
    error = failure(ENDLESS, tmp_path, time_limit=0.3)
    assert "it ran past 0.3 s" in str(error)
    assert time.monotonic() - began < 10


def test_what_a_stopped_program_had_started_is_stopped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    install(f"sleep 300 & echo $! > {shlex.quote(str(child))}; wait", tmp_path, monkeypatch)
    failure(RC, tmp_path, time_limit=1.0)
    assert ended(int(child.read_text()))


def ended(process: int) -> bool:
    """Whether a process is gone, or soon will be."""
    for _ in range(100):
        try:
            os.kill(process, 0)
            # Killed, but its new parent has not asked for its status yet.
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (OSError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_without_a_program_the_next_step_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "_CHECKOUT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpicebridgeError, match=r"there is no ngspice program.*Run 'make demo'"):
        by_program(deck(RC), folder=tmp_path)


def test_an_unpacked_program_comes_before_the_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("echo '** ngspice-44.2 : Circuit level simulation program'", tmp_path, monkeypatch)
    assert find_ngspice_program() == str(tmp_path / ".local" / "usr" / "bin" / "ngspice")
    assert program_version(find_ngspice_program()) == "ngspice-44"


def test_a_program_that_is_not_ngspice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("echo something else", tmp_path, monkeypatch)
    with pytest.raises(SpicebridgeError, match=r"names no version of ngspice\. It said: 'something else'"):
        program_version(find_ngspice_program())


# The engine


def test_a_program_that_the_system_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ngspice"
    program.write_bytes(b"\0 no program")
    program.chmod(0o755)
    monkeypatch.setattr(bare, "_CHECKOUT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SpicebridgeError, match=r"ngspice does not start: .*Exec format error.*package ngspice"
    ):
        by_program(deck(RC), folder=tmp_path)


def test_units_run_in_order_whoever_ends_first_and_a_failure_costs_only_itself(tmp_path: Path) -> None:
    units = [unit(1000.0), unit(1500.0, more="x1 out 0 nosuch"), unit(2000.0), unit(3000.0)]
    told: list[tuple[int, int, int]] = []
    engine = BareEngine(folder=tmp_path, workers=2, progress=lambda *counts: told.append(counts))
    outcomes = engine.run(units)
    for index, r in ((0, 1e3), (2, 2e3), (3, 3e3)):
        values = outcomes[index].values
        assert values is not None
        assert values["v"] == pytest.approx([2 * (1 - np.exp(-5e-9 / (r * 1e-12)))], rel=1e-3)
    failed = outcomes[1].failure
    assert failed is not None
    assert outcomes[1].values is None
    assert failed.deck is not None
    assert failed.log is not None
    assert "x1 out 0 nosuch" in failed.deck.read_text()
    assert "unknown subckt" in failed.log.read_text()
    assert "unknown subckt" in failed.reason
    assert sorted(told) == told
    assert told[-1] == (4, 4, 1)
    assert {path.stem for path in tmp_path.glob("*.cir")} == {each.deck.digest[:12] for each in units}


def test_the_bare_engine_gives_what_the_engine_gives(tmp_path: Path) -> None:
    units = [unit(1000.0), unit(2000.0)]
    routes = BareEngine(folder=tmp_path, workers=2), Engine(tmp_path / "store", 2, "ngspice-test")
    one, other = (each.run(units) for each in routes)
    assert [values(each) for each in one] == pytest.approx([values(each) for each in other], rel=1e-9)
    assert routes[0].version == f"ngspice-{simulate(units[0].deck).engine}"


def values(outcome: Outcome) -> float:
    assert outcome.values is not None
    return float(outcome.values["v"][0])


class Counted(Sequence[Unit]):
    """Units made when asked for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made: list[int] = []

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, index: int) -> Unit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Unit]: ...
    def __getitem__(self, index: int | slice) -> Unit | Sequence[Unit]:
        assert isinstance(index, int)
        self.made.append(index)
        return unit(1000.0 + index)


def test_units_are_made_once_each_and_only_when_needed(tmp_path: Path) -> None:
    units = Counted(8)
    stream = BareEngine(folder=tmp_path, workers=2).stream(units)
    next(stream)
    assert units.made == [0, 1, 2]
    assert len(list(stream)) == 7
    assert units.made == list(range(8))


def test_closing_the_stream_stops_the_programs(tmp_path: Path) -> None:
    began = time.monotonic()
    engine = BareEngine(folder=tmp_path, workers=2)
    stream = engine.stream([unit(1000.0), unit(1000.0, text=ENDLESS), unit(2000.0, text=ENDLESS)])
    assert next(stream)[0] == 0
    stream.close()
    assert time.monotonic() - began < 10


def test_ctrl_c_stops_the_programs_and_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child"
    install(f"echo $$ > {shlex.quote(str(child))}; exec sleep 300", tmp_path, monkeypatch)
    # A shell that runs tests in the background has them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            BareEngine(folder=tmp_path, workers=1).run([unit(1000.0)])
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
    assert ended(int(child.read_text()))


def test_an_aid_is_used_only_without_a_solution_and_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ngspice_program: str
) -> None:
    """ngspice, but that it finds no solution of a deck of 2 kohm without trtol=1."""
    install(
        'for deck; do :; done\nif grep -q "2000.0" "$deck" && ! grep -q trtol=1 "$deck"; then\n'
        f'echo "timestep too small" >&2; exit 1\nfi\nexec {shlex.quote(ngspice_program)} "$@"',
        tmp_path / "program",
        monkeypatch,
    )
    easy, hard = BareEngine(folder=tmp_path, workers=1).run([unit(1000.0), unit(2000.0)])
    assert easy.aid is None
    assert hard.aid == "tighter tolerances + trtol=1"
    assert values(hard) == pytest.approx(2 * (1 - np.exp(-2.5)), rel=1e-3)
