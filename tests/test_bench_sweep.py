"""How fast points are simulated: the sweep engine against bare ngspice and PySpice, in one run.

The circuit is a 1-transistor RC write deck of about 500 time points; every way gives each point its own
resistance and reads one ``.meas`` result, with the same ngspice and, but for PySpice's documentation, the
same options. Ours gives ngspice a clock that stands still (``still_clock.py``), which no option of ngspice
does: the bare loop therefore runs as anybody has it and with that clock too, so that the engine's own cost
shows. Ours is the command ``characterize``: decks made and hashed, worker processes, every point stored, the
table assembled.

A shared machine is half as fast again at one time as at another, so that runs one after the other tell
little. Every way therefore runs at the same time as the bare loop, on the same core, where the system's
scheduler lets each have some milliseconds in turn; what counts is the CPU time of each.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from spicebridge.batch import batched
from spicebridge.deck import Deck
from spicebridge.netlist import make_deck
from spicebridge.ngspice_library import find_ngspice_library
from spicebridge.project import netlists_folder, store_file
from spicebridge.simulator import in_this_process
from spicebridge.still_clock import still_clock
from spicebridge.sweep import Engine, Unit
from tests.mtj_decks import current_driven, passages

ROUNDS = 5
FEW, LOOP = 50, 1500  # points: to tell the cost of a start by, and of the bare loop
OPTIONS = ("set num_threads=1", "set no_mem_check", "set norefvalue", "set noinit", "set noacct")
CIRCUIT = """v1 in 0 pulse(0 1 0 10p 10p 2n)
m1 out in 0 0 fast w=1u l=0.1u
r1 vdd out {rval}
v2 vdd 0 1
c1 out 0 20f
.model fast nmos level=1 vto=0.3 kp=200u
"""
ANALYSIS = ".tran 10p 5n 0 10p\n.meas tran v1ns find v(out) at=1n\n"
RC = f".param rval=5k\n{CIRCUIT}{ANALYSIS}"
LOWEST, STEP = 4000.0, 0.5  # ohm, of the first point and between points
SWEEP = """deck = "bench.cir"
batch = {batch}
[axes.rval]
unit = "ohm"
start = {start}
stop = {stop}
points = {points}
[measures.v1ns]
unit = "V"
"""

DOCUMENTED = """
import sys
from PySpice.Spice.Netlist import Circuit
from PySpice.Unit import *

for point in range(int(sys.argv[2])):
    circuit = Circuit("rc")
    lines = sys.argv[1].replace("{rval}", str(4000 + 0.5 * point)).splitlines()
    circuit.raw_spice = "\\n".join(line for line in lines if not line.startswith(".param"))
    simulator = circuit.simulator(temperature=27, nominal_temperature=27)
    if point == 0:
        for option in filter(None, sys.argv[3].split(";")):
            simulator.ngspice.exec_command(option)
    simulator.transient(step_time=10 @ u_ps, end_time=5 @ u_ns, max_time=10 @ u_ps)
"""


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, children included."""

    def used() -> float:
        return sum(
            sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )

    before = used()
    work()
    return used() - before


def program() -> str:
    found = shutil.which("ngspice")
    assert found, "ngspice's program is needed for the comparison"
    return found


def with_our_clock() -> dict[str, str]:
    """What to add to an environment for bare ngspice to read the clock that ours reads."""
    clock = still_clock()
    return {"LD_PRELOAD": str(clock)} if clock else {}


def bare(path: Path) -> None:
    """The bare program on a deck, its waveforms written beside it: else it runs none without ``.print``."""
    quiet = subprocess.DEVNULL
    command = [program(), "-b", "-r", path.with_suffix(".raw"), path]
    subprocess.run(command, stdout=quiet, stderr=quiet, check=True)


def alter_loop(folder: Path, points: int, first: int = 0) -> Path:
    """A bare deck that alters the resistance and simulates again, keeping nothing."""
    text = f"""* alter loop
.control
{chr(10).join(OPTIONS)}
setplot new
set keep = $curplot
let n = {first}
while n < {first + points}
  let rv = {LOWEST} + {STEP}*n
  alter r1 = rv
  tran 10p 5n 0 10p
  meas tran v1ns find v(out) at=1n
  set this = $curplot
  setplot $keep
  destroy $this
  let n = n + 1
end
.endc
{CIRCUIT.replace("{rval}", "5k")}.end
"""
    path = folder / f"alter{first}_{points}.cir"
    path.write_text(text)
    return path


def process_per_point(folder: Path, points: int) -> list[str]:
    """A shell's loop over so many decks."""
    decks = []
    for point in range(points):
        decks.append(folder / f"point{point}.cir")
        text = RC.replace("5k", str(LOWEST + STEP * point))
        control = "\n".join([".control", *OPTIONS, ".endc"])
        decks[-1].write_text(f"* point\n{control}\n{text}.end\n")
    return ["sh", "-c", 'for deck; do "$0" -b "$deck"; done', program(), *map(str, decks)]


def documented(points: int, options: Sequence[str] = ()) -> list[str]:
    """PySpice as its documentation shows it, ``options`` set, of which its documentation does not tell."""
    return [sys.executable, "-c", DOCUMENTED, CIRCUIT, str(points), ";".join(options)]


def characterize(folder: Path, points: int, batch: int = 1, workers: int = 1) -> list[str]:
    """The sweep by our command, of which nothing is stored yet."""
    (folder / "bench.cir").write_text(f"* bench\n{RC}.end\n")
    definition = folder / "bench.toml"
    stop = LOWEST + STEP * (points - 1)
    definition.write_text(SWEEP.format(batch=batch, start=LOWEST, stop=stop, points=points))
    store_file().unlink(missing_ok=True)
    script = str(Path(sys.executable).with_name("spicebridge"))
    return [script, "characterize", str(definition), "--workers", str(workers)]


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The command, running and quiet, with what the environment adds."""
    quiet = subprocess.DEVNULL
    added = {"OMP_NUM_THREADS": "1", **(environment or {})}
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, **added})


def on_one_core(*commands: tuple[Sequence[str], Mapping[str, str]]) -> list[subprocess.Popen[bytes]]:
    """Commands, each with what it adds to the environment, that run at the same time on the same core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return [start(command, environment) for command, environment in commands]
    finally:
        os.sched_setaffinity(0, cores)


def spent(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a process until its end, and of those that it waited for."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def per_point(work: Callable[[int], float], few: int, many: int) -> float:
    """What one more point costs, s: the start of processes is the same for few and many."""
    return (work(many) - work(few)) / (many - few)


@dataclass(frozen=True)
class Way:
    """A way to simulate points.

    Attributes:
        command: what runs so many.
        points: how many take about as long as the loop's.
        environment: added to it.
    """

    command: Callable[[int], Sequence[str]]
    points: int
    environment: Mapping[str, str] = field(default_factory=dict)


@pytest.mark.bench
@pytest.mark.usefixtures("results")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's choice of cores")
def test_bench_points_per_cpu_second(tmp_path: Path) -> None:
    def loop(points: int) -> list[str]:
        return [program(), "-b", str(alter_loop(tmp_path, points))]

    ours = partial(characterize, tmp_path)
    library = {"NGSPICE_LIBRARY_PATH": find_ngspice_library()}  # which PySpice does not find by itself
    ways = {
        "a process per point": Way(partial(process_per_point, tmp_path), LOOP // 5),
        "alter loop, our clock": Way(loop, LOOP, with_our_clock()),
        "PySpice as documented": Way(documented, LOOP // 4, library),
        "PySpice, our options set": Way(partial(documented, options=OPTIONS), LOOP // 2, library),
        "ours": Way(ours, LOOP),
        "ours, batch = 50": Way(partial(ours, batch=50), 4 * LOOP),
    }

    def each(way: Way) -> tuple[float, float]:
        """CPU seconds of one more point, of the bare loop's and of this way's."""
        # A start costs more beside something else, so it is measured beside the loop too.
        few, beside = on_one_core((way.command(FEW), way.environment), (loop(LOOP), {}))
        starts = spent(few)
        beside.kill()
        beside.wait()
        many, beside = on_one_core((way.command(FEW + way.points), way.environment), (loop(LOOP), {}))
        of_way, of_loop = spent(many) - starts, spent(beside) - spent(start(loop(1)))
        return of_loop / LOOP, of_way / way.points

    assert start(ours(FEW)).wait() == 0  # the first run compiles the clock and our modules, which are kept
    rounds = [{name: each(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    bare_loop = median(1 / loops for told in rounds for loops, _ in told.values())
    sys.stdout.write(f"\n{'alter loop':<24} {bare_loop:5.0f} points per CPU-second\n")
    ratios = {name: sorted(told[name][0] / told[name][1] for told in rounds) for name in ways}
    for name, found in ratios.items():
        speed = median(1 / told[name][1] for told in rounds)
        sys.stdout.write(
            f"{name:<24} {speed:5.0f} points per CPU-second, {median(found):5.2f} of the loop beside it "
            f"({found[0]:.2f} to {found[-1]:.2f} in {ROUNDS} rounds)\n"
        )
    assert median(ratios["ours"]) > 2 * median(ratios["PySpice as documented"])
    assert median(ratios["ours, batch = 50"]) > 1


@pytest.mark.bench
def test_bench_points_in_one_deck() -> None:
    """When batching pays: points of the RC deck as copies in one."""
    deck = make_deck(RC, folder=netlists_folder(), name="rc")

    def cost(copies: int, runs: int) -> float:
        points = [{"rval": LOWEST + STEP * each} for each in range(copies)]
        together = batched(deck, points) if copies > 1 else deck
        return cpu_seconds(lambda: [in_this_process().run(together) for _ in range(runs)]) / runs / copies

    alone = cost(1, 100)
    sys.stdout.write(f"\nRC deck, ngspice's CPU a point: alone {alone * 1e3:.2f} ms")
    for copies in (2, 5, 20, 50, 100, 200):
        sys.stdout.write(f", {copies} in a deck {cost(copies, 400 // copies) * 1e3:.2f} ms")
    sys.stdout.write("\n")


@pytest.mark.bench
@pytest.mark.usefixtures("results")
def test_bench_two_workers_against_two_programs(tmp_path: Path) -> None:
    """Wall time of so many points: two bare alter loops side by side, each half, and two workers."""

    def wall(commands: Sequence[Sequence[str]], environment: Mapping[str, str] | None = None) -> float:
        began = time.perf_counter()
        running = [start(command, environment) for command in commands]
        assert [each.wait() for each in running] == [0] * len(running)
        return time.perf_counter() - began

    def side_by_side(points: int, environment: Mapping[str, str] | None = None) -> float:
        halves = [alter_loop(tmp_path, points // 2, first) for first in (0, points // 2)]
        return wall([[program(), "-b", str(half)] for half in halves], environment)

    def ours(points: int) -> float:
        return wall([characterize(tmp_path, points, workers=2)])

    clocked = partial(side_by_side, environment=with_our_clock())
    rounds = [
        tuple(per_point(work, 400, 4400) for work in (side_by_side, clocked, ours)) for _ in range(ROUNDS)
    ]
    theirs, with_clock, our = (median(each) * 1e3 for each in zip(*rounds, strict=True))
    sys.stdout.write(
        f"\nwall a point, two at a time: two bare programs {theirs:.2f} ms, with our clock {with_clock:.2f} "
        f"ms, two workers {our:.2f} ms: {median(first / last for first, _, last in rounds):.2f} of their "
        f"speed, {median(second / last for _, second, last in rounds):.2f} with our clock\n"
    )


@pytest.mark.bench
@pytest.mark.usefixtures("results")
def test_bench_devices_in_one_deck(tmp_path: Path) -> None:
    """A stochastic MTJ for 2 ns in 1,600 steps: the bare program and ours, alone and 225 in a deck."""

    def bare_cpu(devices: int) -> float:
        return cpu_seconds(lambda: bare(decks(devices, 1)[0].keep(tmp_path))) / devices

    def our_cpu(devices: int, runs: int) -> float:
        store = tmp_path / "mtj.sqlite"

        def run(count: int) -> float:
            store.unlink(missing_ok=True)
            units = [Unit(deck, passages, {"devices": devices}) for deck in decks(devices, count)]
            engine = Engine(store=store, workers=1, version="ngspice-bench")
            return cpu_seconds(lambda: list(engine.stream(units)))

        return per_point(run, 1, 1 + runs) / devices

    for devices, runs in ((1, 20), (225, 3)):
        theirs = median(bare_cpu(devices) for _ in range(ROUNDS))
        ours = median(our_cpu(devices, runs) for _ in range(ROUNDS))
        sys.stdout.write(
            f"\nMTJ, {devices:3d} in a deck, CPU a device: a process per deck {theirs * 1e3:.2f} ms, ours "
            f"{ours * 1e3:.2f} ms"
        )
    sys.stdout.write("\n")


def decks(devices: int, count: int) -> list[Deck]:
    return [
        current_driven(range(1 + at * devices, 1 + (at + 1) * devices), current=0.0, mz0=1.0, t_stop=2e-9)
        for at in range(count)
    ]


@pytest.mark.bench
def test_bench_text_of_a_point() -> None:
    """Making a point's deck and its digest, small and with a megabyte of models."""
    small = make_deck(RC, folder=netlists_folder(), name="small")
    cards = "\n".join(f".model unused{each} nmos level=1 vto=0.5 kp=200u" for each in range(20_000))
    large = make_deck(f"{RC}{cards}\n", folder=netlists_folder(), name="large")
    for deck, count in ((small, 5000), (large, 200)):
        template = deck.template(["rval"])
        began = time.perf_counter()
        for point in range(count):
            assert template.deck({"rval": 1000.0 + point}).digest
        each = (time.perf_counter() - began) / count
        sys.stdout.write(
            f"\ndeck of {len(deck.text) / 1e3:.1f} kB: text and digest of a point {each * 1e6:.0f} us"
        )
    sys.stdout.write("\n")
