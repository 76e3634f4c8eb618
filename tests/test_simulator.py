"""The simulator and its worker processes: right waveforms, no stale ones, and failures told plainly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.failure import keep_failure
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import SimulationError, Waveforms
from spicebridge.sweep import Engine, Unit
from spicebridge.workers import Answer, Task, simulate
from tests.on_workers import on_workers

pytestmark = pytest.mark.usefixtures("results")

RC = """v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out 1k
c1 out 0 1p
.tran 1p 5n 0 5p
"""
MTJ = """.control
pre_osdi devices/stt_mtj.osdi
.endc
.model mtj stt_mtj {model}
i1 0 a 1u
n1 a 0 mtj {instance}
.op
"""


def deck(text: str, name: str = "mine") -> Deck:
    return make_deck(text, folder=netlists_folder(), name=name)


def rc(number: int) -> Deck:
    """An RC deck of its own: 1 kohm and a few ohm more charging 1 pF."""
    return deck(RC.replace("1k", f"{1000 + number}"), name=f"rc{number}")


def ended(answers: Mapping[int, Answer]) -> dict[int, Any]:
    """Each position's value or error."""
    return {
        position: answer.value if answer.error is None else answer.error
        for position, answer in answers.items()
    }


def final(recorded: Waveforms) -> float:
    return float(recorded["out"][-1])


def failure(text: str) -> str:
    """What a deck's failure says."""
    with pytest.raises(SimulationError) as caught:
        simulate(deck(text), time_limit=30)
    return str(caught.value)


# Waveforms


def test_an_rc_circuit_charges_as_the_formula_says() -> None:
    recorded = simulate(deck(RC + ".meas tran t_half when v(out)=0.5\n.meas tran v_max max v(out)"))
    assert recorded.analysis == "tran"
    assert recorded["time"][-1] == pytest.approx(5e-9)
    assert recorded["v(out)"] == pytest.approx(1 - np.exp(-recorded["time"] / 1e-9), abs=2e-4)
    started = recorded["time"] > 10e-15  # the source's edge of 1 fs is over
    current = -np.exp(-recorded["time"] / 1e-9) / 1000
    assert recorded["i(v1)"][started] == pytest.approx(current[started], abs=1e-6)
    assert recorded.measures["t_half"] == pytest.approx(np.log(2) * 1e-9, rel=1e-4)
    assert recorded.measures["v_max"] == pytest.approx(1 - np.exp(-5), rel=1e-4)
    assert int(recorded.engine) >= 39


def test_names_of_waveforms_are_found_in_any_case_and_a_wrong_one_is_refused() -> None:
    recorded = simulate(deck("V1 IN 0 1\nR1 IN OUT 1k\nR2 OUT 0 3k\n.op"))
    assert recorded["OUT"] == recorded["v(Out)"] == recorded.vectors["out"] == pytest.approx([0.75])
    assert recorded["I(V1)"] == pytest.approx([-0.25e-3])
    with pytest.raises(SpicebridgeError, match=r"no waveform 'nothere'\. Saved are: in, out, v1#branch\."):
        recorded["nothere"]


def test_nodes_called_by_numbers_are_found() -> None:
    recorded = simulate(deck("v1 1 0 1\nr1 1 2a 1k\nr2 2a 0 3k\n.op"))
    assert recorded["v(1)"] == recorded["1"] == pytest.approx([1.0])
    assert recorded["v(2a)"] == pytest.approx([0.75])


def test_a_measure_with_a_long_name_is_read() -> None:
    name = "a_measure_with_a_name_of_forty_letters_x"
    recorded = simulate(deck(f"{RC}.meas tran {name} find v(out) at=1n"))
    assert recorded.measures == {name: pytest.approx(1 - np.exp(-1), rel=1e-3)}


def test_a_trusted_decks_commands_are_run_and_their_results_read() -> None:
    commands = ".control\ntran 1p 5n 0 5p\nmeas tran v1 find v(out) at=1n\n.endc"
    own = Deck(f"v1 in 0 pulse(0 1 0 1f 1f 1)\nr1 in out 1k\nc1 out 0 1p\n{commands}", name="own")
    recorded = simulate(own)
    assert recorded.measures == {"v1": pytest.approx(1 - np.exp(-1), rel=1e-3)}
    assert final(recorded) == pytest.approx(1 - np.exp(-5), rel=1e-3)


def test_each_kind_of_analysis_gives_its_waveforms() -> None:
    circuit = "v1 in 0 dc 1 ac 1\nr1 in out 1k\nc1 out 0 1p\n"
    dc = simulate(deck(f"{circuit}.dc v1 0 1 0.25"))
    assert (dc.analysis, dc["out"].tolist()) == ("dc", pytest.approx([0, 0.25, 0.5, 0.75, 1.0]))
    ac = simulate(deck(f"{circuit}.ac dec 10 1meg 10g"))
    omega = 2 * np.pi * np.real(ac["frequency"])
    assert ac.analysis == "ac"
    assert ac["out"] == pytest.approx(1 / (1 + 1j * omega * 1e-9), rel=1e-6)


def test_of_several_analyses_the_waveforms_are_the_last_ones() -> None:
    several = simulate(
        deck("v1 in 0 dc 1 ac 1\nr1 in out 1k\nc1 out 0 1p\n.op\n.ac dec 5 1k 1g\n.tran 10p 5n")
    )
    assert several.analysis == "tran"
    assert several["time"][-1] == pytest.approx(5e-9)


def test_a_measure_that_fails_is_nan_and_the_others_stand() -> None:
    measures = (
        ".meas tran never when v(out)=2",
        ".meas tran late find v(out) at=1",
        ".meas tran tau find v(out) at=1n",
    )
    recorded = simulate(deck(RC + "\n".join(measures)))
    assert np.isnan(recorded.measures["never"])
    assert np.isnan(recorded.measures["late"])
    assert recorded.measures["tau"] == pytest.approx(1 - np.exp(-1), rel=1e-3)


def test_a_kind_of_measure_that_ngspice_does_not_have_is_nan_and_the_others_stand() -> None:
    measures = (
        ".meas tran before find v(out) at=1n",
        ".meas tran der deriv v(out) at=1n",
        ".meas tran e1 err1 v(in) v(out)",
        ".meas tran odd fourier v(out)",
        ".meas tran after find v(out) at=1n",
    )
    recorded = simulate(deck(RC + "\n".join(measures)))
    assert [name for name, value in recorded.measures.items() if np.isnan(value)] == ["der", "e1", "odd"]
    for name in ("before", "after"):
        assert recorded.measures[name] == pytest.approx(1 - np.exp(-1), rel=1e-3)


def test_beside_such_a_measure_a_wrong_deck_is_still_refused() -> None:
    der = ".meas tran der deriv v(out) at=1n\n"
    for wrong, words in (
        ("b1 x 0 v=nofunction(v(out))", "no such function 'nofunction'"),
        ("d1 out 0 dd\n.model dd d bogus=3", "unrecognized parameter (bogus)"),
    ):
        assert words in failure(f"{RC}{der}{wrong}")


def test_notes_and_warnings_are_no_errors() -> None:
    # Zero ohm makes ngspice warn, a floating node too; both run.
    recorded = simulate(deck("v1 a 0 1\nr1 a 0 0\nr2 a b 1k\n.op"))
    assert "Warning" in recorded.log
    assert "Note" in recorded.log
    assert recorded["b"] == pytest.approx([1.0])


def test_a_compiled_model_is_loaded() -> None:
    recorded = simulate(deck(MTJ.format(model="", instance="mz0=1")))
    area = np.pi / 4 * 32e-9**2
    assert recorded["a"] == pytest.approx([1e-6 * 5e-12 / area], rel=1e-3)
    assert recorded["n1#mz"] == pytest.approx([1.0])


# One process, many decks


def test_a_bad_deck_after_a_good_one_raises_and_never_gives_stale_waveforms() -> None:
    bad = [
        "x1 out 0 nosuch",
        "q1 a b c nomodel",
        ".save v(nowhere)",
        ".foobar",
        "r9 out",
        "r9 out 0 {nothing}",
    ]
    tasks = []
    for number, line in enumerate(bad):
        tasks += [Task(rc(number), final), Task(deck(f"{RC}{line}"), final)]
    outcomes = ended(on_workers(tasks, workers=1, time_limit=60))
    for number in range(len(bad)):
        tau = (1000 + number) * 1e-12
        assert outcomes[2 * number] == pytest.approx(1 - np.exp(-5e-9 / tau), rel=1e-3)
        assert isinstance(outcomes[2 * number + 1], SimulationError), bad[number]


def test_a_failure_in_this_process_is_followed_by_right_results(tmp_path: Path) -> None:
    """The same in one ngspice, without a new process between."""
    script = f"""
from pathlib import Path
from spicebridge.netlist import make_deck
from spicebridge.simulator import SimulationError, in_this_process
rc = make_deck({RC!r}, folder=Path(), name="rc")
before = in_this_process().run(rc)["out"].tolist()
for line in ("x1 out 0 nosuch", "r9 out", "d9 out 0 d\\n.model d d bogus=1", "foo bar", ".save v(nowhere)"):
    try:
        in_this_process().run(make_deck({RC!r} + line, folder=Path(), name="bad"))
    except SimulationError:
        assert not in_this_process().spent
    else:
        raise AssertionError(line)
    assert in_this_process().run(rc)["out"].tolist() == before
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr


OPTIONS = (
    ".options temp=100", ".temp 80", ".options gmin=1e-3", ".options reltol=0.1 abstol=1e-3",
    ".options tnom=90", ".options method=gear", ".param is=3", ".csparam q={5}", ".nodeset v(b)=3",
    ".ic v(b)=0.1", ".save v(a)",
)  # fmt: skip


def test_nothing_of_a_deck_stays_behind_for_the_next() -> None:
    diode = "v1 a 0 0.7\nr1 a b 1k\nd1 b 0 dd\n.model dd d is=1e-14\n.op"
    tasks = [Task(deck(diode), diode_voltage)]
    for line in OPTIONS:
        tasks += [Task(deck(f"{line}\n{diode}\n.save v(b)"), diode_voltage), Task(deck(diode), diode_voltage)]
    outcomes = ended(on_workers(tasks, workers=1, time_limit=60))
    assert [outcomes[2 * index] for index in range(len(OPTIONS) + 1)] == [outcomes[0]] * (len(OPTIONS) + 1)
    assert abs(outcomes[1] - outcomes[0]) > 1e-2  # the options did count


# Two bins of one transistor: 8 um in two fingers are 8 um, or with ngbehavior=hsa 4 um.
BINNED = """m1 d g 0 0 bins w=8u l=1u nf=2
vd d 0 1
vg g 0 1.2
.model bins.1 nmos level=54 version=4.7 lmin=0.1u lmax=20u wmin=0.1u wmax=5u vth0=0.3
.model bins.2 nmos level=54 version=4.7 lmin=0.1u lmax=20u wmin=5u wmax=100u vth0=0.7
.op"""


def drain_current(recorded: Waveforms) -> float:
    return -float(recorded["i(vd)"][-1])


@pytest.mark.parametrize(
    "command",
    [
        "set ngbehavior=hsa",
        "SET ngbehavior = hsa",
        "set numdgt=9 ngbehavior=hsa",
        "echo x; set ngbehavior=hsa",
        "foreach ngbehavior hsa\nend",
    ],
)
def test_what_a_trusted_deck_sets_is_not_there_for_the_next(command: str) -> None:
    plain, setting = Deck(BINNED), Deck(f".control\n{command}\n.endc\n{BINNED}")
    tasks = [Task(each, drain_current) for each in (plain, setting, plain, setting, setting, plain)]
    outcomes = ended(on_workers(tasks, workers=1))
    # In bare ngspice too the command comes after the netlist is read, and changes nothing in its own deck.
    assert [outcomes[at] for at in range(6)] == [outcomes[0]] * 6


def test_a_trusted_deck_that_quits_costs_the_decks_after_it_nothing() -> None:
    tasks = [Task(each, final) for each in (rc(0), deck_that_quits(), rc(1), deck_that_quits(), rc(2))]
    outcomes = ended(on_workers(tasks, workers=1))
    assert [isinstance(outcomes[at], float) for at in (0, 2, 4)] == [True] * 3


def deck_that_quits() -> Deck:
    return Deck(f".control\nrun\nquit\n.endc\n{RC}")


@pytest.mark.parametrize(
    "commands", ["run\nset numdgt=9\nprint v(b)", "op\nlet twice=2*v(b)\nwrdata /dev/null v(b)"]
)
def test_a_trusted_deck_that_sets_nothing_lasting_needs_no_new_process(commands: str) -> None:
    trusted = Deck(f".control\n{commands}\n.endc\nv1 a 0 1\nr1 a b 1k\nr2 b 0 1k\n.op")
    answers = ended(on_workers([Task(trusted, process_number)] * 4, workers=1))
    assert len({int(values["pid"][0]) for values in answers.values()}) == 1


def test_ngspice_runs_where_no_file_of_a_users_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It overwrites bsim4v5.out there, links followed, and would carry out the commands of a .spiceinit."""
    monkeypatch.chdir(tmp_path)
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    for name in ("bsim4.out", "bsim4v5.out", "bsim4v6.out", "bsim4v7.out"):
        (tmp_path / name).symlink_to(precious)
    (tmp_path / ".spiceinit").write_text("shell touch was_run\n")
    odd = "v1 d 0 1\nm1 d d 0 0 mm w=1u l=1u\n.model mm nmos level=14 version=4.5 vsat=-1\n.op"
    said = failure(odd)
    assert "vsat" in said.lower() or "BSIM4" in said
    assert precious.read_text() == "precious"
    assert not (tmp_path / "was_run").exists()


def test_a_shunt_capacitance_is_for_its_own_deck_only() -> None:
    divider = "v1 a 0 pulse(0 1 0 1p 1p 1)\nr1 a b 1k\nr2 b 0 1k\n.tran 1p 1n"
    decks = [deck(divider), deck(f"{divider}\n.options cshunt=1e-9"), deck(divider)]
    outcomes = ended(on_workers([Task(each, last_voltage) for each in decks], workers=1))
    assert outcomes[0] == outcomes[2] == pytest.approx(0.5, rel=1e-6)
    assert outcomes[1] < 0.1


def last_voltage(recorded: Waveforms) -> float:
    return float(recorded["b"][-1])


def diode_voltage(recorded: Waveforms) -> float:
    return float(recorded["b"][0])


def test_five_hundred_decks_in_one_process_hardly_grow_it() -> None:
    outcomes = ended(on_workers([Task(rc(number), peak_memory) for number in range(500)], workers=1))
    grown = outcomes[499] - outcomes[20]
    assert grown < 4.0, f"{grown:.1f} MB"


def peak_memory(recorded: Waveforms) -> float:
    """This process's peak resident memory, MB."""
    import resource

    assert len(recorded["time"]) > 900
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


# Failures told plainly


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("x1 out 0 nosuch", ["unknown subckt: x1 out 0 nosuch"]),
        (
            "d1 out 0 dd\n.model dd d is=1e-14 bogus=3",
            [".model dd d is=1e-14 bogus=3", "unrecognized parameter (bogus)"],
        ),
        (
            "m1 out out 0 0 nn w=1u l=1u bogus=1\n.model nn nmos level=1",
            ["m1 out out 0 0 nn", "unknown parameter (bogus)"],
        ),
        ("d1 out 0 nomodel", ["d1 out 0 nomodel", "could not find a valid modelname"]),
        ("r9 out 0 {nothing}", ["Undefined parameter [nothing]"]),
        ("b1 x 0 v=nofunction(v(out))", ["no such function 'nofunction'"]),
        ("v2 out 0 1\nv3 out 0 2", ["timestep too small"]),
        (".foobar", [".foobar"]),
        ("r9 out 0", ["'r9 out 0' is not a valid resistor instance line, ignored!"]),
        ("v9 p 0 pwl(0 0 1n 1 0.5n 0)", ["v9 has non-increasing PWL time points"]),
    ],
)
def test_a_failure_says_what_ngspice_said(lines: str, words: list[str]) -> None:
    said = failure(RC + lines)
    assert said.startswith("ngspice failed on mine")
    for each in words:
        assert each in said


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("m1 out out 0 0 nope", "could not find a valid modelname"),
        ("rq out 0 {1/(1-1)}", "unknown parameter (inf)"),
        ("x1 out 0 nosuch", "Error: unknown subckt: x1 out 0 nosuch"),
        ("d1 out 0 dd\n.model dd d is=1e-14 bogus=3", "unrecognized parameter (bogus) - ignored"),
        ("r9 out 0", "'r9 out 0' is not a valid resistor instance line, ignored!"),
        ("b1 x 0 v=nofunction(v(out))", "no such function 'nofunction'"),
    ],
)
def test_the_reason_of_a_failure_is_ngspices_complaint_and_not_the_line_beside_it(
    lines: str, reason: str
) -> None:
    (answer,) = on_workers([Task(deck(RC + lines), final)], workers=1).values()
    assert isinstance(answer.error, SimulationError)
    assert reason in keep_failure(answer.error).reason


def test_a_deck_without_an_analysis_is_a_failure() -> None:
    assert "No job (tran, ac, op etc.) defined" in failure("v1 a 0 1\nr1 a 0 1")
    assert "No job (tran, ac, op etc.) defined" in failure("")


def test_a_failure_names_the_parameter_values() -> None:
    assert "ngspice failed on mine at c=2p, t_stop=5n." in failure(
        ".param c=2p t_stop=5n\nv1 a 0 1\nr1 a b nosuch\nc1 b 0 {c}\n.tran 1p {t_stop}"
    )


def test_the_failed_deck_is_kept_at_the_printed_path_and_fails_there_too(ngspice_program: str) -> None:
    said = failure(RC + "x1 out 0 nosuch")
    kept = re.search(r"Deck kept: (\S+)   Replay: ngspice -b -r \S+\.raw (\S+)$", said)
    assert kept is not None
    assert kept[1] == kept[2]
    assert Path(kept[1]).is_file()
    replay = subprocess.run([ngspice_program, "-b", kept[1]], capture_output=True, text=True, timeout=60)
    assert "unknown subckt: x1 out 0 nosuch" in replay.stdout + replay.stderr


@pytest.mark.parametrize(
    ("model", "instance", "words"),
    [
        ("alpha=3", "", "parameter alpha = 3 of stt_mtj is out of range: from (0:1)"),
        ("", "mz0=2", "parameter mz0 = 2 of stt_mtj is out of range: from [-1:1]"),
        ("bogus=1", "", "unrecognized parameter (bogus)"),
        ("", "bogus=1", "unknown parameter (bogus)"),
    ],
)
def test_a_wrong_verilog_a_parameter_is_an_error_in_ngspices_words(
    model: str, instance: str, words: str
) -> None:
    assert words in failure(MTJ.format(model=model, instance=instance))


def test_an_error_travels_between_processes_whole() -> None:
    import pickle

    error = SimulationError("what happened", deck=rc(1), log="a line", reason="why")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.deck, again.log, again.reason) == ("what happened", rc(1), "a line", "why")


# Workers that die, hang or are given a measure that does not work


def once(recorded: Waveforms, *, marker: str, how: str) -> float:
    """Die or hang the first time, as a crash in mid-deck would; the second time all is well."""
    if not Path(marker).exists():
        Path(marker).touch()
        always(recorded, how=how)
    return final(recorded)


def always(recorded: Waveforms, *, how: str) -> float:  # noqa: ARG001  # a measure is given the waveforms
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)
    return 0.0


class Bound:
    """A measure with its arguments, which pickles."""

    def __init__(self, measure: Any, **arguments: Any) -> None:
        self.measure, self.arguments = measure, arguments

    def __call__(self, recorded: Waveforms) -> Any:
        return self.measure(recorded, **self.arguments)


@pytest.mark.parametrize(("how", "workers"), [("die", 1), ("hang", 2)])
def test_a_worker_lost_in_mid_deck_costs_no_deck(tmp_path: Path, how: str, workers: int) -> None:
    measures = [final, Bound(once, marker=str(tmp_path / "marker"), how=how), final, final]
    tasks = [Task(rc(number), measure) for number, measure in enumerate(measures)]
    outcomes = ended(on_workers(tasks, workers=workers, time_limit=20 if how == "die" else 1))
    assert (tmp_path / "marker").exists()
    expected = [1 - np.exp(-5e-9 / ((1000 + number) * 1e-12)) for number in range(4)]
    assert [outcomes[number] for number in range(4)] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("how", "words"), [("die", "ended with status -9"), ("hang", "ran past 1 s")])
def test_a_deck_that_costs_two_workers_is_an_error_with_the_deck_kept(how: str, words: str) -> None:
    tasks = [Task(rc(0), final), Task(rc(1), Bound(always, how=how)), Task(rc(2), final)]
    outcomes = ended(on_workers(tasks, workers=1, time_limit=1))
    assert isinstance(outcomes[0], float)
    assert isinstance(outcomes[2], float)
    assert isinstance(outcomes[1], SimulationError)
    said = str(outcomes[1])
    assert f"ngspice did not finish rc1: it{'s process' if how == 'die' else ''} {words}, 2 times." in said
    failure = keep_failure(outcomes[1])
    assert f"Deck kept: {failure.deck} " in failure.message
    assert failure.deck is not None
    assert failure.deck.read_text() == rc(1).replayable()


def test_a_deck_past_its_time_limit_is_stopped() -> None:
    endless = deck("v1 in 0 sin(0 1 1g)\nr1 in out 1k\nc1 out 0 1p\n.tran 1p 1")
    started = time.monotonic()
    with pytest.raises(SimulationError, match=r"did not finish mine: it ran past 1 s, 2 times"):
        simulate(endless, time_limit=1)
    assert time.monotonic() - started < 15


def test_a_measure_that_does_not_work_is_told_with_its_own_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)measuring rc0 failed.*ZeroDivisionError"):
        ended(on_workers([Task(rc(0), broken)], workers=1))


def broken(recorded: Waveforms) -> float:
    return len(recorded["out"]) / 0


def test_a_missing_library_is_told_with_the_variable_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGSPICE_LIBRARY_PATH", "/nowhere/libngspice.so")
    with pytest.raises(SpicebridgeError, match=r"NGSPICE_LIBRARY_PATH names /nowhere/libngspice\.so"):
        simulate(rc(0))


def process_number(recorded: Waveforms) -> dict[str, NDArray[Any]]:  # noqa: ARG001  # a measure
    return {"pid": np.array([os.getpid()])}


def test_closing_the_iterator_stops_the_workers(tmp_path: Path) -> None:
    engine = Engine(store=tmp_path / "points.sqlite", workers=1, version="ngspice-test")
    outcomes = engine.stream([Unit(rc(number), process_number, {}) for number in range(4)])
    _, first = next(outcomes)
    assert first.values is not None
    (worker,) = first.values["pid"]
    os.kill(worker, 0)  # it is there
    outcomes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
