"""How fast crossbars are solved, against badcrossbar 1.1.0 on the same arrays, in one run on one machine.

badcrossbar wants cairo for its plots, which would need a system library; its solver does not. So it is
installed without its dependencies, beside the ones that the solver imports. BADCROSSBAR_PYTHON names an
interpreter that has it; without it a virtual environment is made in the results' cache folder.
"""

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from spicebridge.crossbar import Wiring, draw_devices, factorize, solve_junctions, transfer_matrix
from spicebridge.crossbar.junctions import Spread
from spicebridge.project import cache_folder

RECIPE = (["--no-deps", "badcrossbar==1.1.0"], ["numpy", "scipy", "pathvalidate", "sigfig"])
R_LEAST, R_MOST, R_SEGMENT = 1e3, 1e4, 1.0  # ohm
SIZE = 256

SCRIPT = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import numpy as np
import badcrossbar

size, least, most, segment, repeats = json.loads(sys.argv[1])
rng = np.random.default_rng(1)
resistances = rng.uniform(least, most, (size, size))
voltages = rng.uniform(0, 1, (size, 100))
told = {}
for vectors in (1, 100):
    times = []
    for _ in range(repeats):
        before = time.process_time()
        solution = badcrossbar.compute(
            voltages[:, :vectors], resistances, r_i=segment, node_voltages=False, all_currents=False
        )
        times.append(time.process_time() - before)
    told[vectors] = (min(times), solution.currents.output.tolist())
print("ANSWER" + json.dumps(told))
"""


def badcrossbar_python() -> str:
    """An interpreter with badcrossbar's solver."""
    named = os.environ.get("BADCROSSBAR_PYTHON")
    if named:
        return named
    folder = cache_folder() / "badcrossbar"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        for packages in RECIPE:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        ready.touch()
    return str(python)


def best_of(work: Callable[[], object], repeats: int) -> float:
    """The shortest CPU time of a call, s: other work on the machine only ever adds to it."""
    times = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def theirs(folder: Path) -> dict[str, tuple[float, list[list[float]]]]:
    """badcrossbar's times, s, and column currents, A, of one vector and of a hundred, on one thread."""
    script = folder / "theirs.py"
    script.write_text(SCRIPT)
    told = subprocess.run(
        [badcrossbar_python(), script, json.dumps([SIZE, R_LEAST, R_MOST, R_SEGMENT, 3])],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return json.loads(told.stdout.partition("ANSWER")[2])


@pytest.mark.bench
def test_bench_against_badcrossbar(tmp_path: Path) -> None:
    told = theirs(tmp_path)
    one, hundred = told["1"][0], told["100"][0]
    rng = np.random.default_rng(1)
    g = 1 / rng.uniform(R_LEAST, R_MOST, (SIZE, SIZE))
    v = rng.uniform(0, 1, (SIZE, 100)).T
    wiring = Wiring(r_word=R_SEGMENT, r_bit=R_SEGMENT)

    def calls(count: int) -> None:
        transfer = transfer_matrix(g, wiring)
        for vector in range(count):
            transfer @ v[vector % 100]

    with threadpool_limits(limits=1):
        first = best_of(lambda: transfer_matrix(g, wiring) @ v[0], 7)
        together = best_of(lambda: v @ transfer_matrix(g, wiring).T, 7)
        apart = best_of(lambda: calls(1000), 3)
        voltages = best_of(lambda: factorize(g, wiring).solve(v[0]), 5)
        currents = v @ transfer_matrix(g, wiring).T

    wanted = np.array(told["100"][1])
    worst = np.abs(currents - wanted).max() / wanted.max()
    ratios = {
        "one vector": one / first,
        "100 vectors in one call": hundred / together,
        "1,000 calls on one array": 1000 * one / apart,
    }
    sys.stdout.write(
        f"\n{SIZE}x{SIZE}, CPU time of one thread: badcrossbar {one * 1e3:.0f} ms for a vector, "
        f"{hundred * 1e3:.0f} ms for 100; ours {first * 1e3:.0f} and {together * 1e3:.0f} ms, "
        f"{apart * 1e3:.0f} ms for 1,000 calls, {voltages * 1e3:.0f} ms for every node's voltage\n"
        + "".join(f"  {name}: {ratio:.1f} times as fast\n" for name, ratio in ratios.items())
        + f"  largest difference {worst:.1e} of the largest current\n"
    )
    assert worst < 1e-9
    assert ratios["one vector"] >= 4
    assert ratios["100 vectors in one call"] >= 3
    assert ratios["1,000 calls on one array"] >= 50


@pytest.mark.bench
def test_bench_small_arrays() -> None:
    rng = np.random.default_rng(0)
    devices = draw_devices(
        rng, shape=(15, 15), diameter=40e-9, ra=1e-11, tmr=1.0, v_switch=0.4, v_h=0.5, spread=Spread()
    )
    made = devices.junctions(rng.random((15, 15)) < 0.5)
    wiring = Wiring(r_word=5, r_bit=5, r_source=50, r_sense=50, g_leak_word=1e-6, g_leak_bit=1e-6)
    v = rng.uniform(-0.4, 0.4, (10_000, 15))
    with threadpool_limits(limits=1):
        transfer = transfer_matrix(made.conductance(), wiring)
        known = best_of(lambda: [v @ transfer.T for _ in range(10)], 10) / 10 / len(v)
        making = best_of(lambda: transfer_matrix(made.conductance(), wiring), 20)
        biased = best_of(lambda: solve_junctions(made, wiring, v[:178]), 20) / 178
    sys.stdout.write(
        f"\n15x15: {known * 1e6:.3f} us a vector once the transfer matrix is known, which takes "
        f"{making * 1e3:.2f} ms; bias-dependent devices {biased * 1e6:.0f} us a vector, in calls of 178\n"
    )
    assert known < 0.1e-6
