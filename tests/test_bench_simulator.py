"""How fast decks run: ours against PySpice as its documentation shows it and a process per point, in one run.

Points per CPU-second of this process and its children, on one deck of about 500 time points.
"""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spicebridge.deck import Deck, make_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import ngspice
from tests.mtj_decks import current_driven

RC = """
v1 in 0 pulse(0 1 0 10p 10p 2n)
m1 out in 0 0 fast w=1u l=0.1u
r1 vdd out 5k
v2 vdd 0 1
c1 out 0 20f
.model fast nmos level=1 vto=0.3 kp=200u
.tran 10p 5n 0 10p
.meas tran v1 find v(out) at=1n
"""

DOCUMENTED = """
import sys, time
from PySpice.Spice.Netlist import Circuit
from PySpice.Unit import *

def run():
    circuit = Circuit("rc")
    lines = sys.argv[1].splitlines()
    circuit.raw_spice = "\\n".join(line for line in lines if not line.startswith((".tran", ".meas")))
    simulator = circuit.simulator(temperature=25, nominal_temperature=25)
    simulator.transient(step_time=10 @ u_ps, end_time=5 @ u_ns, max_time=10 @ u_ps)

run()
before = time.process_time()
for _ in range(60):
    run()
print((time.process_time() - before) / 60)
"""


def cpu_seconds(work: Callable[[], object], repeats: int) -> float:
    """CPU time of one call, children included."""

    def used() -> float:
        return sum(
            sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )

    work()
    before = used()
    for _ in range(repeats):
        work()
    return (used() - before) / repeats


@pytest.mark.bench
def test_bench_points_per_cpu_second(tmp_path: Path) -> None:
    deck = make_deck(RC, folder=netlists_folder(), name="rc")
    ours = cpu_seconds(lambda: ngspice().run(deck), 200)

    kept = deck.keep(tmp_path)
    program = shutil.which("ngspice")
    assert program, "ngspice's program is needed for the comparison"
    bare = cpu_seconds(lambda: subprocess.run([program, "-b", kept], capture_output=True, check=True), 30)

    # A second PySpice session cannot live in this process, so that it is timed in one of its own.
    environment = {**os.environ, "NGSPICE_LIBRARY_PATH": ngspice().library}
    told = subprocess.run(
        [sys.executable, "-c", DOCUMENTED, RC], capture_output=True, text=True, check=True, env=environment
    )
    plain = float(told.stdout)
    sys.stdout.write(
        f"\npoints per CPU-second: ours {1 / ours:.0f}, PySpice as documented {1 / plain:.0f}, "
        f"a process per point {1 / bare:.0f}; "
        f"ours is {plain / ours:.1f} and {bare / ours:.1f} times as fast\n"
    )
    assert ours < bare


@pytest.mark.bench
def test_bench_devices_in_one_deck() -> None:
    def decks(devices: int) -> Deck:
        return current_driven(range(1, devices + 1), current=0.0, mz0=1.0, t_stop=2e-9)

    alone, together = decks(1), decks(225)
    one = cpu_seconds(lambda: ngspice().run(alone), 10)
    many = cpu_seconds(lambda: ngspice().run(together), 2) / 225
    sys.stdout.write(
        f"\nMTJ, 2 ns in 1,600 steps, CPU a device: alone {one * 1e3:.1f} ms, "
        f"in a deck of 225 {many * 1e3:.2f} ms ({one / many:.1f} times less)\n"
    )
    assert many < one
