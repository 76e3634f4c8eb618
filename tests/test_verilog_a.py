"""Verilog-A models in ngspice, against formulas, SciPy and built-in devices; how their nodes connect."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from spicebridge.verilog_a import compile_model
from tests.verilog_a_models import DIODE, FIXTURES, RESISTOR, build, ngspice


def test_a_resistor_obeys_ohm(tmp_path: Path, compiled_models: Path) -> None:
    model = build(tmp_path, compiled_models, RESISTOR)
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 2\nn1 a 0 mr r=500\nv2 b 0 2\nn2 b 0 mr\nv3 c 0 2\nn3 c 0 mr m=3\n.model mr va_resistor",
        "op\nwrdata out i(v1) i(v2) i(v3)",
    )
    assert table[0, 1:] == pytest.approx([-2 / 500, -2 / 1000, -6 / 1000], rel=1e-12), log


def test_a_capacitor_has_the_admittance_of_its_formula(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
        """
module va_capacitor(a, b);
inout a, b; electrical a, b;
parameter real c = 1p from [0:inf);
analog I(a, b) <+ ddt(c * V(a, b));
endmodule
""",
    )
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 dc 1 ac 1\nn1 a 0 mc\n.model mc va_capacitor c=3p",
        "ac dec 3 1k 1g\nwrdata out i(v1)",
    )
    assert table[:, 1] == pytest.approx(0, abs=1e-15), log
    assert table[:, 2] == pytest.approx(-2 * np.pi * table[:, 0] * 3e-12, rel=1e-9, abs=0.0)


def test_an_rc_step_follows_the_exponential(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
        """
module va_rc(a);
inout a; electrical a, x;
parameter real r = 1k, c = 1n from (0:inf);
analog begin
  I(a, x) <+ V(a, x) / r;
  I(x) <+ c * ddt(V(x));
end
endmodule
""",
    )
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 pwl(0 0 1n 1)\nn1 a mrc\n.model mrc va_rc\n.options reltol=1e-5",
        "tran 5n 5u 0 5n\nwrdata out v(n1#x)",
    )
    t, v = table.T
    after = t > 1e-9
    # The answer to a ramp of 1 ns, after the ramp.
    tau = 1e-6
    expected = 1 - tau / 1e-9 * (np.exp(1e-9 / tau) - 1) * np.exp(-t[after] / tau)
    assert v[after] == pytest.approx(expected, abs=2e-5), log


DIODES = """
.model md d is=1e-14 n=1.2 rs=RS tt=1n
.model mv va_diode is=1e-14 n=1.2 rs=RS tt=1n
.options reltol=1e-6 abstol=1e-15 gmin=1e-12
"""


@pytest.mark.parametrize("rs", ["0", "10"])
def test_a_diode_equals_the_built_in_diode_in_dc(tmp_path: Path, compiled_models: Path, rs: str) -> None:
    model = build(tmp_path, compiled_models, DIODE)
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 0\nd1 a x md\nvx x 0 0\nn1 a y mv\nvy y 0 0" + DIODES.replace("RS", rs),
        "dc v1 -1 0.85 0.025\nwrdata out i(vx) i(vy)",
    )
    assert len(table) == 75, log
    # The constants of physics differ in the seventh digit between the two, and the exponent magnifies that.
    assert table[:, 2] == pytest.approx(table[:, 1], rel=2e-4, abs=1e-14)


def test_a_diode_equals_the_built_in_diode_in_ac_and_transient(tmp_path: Path, compiled_models: Path) -> None:
    model = build(tmp_path, compiled_models, DIODE)
    circuit = (
        "v1 a 0 dc 0.7 ac 1 sin(0.3 0.5 100meg)\nd1 a x md\nvx x 0 0\nn1 a y mv\nvy y 0 0"
        + DIODES.replace("RS", "10")
    )
    table, log = ngspice(tmp_path, [model], circuit, "ac dec 2 1meg 10g\nwrdata out i(vx) i(vy)")
    assert table[:, 3] == pytest.approx(table[:, 1], rel=1e-3), log
    assert table[:, 4] == pytest.approx(table[:, 2], rel=1e-3)
    table, log = ngspice(tmp_path, [model], circuit, "tran 20p 20n 0 20p\nwrdata out i(vx) i(vy)")
    scale = np.abs(table[:, 1]).max()
    assert np.abs(table[:, 2] - table[:, 1]).max() < 2e-3 * scale, log


def test_a_stiff_oscillator_on_internal_nodes_follows_scipy(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
        """
module va_oscillator(a);
inout a; electrical a, x, y;
parameter real mu = 20 from (0:inf);
real s;
analog begin
  s = 1e-9;
  if ($abstime <= 0) begin
    I(x) <+ V(x) - 2;
    I(y) <+ V(y);
  end else begin
    I(x) <+ s * ddt(V(x)) - V(y);
    I(y) <+ s * ddt(V(y)) - mu * (1 - V(x) * V(x)) * V(y) + V(x);
  end
  I(a) <+ V(a) * 1e-3;
end
endmodule
""",
    )
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 0\nn1 a mo\n.model mo va_oscillator\n.options reltol=1e-6 method=trap",
        "tran 5p 30n 0 5p\nwrdata out v(n1#x) v(n1#y)",
    )
    t, x, _ = table.T
    answer = solve_ivp(
        lambda _, s: [s[1], 20 * (1 - s[0] ** 2) * s[1] - s[0]],
        (0, 30), [2, 0], method="LSODA", rtol=1e-9, atol=1e-9, dense_output=True,
    )  # fmt: skip
    assert np.abs(x - answer.sol(t * 1e9)[0]).max() < 5e-3, log


def test_a_macrospin_without_noise_follows_scipy(tmp_path: Path, compiled_models: Path) -> None:
    model = compile_model(FIXTURES / "macrospin.va", cache=compiled_models)
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 0.4\nn1 a 0 mm theta0=0.3\n.model mm macrospin hth=0\n.options reltol=1e-5 method=trap",
        "tran 1p 3n 0 1p\nwrdata out v(n1#mx) v(n1#my) v(n1#mz)",
    )
    gamma, alpha, hk, aj = 2.211e5, 0.02, 3e5, 6e4 * 0.4

    def motion(_: float, m: np.ndarray) -> np.ndarray:
        cross = np.cross(m, [0, 0, hk * m[2]])
        norm = m @ m
        torque = (
            cross + alpha * np.cross(m, cross) + aj * np.array([m[0] * m[2], m[1] * m[2], m[2] ** 2 - norm])
        )
        return -gamma / (1 + alpha**2) * torque * 1e-9 + (1 - norm) * m

    answer = solve_ivp(
        motion,
        (0, 3),
        [math.sin(0.3), 0, math.cos(0.3)],
        method="DOP853",
        rtol=1e-10,
        atol=1e-12,
        dense_output=True,
    )
    m = answer.sol(table[:, 0] * 1e9)
    assert np.abs(table[:, 1:].T - m).max() < 5e-3, log


COLLAPSE = """
module va_chain(a, b);
inout a, b; electrical a, b, i, j, k;
parameter real ra = 0, rb = 0, rc = 0, rd = 0, re = 100 from [0:inf);
analog begin
  if (ra > 0) I(a, i) <+ V(a, i) / ra; else V(a, i) <+ 0;
  if (rb > 0) I(j, i) <+ V(j, i) / rb; else V(j, i) <+ 0;
  if (rc > 0) begin
    if (rd > 0) I(j, k) <+ V(j, k) / (rc + rd); else V(j, k) <+ 0;
  end else V(k, j) <+ 0;
  if (re > 0) I(k, b) <+ V(k, b) / re; else V(k, b) <+ 0;
end
endmodule
"""


def test_zero_resistances_merge_their_nodes(tmp_path: Path, compiled_models: Path) -> None:
    model = build(tmp_path, compiled_models, COLLAPSE)
    cards = {
        "": 100,
        "ra=50": 150,
        "rb=50": 150,
        "rc=50": 100,
        "rc=50 rd=50 ra=100 rb=100": 400,
        "rb=10 re=0": 10,
    }
    circuit = "\n".join(
        f"v{i} a{i} 0 1\nn{i} a{i} 0 m{i}\n.model m{i} va_chain {card}" for i, card in enumerate(cards)
    )
    table, log = ngspice(
        tmp_path, [model], circuit, "op\nwrdata out " + " ".join(f"i(v{i})" for i in range(len(cards)))
    )
    assert -1 / table[0, 1:] == pytest.approx(list(cards.values()), rel=1e-9), log


def test_a_short_circuit_between_terminals_stops_the_simulation(
    tmp_path: Path, compiled_models: Path
) -> None:
    model = build(tmp_path, compiled_models, COLLAPSE)
    table, log = ngspice(
        tmp_path, [model], "v1 a 0 1\nn1 a b mc\nr1 b 0 1\n.model mc va_chain re=0", "op\nwrdata out i(v1)"
    )
    assert "short-circuits two of its terminals" in log
    assert table.size == 0


def test_a_switch_branch_changes_between_voltage_and_current(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
        """
module va_switch(a, b);
inout a, b; electrical a, b;
(* type="instance" *) parameter real von = 0.5;
analog if (V(a) > von) V(a, b) <+ 1m * I(a, b); else I(a, b) <+ V(a, b) * 1e-3;
endmodule
""",
    )
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 1\nn1 a b ms\nr1 b 0 100\nn2 a c ms von=2\nr2 c 0 100\n.model ms va_switch",
        "op\nwrdata out v(b) v(c)",
    )
    assert table[0, 1:] == pytest.approx([100 / 100.001, 100 / 1100], rel=1e-6), log


def test_two_models_live_in_one_simulation(tmp_path: Path, compiled_models: Path) -> None:
    first = build(tmp_path, compiled_models, RESISTOR)
    second = build(tmp_path, compiled_models, DIODE)
    table, log = ngspice(
        tmp_path,
        [first, second],
        "v1 a 0 1\nn1 a b mr r=1k\nn2 b 0 md\n.model mr va_resistor\n.model md va_diode",
        "op\nwrdata out i(v1) v(b)",
    )
    current, voltage = -table[0, 1], table[0, 2]
    assert current == pytest.approx((1 - voltage) / 1000, rel=1e-9), log
    assert current == pytest.approx(1e-14 * math.expm1(voltage / 0.0258649), rel=1e-2)


def test_the_same_seed_gives_the_same_noisy_trajectory(tmp_path: Path, compiled_models: Path) -> None:
    model = compile_model(FIXTURES / "macrospin.va", cache=compiled_models)
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 0\nn1 a 0 mm seed=5\nn2 a 0 mm seed=5\nn3 a 0 mm seed=6\n.model mm macrospin\n.options "
        "trtol=1000",
        "tran 2p 1n 0 2p\nwrdata out v(n1#mx) v(n2#mx) v(n3#mx)",
    )
    # The matrix solver's order of elimination differs between the two, hence not bit for bit.
    assert np.abs(table[:, 1] - table[:, 2]).max() < 1e-6, log
    assert np.abs(table[:, 1] - table[:, 3]).max() > 1e-3
