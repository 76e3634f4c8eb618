"""How fast points are simulated: the sweep engine against bare ngspice and PySpice, in one run.

The circuit is a 1-transistor RC write deck of about 500 time points; every way gives each point its own
resistance and reads one ``.meas`` result, with the same ngspice and, but for PySpice's documentation, the
same options. Ours gives ngspice a clock that stands still (``still_clock.py``), which no option of ngspice does: the
bare loop therefore runs as anybody has it and with that clock too, so that the engine's own cost shows. Ours
is the whole of ``characterize``: decks made and hashed, worker processes, every point stored, the table
assembled. CPU time is that of the process and its children.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from characterization.definition import load_definition
from characterization.run import make_table
from spicebridge.batch import batched
from spicebridge.still_clock import still_clock
from spicebridge.deck import Deck, make_deck
from spicebridge.ngspice_library import find_ngspice_library
from spicebridge.project import netlists_folder
from spicebridge.simulator import ngspice
from spicebridge.sweep import Engine, Unit
from tests.mtj_decks import current_driven, passages

ROUNDS = 15
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
import sys, time
from PySpice.Spice.Netlist import Circuit
from PySpice.Unit import *

def run(point):
    circuit = Circuit("rc")
    lines = sys.argv[1].replace("{rval}", str(4000 + 0.5 * point)).splitlines()
    circuit.raw_spice = "\\n".join(line for line in lines if not line.startswith(".param"))
    simulator = circuit.simulator(temperature=27, nominal_temperature=27)
    if point == -1:
        for option in filter(None, sys.argv[3].split(";")):
            simulator.ngspice.exec_command(option)
    analysis = simulator.transient(step_time=10 @ u_ps, end_time=5 @ u_ns, max_time=10 @ u_ps)
    return analysis

run(-1)
before = time.process_time()
for point in range(int(sys.argv[2])):
    run(point)
print(time.process_time() - before)
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
    """An environment in which bare ngspice reads the clock that ours reads."""
    clock = still_clock()
    return {**os.environ, "LD_PRELOAD": str(clock)} if clock else dict(os.environ)


def bare(path: Path, environment: dict[str, str] | None = None) -> None:
    quiet = subprocess.DEVNULL
    subprocess.run([program(), "-b", path], stdout=quiet, stderr=quiet, check=True, env=environment)


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


def process_per_point(folder: Path, points: int) -> None:
    options = "\n".join(OPTIONS)
    for point in range(points):
        path = folder / "point.cir"
        value = str(LOWEST + STEP * point)
        path.write_text(f"* point\n.control\n{options}\n.endc\n{RC.replace('5k', value)}.end\n")
        bare(path)


def documented(points: int, options: Sequence[str]) -> float:
    """CPU seconds of PySpice as its documentation shows it, in a process of its own, start not counted.

    ``options``: ngspice commands given before, which its documentation does not tell of.
    """
    environment = {**os.environ, "NGSPICE_LIBRARY_PATH": find_ngspice_library()}
    told = subprocess.run(
        [sys.executable, "-c", DOCUMENTED, CIRCUIT, str(points), ";".join(options)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return float(told.stdout)


def sweep(folder: Path, *, points: int, batch: int, workers: int) -> None:
    """The sweep as ``characterize`` makes it, into a new store."""
    (folder / "bench.cir").write_text(f"* bench\n{RC}.end\n")
    definition = folder / "bench.toml"
    stop = LOWEST + STEP * (points - 1)
    definition.write_text(SWEEP.format(batch=batch, start=LOWEST, stop=stop, points=points))
    store = folder / "points.sqlite"
    store.unlink(missing_ok=True)
    engine = Engine(store=store, workers=workers, version="ngspice-bench")
    table = make_table(load_definition(str(definition), size="quick"), engine)
    assert not table.holes
    assert table.data.sizes == {"rval": points}


def per_point(work: Callable[[int], float], few: int, many: int) -> float:
    """What one more point costs, s: the start of processes is the same for few and many."""
    return (work(many) - work(few)) / (many - few)


@dataclass(frozen=True)
class Way:
    """A way to simulate so many points, told as CPU seconds, and the two numbers of points to tell it by."""

    work: Callable[[int], float]
    few: int
    many: int

    def each(self, rounds: Sequence[tuple[float, float]], typical: Callable[[Iterable[float]], float]) -> float:
        """CPU seconds of one more point, from what few and many cost in each round."""
        few, many = (typical(costs) for costs in zip(*rounds, strict=True))
        return (many - few) / (self.many - self.few)


@pytest.mark.bench
@pytest.mark.usefixtures("results")
def test_bench_points_per_cpu_second(tmp_path: Path) -> None:
    def loop(points: int, environment: dict[str, str] | None = None) -> float:
        return cpu_seconds(lambda: bare(alter_loop(tmp_path, points), environment))

    def ours(points: int, batch: int = 1) -> float:
        return cpu_seconds(lambda: sweep(tmp_path, points=points, batch=batch, workers=1))

    # Those that are compared most closely follow one another.
    ways = {
        "a process per point": Way(lambda n: cpu_seconds(lambda: process_per_point(tmp_path, n)), 0, 30),
        "alter loop": Way(loop, 10, 810),
        "ours": Way(ours, 10, 810),
        "alter loop, our clock": Way(partial(loop, environment=with_our_clock()), 10, 810),
        "PySpice as documented": Way(lambda n: documented(n, ()), 0, 100),
        "PySpice, our options set": Way(lambda n: documented(n, OPTIONS), 0, 100),
        "ours, batch = 50": Way(partial(ours, batch=50), 50, 4050),
    }
    # A round runs all ways in turn. A shared machine only ever slows a run down, and by different amounts: the
    # fastest of many short runs tells what the work costs (as timeit has it), the median what one sees.
    rounds = [
        {name: (way.work(way.few), way.work(way.many)) for name, way in ways.items()} for _ in range(ROUNDS)
    ]
    cost = {
        typical: {
            name: way.each([each[name] for each in rounds], typical)  # type: ignore[arg-type]
            for name, way in ways.items()
        }
        for typical in (min, median)
    }
    for name in ways:
        sys.stdout.write(f"\n{name:<24}")
        for typical, costs in cost.items():
            sys.stdout.write(
                f"  {typical.__name__} {1 / costs[name]:5.0f} points per CPU-second,"
                f" {costs['alter loop'] / costs[name]:4.2f} of the alter loop,"
                f" {costs['alter loop, our clock'] / costs[name]:4.2f} of it with our clock;"
            )
    sys.stdout.write("\n")
    assert cost[median]["ours"] < 0.5 * cost[median]["PySpice as documented"]
    assert cost[median]["ours, batch = 50"] < cost[median]["alter loop"]


@pytest.mark.bench
def test_bench_points_in_one_deck() -> None:
    """When batching pays: points of the RC deck as copies in one."""
    deck = make_deck(RC, folder=netlists_folder(), name="rc")

    def cost(copies: int, runs: int) -> float:
        points = [{"rval": LOWEST + STEP * each} for each in range(copies)]
        together = batched(deck, points) if copies > 1 else deck
        return cpu_seconds(lambda: [ngspice().run(together) for _ in range(runs)]) / runs / copies

    alone = cost(1, 100)
    sys.stdout.write(f"\nRC deck, ngspice's CPU a point: alone {alone * 1e3:.2f} ms")
    for copies in (2, 5, 20, 50, 100, 200):
        sys.stdout.write(f", {copies} in a deck {cost(copies, 400 // copies) * 1e3:.2f} ms")
    sys.stdout.write("\n")


@pytest.mark.bench
@pytest.mark.usefixtures("results")
def test_bench_two_workers_against_two_programs(tmp_path: Path) -> None:
    """Wall time of so many points: two bare alter loops side by side, each half, and two workers."""

    def side_by_side(points: int, environment: dict[str, str] | None = None) -> float:
        halves = [alter_loop(tmp_path, points // 2, first) for first in (0, points // 2)]
        began = time.perf_counter()
        running = [
            subprocess.Popen(
                [program(), "-b", half],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            for half in halves
        ]
        assert [each.wait() for each in running] == [0, 0]
        return time.perf_counter() - began

    def ours(points: int) -> float:
        began = time.perf_counter()
        sweep(tmp_path, points=points, batch=1, workers=2)
        return time.perf_counter() - began

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
