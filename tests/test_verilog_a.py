"""Verilog-A models compiled and run in ngspice, against formulas, SciPy, NumPy and built-in devices."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from spicebridge.verilog_a import CompiledModel, VerilogAError, compile_model

HEADER = '`include "disciplines.vams"\n`include "constants.vams"\n'
FIXTURES = Path(__file__).parent / "verilog_a"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the session."""
    return tmp_path_factory.mktemp("osdi")


def build(folder: Path, cache: Path, text: str, name: str = "model.va") -> CompiledModel:
    """Compile a source text."""
    source = folder / name
    source.write_text(HEADER + text)
    return compile_model(source, cache=cache)


def ngspice(folder: Path, models: list[CompiledModel], circuit: str, control: str) -> tuple[np.ndarray, str]:
    """Run a deck; the table that ``wrdata out`` wrote (empty if none) and the log."""
    loads = "\n".join(f"pre_osdi {model.library}" for model in models)
    deck = folder / "deck.cir"
    deck.write_text(
        f"test\n{circuit}\n.control\nset num_threads=1\nset wr_singlescale\nset "
        f"numdgt=15\n{loads}\n{control}\n"
        "quit\n.endc\n.end\n"
    )
    out = folder / "out"
    out.unlink(missing_ok=True)
    done = subprocess.run(
        ["ngspice", "-b", str(deck)], capture_output=True, text=True, timeout=60, cwd=folder, check=False
    )
    table = np.loadtxt(out, ndmin=2) if out.exists() else np.empty((0, 0))
    return table, done.stdout + done.stderr


RESISTOR = """
module va_resistor(a, b);
inout a, b; electrical a, b;
(* desc="resistance", units="Ohm", type="instance" *) parameter real r = 1k from (0:inf);
analog I(a, b) <+ V(a, b) / r;
endmodule
"""


def test_a_resistor_obeys_ohm(tmp_path: Path, cache: Path) -> None:
    model = build(tmp_path, cache, RESISTOR)
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 2\nn1 a 0 mr r=500\nv2 b 0 2\nn2 b 0 mr\nv3 c 0 2\nn3 c 0 mr m=3\n.model mr va_resistor",
        "op\nwrdata out i(v1) i(v2) i(v3)",
    )
    assert table[0, 1:] == pytest.approx([-2 / 500, -2 / 1000, -6 / 1000], rel=1e-12), log


def test_the_parameters_are_described(tmp_path: Path, cache: Path) -> None:
    model = build(tmp_path, cache, RESISTOR)
    (r,) = model.parameters
    assert (r.name, r.kind, r.default, r.unit, r.description, r.range, r.is_instance) == (
        "r", "real", "1k", "Ohm", "resistance", "from (0:inf)", True,
    )  # fmt: skip
    assert model.module == "va_resistor"
    assert model.terminals == ("a", "b")
    assert model.library.is_absolute()


def test_a_capacitor_has_the_admittance_of_its_formula(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
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


def test_an_rc_step_follows_the_exponential(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
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


DIODE = """
module va_diode(a, c);
inout a, c; electrical a, c, i;
parameter real is = 1e-14 from (0:inf);
parameter real n = 1 from [0.1:10];
parameter real rs = 0 from [0:inf);
parameter real cj = 0, tt = 0 from [0:inf);
real vd, id, vcrit, vte;
analog begin
  vte = n * $vt;
  vcrit = vte * ln(vte / (sqrt(2.0) * is));
  vd = $limit(V(a, i), "pnjlim", vte, vcrit);
  id = is * (exp(vd / vte) - 1) + $simparam("gmin") * vd;
  I(a, i) <+ id + ddt(tt * id + cj * vd);
  if (rs > 0) I(i, c) <+ V(i, c) / rs;
  else V(i, c) <+ 0;
end
endmodule
"""
DIODES = """
.model md d is=1e-14 n=1.2 rs=RS tt=1n
.model mv va_diode is=1e-14 n=1.2 rs=RS tt=1n
.options reltol=1e-6 abstol=1e-15 gmin=1e-12
"""


@pytest.mark.parametrize("rs", ["0", "10"])
def test_a_diode_equals_the_built_in_diode_in_dc(tmp_path: Path, cache: Path, rs: str) -> None:
    model = build(tmp_path, cache, DIODE)
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 0\nd1 a x md\nvx x 0 0\nn1 a y mv\nvy y 0 0" + DIODES.replace("RS", rs),
        "dc v1 -1 0.85 0.025\nwrdata out i(vx) i(vy)",
    )
    assert len(table) == 75, log
    # The constants of physics differ in the seventh digit between the two, and the exponent magnifies that.
    assert table[:, 2] == pytest.approx(table[:, 1], rel=2e-4, abs=1e-14)


def test_a_diode_equals_the_built_in_diode_in_ac_and_transient(tmp_path: Path, cache: Path) -> None:
    model = build(tmp_path, cache, DIODE)
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


def test_a_stiff_oscillator_on_internal_nodes_follows_scipy(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
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


def test_a_macrospin_without_noise_follows_scipy(tmp_path: Path, cache: Path) -> None:
    model = compile_model(FIXTURES / "macrospin.va", cache=cache)
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


HASH = """
module va_hash(a);
inout a; electrical a, o;
(* type="instance" *) parameter integer seed = 1;
(* type="instance" *) parameter real v = 0;
integer h, k;
analog begin
  k = floor(v);
  h = seed ^ (k << 7);
  h = (h ^ (h >> 16)) * 73244475;
  h = (h ^ (h >> 15)) * 668265263 + k;
  h = h ^ (h << 13) ^ ~(h >> 17);
  h = (h | 4097) - (h & 255) + h / 7 - h % 11;
  I(o) <+ V(o) - h;
  I(a) <+ V(a);
end
endmodule
"""


def hash_in_numpy(seed: int, k: int) -> int:
    """The same in 32-bit NumPy: wrapping products, logical right shifts, division towards zero."""
    with np.errstate(over="ignore"):
        one = np.int32

        def right(a: np.int32, n: int) -> np.int32:
            return one(np.uint32(a.view(np.uint32) >> np.uint32(n)).view(np.int32))

        h = one(seed) ^ (one(k) << one(7))
        h = (h ^ right(h, 16)) * one(73244475)
        h = (h ^ right(h, 15)) * one(668265263) + one(k)
        h = h ^ (h << one(13)) ^ ~right(h, 17)
        quotient = one(int(math.fabs(int(h))) // 7 * (1 if h >= 0 else -1))
        remainder = one(int(math.fmod(int(h), 11)))
        return int((h | one(4097)) - (h & one(255)) + quotient - remainder)


def test_an_integer_hash_equals_numpy_bit_for_bit(tmp_path: Path, cache: Path) -> None:
    model = build(tmp_path, cache, HASH)
    cases = [(1, 0), (2, 1), (12345, 77), (-5, 3), (2147483647, -4), (-2147483647, 100000), (7, 2**30)]
    lines = [f"n{i} a mh seed={seed} v={k}" for i, (seed, k) in enumerate(cases)]
    outputs = " ".join(f"v(n{i}#o)" for i in range(len(cases)))
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 0\n" + "\n".join(lines) + "\n.model mh va_hash\n.options reltol=1e-12",
        f"op\nwrdata out {outputs}",
    )
    assert [round(v) for v in table[0, 1:]] == [hash_in_numpy(s, k) for s, k in cases], log


INTEGERS = {
    "~k": -8 ^ -1, "~(k + j) & 255": ~(-8 + 3) & 255, "k ^ ~j": -8 ^ ~3, "~~k": -8, "-k": 8, "!k": 0,
    "!(k - k)": 1,
    "k >> 1": (2**32 - 8) // 2, "(-8) >> 1": (2**32 - 8) // 2, "k << 30": 0,
    "j << 31": -(2**31), "j << 32": 0,
    "1 << 33": 0, "k / j": -2, "k % j": -2, "(-8) / 3": -2, "(-8) % 3": -2,
    "k / 3.0 * 3": -8, "k * 1000000000": 589934592,
    "j ** 2": 9, "abs(k)": 8, "min(k, j)": -8, "max(k, j)": 3,
    "(k < j) + (k <= j) + (k == j) + (k != j)": 3,
    "(k > 0 && j > 0) || j == 3": 1, "k & 12": 8, "k | 3": -5, "k > 0 ? 1 : 2": 2,
    "shift(k, 4)": (2**32 - 8) >> 4,
    "k + 2147483647 + 9": -(2**31) + 0,
}  # fmt: skip


def test_each_integer_operation_has_its_value(tmp_path: Path, cache: Path) -> None:
    arms = "\n".join(f"    {i}: y = {text};" for i, text in enumerate(INTEGERS))
    model = build(
        tmp_path,
        cache,
        f"""
module va_integers(a);
inout a; electrical a, o;
(* type="instance" *) parameter integer f = 0;
parameter integer k = -8, j = 3;
real y;
analog function integer shift;
  input p, n; integer p, n;
  shift = p >> n;
endfunction
analog begin
  case (f)
{arms}
    default: y = 0;
  endcase
  I(o) <+ V(o) - y;
  I(a) <+ V(a);
end
endmodule
""",
    )
    circuit = "v1 a 0 0\n.model mi va_integers\n" + "\n".join(
        f"n{i} a mi f={i}" for i in range(len(INTEGERS))
    )
    table, log = ngspice(
        tmp_path, [model], circuit, "op\nwrdata out " + " ".join(f"v(n{i}#o)" for i in range(len(INTEGERS)))
    )
    got = dict(zip(INTEGERS, table[0, 1:], strict=True))
    # Integer division happens before the product with a real, and sums of integers wrap at 32 bits.
    assert got == pytest.approx(INTEGERS, abs=1e-3), log


def test_a_real_remainder_of_a_voltage_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(VerilogAError, match="remainder % of a real"):
        build(
            tmp_path, cache, "module bad(a);\ninout a; electrical a;\nanalog I(a) <+ V(a) % 0.3;\nendmodule\n"
        )


FUNCTIONS = {
    "exp(x)": np.exp, "ln(x)": np.log, "log(x)": np.log10, "sqrt(x)": np.sqrt,
    "sin(x)": np.sin, "cos(x)": np.cos,
    "tan(x)": np.tan, "asin(x/3)": lambda x: np.arcsin(x / 3), "acos(x/3)": lambda x: np.arccos(x / 3),
    "atan(x)": np.arctan, "sinh(x)": np.sinh, "cosh(x)": np.cosh, "tanh(x)": np.tanh, "asinh(x)": np.arcsinh,
    "acosh(1+x)": lambda x: np.arccosh(1 + x), "atanh(x/3)": lambda x: np.arctanh(x / 3), "pow(x, 1.7)":
    lambda x: x**1.7, "pow(1.3, x)": lambda x: 1.3**x, "pow(x, x)": lambda x: x**x, "x**3": lambda x: x**3,
    "atan2(x, 0.5)": lambda x: np.arctan2(x, 0.5), "atan2(0.3, -x)": lambda x: np.arctan2(0.3, -x),
    "atan2(-x, -0.2)": lambda x: np.arctan2(-x, -0.2), "hypot(x, 2)": lambda x: np.hypot(x, 2),
    "hypot(0.1, -x)": lambda x: np.hypot(0.1, x), "abs(-x)": np.abs, "min(x, 3*x)": lambda x: x,
    "max(x*x, 0.1)": lambda x: x * x, "floor(x)+x": lambda x: np.floor(x) + x,
    "ceil(x)-x": lambda x: np.ceil(x) - x,
    "limexp(x)": np.exp, "x > 0.5 ? x*x : -x": lambda x: x * x, "1/(1+x)": lambda x: 1 / (1 + x), "cube(x)":
    lambda x: x**3,
}  # fmt: skip


def test_each_function_has_its_value_and_its_derivative(tmp_path: Path, cache: Path) -> None:
    arms = "\n".join(f"    {i}: y = {text};" for i, text in enumerate(FUNCTIONS))
    model = build(
        tmp_path,
        cache,
        f"""
module va_functions(a);
inout a; electrical a;
(* type="instance" *) parameter integer f = 0;
real x, y;
analog function real cube;
  input v; real v, w; integer i;
  begin
    w = 1;
    for (i = 0; i < 3; i = i + 1) w = w * v;
    cube = w;
  end
endfunction
analog begin
  x = V(a);
  y = 0;
  case (f)
{arms}
    default: y = 0;
  endcase
  I(a) <+ y;
end
endmodule
""",
    )
    x = 0.83
    circuit = "\n".join(f"v{i} a{i} 0 dc {x} ac 1\nn{i} a{i} mf f={i}" for i in range(len(FUNCTIONS)))
    currents = " ".join(f"i(v{i})" for i in range(len(FUNCTIONS)))
    deck = circuit + "\n.model mf va_functions"
    values, _ = ngspice(tmp_path, [model], deck, f"op\nwrdata out {currents}")
    slopes, _ = ngspice(tmp_path, [model], deck, f"ac lin 1 1k 1k\nwrdata out {currents}")
    for i, (text, function) in enumerate(FUNCTIONS.items()):
        assert -values[0, 1 + i] == pytest.approx(function(x), rel=1e-12), text
        slope = (function(x + 1e-6) - function(x - 1e-6)) / 2e-6
        assert -slopes[0, 1 + 2 * i] == pytest.approx(slope, rel=1e-7, abs=1e-8), text


DEFAULTS = """
module va_defaults(a);
inout a; electrical a, o1, o2, o3, o4;
parameter real w = 2 from (0:10] exclude 5;
(* type="instance" *) parameter integer k = 3 from [1:9] exclude [5:6];
parameter integer half = k / 2;
parameter real area = w * w from (0:200);
aliasparam surface = area;
localparam real twice = 2 * area;
analog begin
  I(o1) <+ V(o1) - half;
  I(o2) <+ V(o2) - area;
  I(o3) <+ V(o3) - twice;
  I(o4) <+ V(o4) - ($param_given(area) ? 1 : 0) - ($param_given(k) ? 10 : 0);
  I(a) <+ V(a);
end
endmodule
"""


def test_a_default_may_refer_to_other_parameters(tmp_path: Path, cache: Path) -> None:
    model = build(tmp_path, cache, DEFAULTS)
    table, log = ngspice(
        tmp_path,
        [model],
        "v1 a 0 0\nn1 a m1\nn2 a m2 k=7\nn3 a m3\n.model m1 va_defaults\n.model m2 va_defaults w=3\n"
        ".model m3 va_defaults area=7",
        "op\nwrdata out " + " ".join(f"v(n{n}#o{o})" for n in (1, 2, 3) for o in (1, 2, 3, 4)),
    )
    assert table[0, 1:] == pytest.approx([1, 4, 8, 0, 3, 9, 18, 10, 1, 7, 14, 1], abs=1e-9), log


@pytest.mark.parametrize(
    ("instance", "card", "name"),
    [
        ("", "w=11", "w"), ("", "w=0", "w"), ("", "w=5", "w"), ("k=0", "", "k"), ("k=5", "", "k"),
        ("k=10", "", "k"), ("", "area=-1", "area"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_stops_the_simulation(
    tmp_path: Path, cache: Path, instance: str, card: str, name: str
) -> None:
    model = build(tmp_path, cache, DEFAULTS)
    table, log = ngspice(
        tmp_path,
        [model],
        f"v1 a 0 0\nn1 a m1 {instance}\n.model m1 va_defaults {card}",
        "op\nwrdata out v(n1#o1)",
    )
    assert f"parameter {name} = " in log
    assert "is out of range: from" in log
    assert table.size == 0


REFUSED = {
    "I(a) <+ transition(V(a), 0, 1n);": "transition",
    "I(a) <+ slew(V(a), 1);": "slew",
    "I(a) <+ laplace_nd(V(a), '{1}, '{1, 1});": "laplace_nd",
    'I(a) <+ white_noise(1n, "x");': "white_noise",
    "I(a) <+ V(a) * $random;": "$random",
    "I(a) <+ V(a) * $rdist_normal(1, 0, 1);": "$rdist_normal",
    "@(cross(V(a), 1)) x = 1;": "event control",
    "@(initial_step) x = 1;": "event control",
    "x = x + 1; I(a) <+ x;": "variable x",
    "if ($abstime <= 0) x = 1; I(a) <+ x;": "variable x",
    "for (k = 0; k < 3; k = k + 1) x = k; I(a) <+ x;": "variable x",
    "case (k) 0: x = 1; endcase I(a) <+ x;": "variable x",
    "begin : inner real y; y = y + 1; end": "variable y",
    "$finish;": "$finish",
    "$bound_step(1n);": "$bound_step",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_what_cannot_be_translated_is_refused_with_its_line(
    tmp_path: Path, cache: Path, statement: str
) -> None:
    with pytest.raises(VerilogAError) as caught:
        build(
            tmp_path,
            cache,
            "module bad(a);\ninout a; electrical a;\nreal x; integer k;\nanalog "
            f"begin\n{statement}\nend\nendmodule\n",
        )
    message = str(caught.value)
    assert message.startswith("model.va:7: ")
    assert REFUSED[statement] in message


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("va_resistor #(.r(5)) r1(a, b);", "instance inside the module"),
        ("va_resistor r1(a, b);", "instance inside the module"),
        ("real x[0:3];", "arrays"),
        ('parameter string s = "abc";', "string parameter"),
        ("analog initial begin end", "initial"),
        ("parameter real q = 1; parameter real Q = 2;", "only by case"),
    ],
)
def test_a_refused_declaration_names_its_line(tmp_path: Path, cache: Path, item: str, words: str) -> None:
    with pytest.raises(VerilogAError, match=words) as caught:
        build(
            tmp_path,
            cache,
            f"module bad(a, b);\ninout a, b; electrical a, b;\n{item}\nanalog I(a) <+ 0;\nendmodule\n",
        )
    assert str(caught.value).startswith("model.va:5: ")


def test_a_second_module_in_a_file_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(VerilogAError, match="a second module"):
        build(tmp_path, cache, RESISTOR + RESISTOR.replace("va_resistor", "other"))


def test_a_syntax_error_names_the_users_line_through_macros_and_includes(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "body.inc").write_text("// a comment\n\nI(a) <+ nonsense * V(a);\n")
    with pytest.raises(VerilogAError, match=r"body\.inc:3: 'nonsense' was not found"):
        build(
            tmp_path,
            cache,
            'module bad(a);\ninout a; electrical a;\nanalog begin\n`include "body.inc"\nend\nendmodule\n',
        )


def test_a_missing_file_is_named_where_it_is_included(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(VerilogAError, match=r"model\.va:3: the included file absent\.inc was not found"):
        build(tmp_path, cache, '`include "absent.inc"\n')
    with pytest.raises(VerilogAError, match=r"cannot read the Verilog-A file absent\.va"):
        compile_model(tmp_path / "absent.va", cache=cache)


def test_variables_that_are_assigned_on_every_path_are_accepted(tmp_path: Path, cache: Path) -> None:
    build(
        tmp_path,
        cache,
        """
module fine(a);
inout a; electrical a;
real x, y, z = 3, u, w; integer k;
analog function real both;
  input p; output q; real p, q;
  begin q = 2 * p; both = p; end
endfunction
analog begin : named
  real inner;
  if (V(a) > 0) x = 1; else begin x = 2; end
  case (1) 0: y = 1; default: y = x; endcase
  k = 0;
  while (k < 2) begin k = k + 1; end
  inner = both(x, w);
  u = (k == 2) ? z : w;
  I(a) <+ V(a) * (x + y + u + inner + w);
end
endmodule
""",
    )


def test_macros_with_arguments_and_conditions_are_expanded(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
        """
`define G(v, r) ((v) / \\
  (r))
`define UNUSED(x) nonsense
`ifdef UNDEFINED
  `define SCALE nonsense
`elsif __OPENVAF__
  `define SCALE 2.0
`else
  nonsense
`endif
module va_macro(a); // "an open quote in a comment
inout a; electrical a; /* parameter real hidden = 1; */
analog I(a) <+ `SCALE * `G(V(a), max(5.0, 4.0)) + 0 * `M_PI;
endmodule
""",
    )
    assert model.parameters == ()
    table, log = ngspice(tmp_path, [model], "v1 a 0 1\nn1 a mm\n.model mm va_macro", "op\nwrdata out i(v1)")
    assert table[0, 1] == pytest.approx(-0.4), log


def test_an_integer_division_by_zero_stops_instead_of_crashing(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
        """
module va_division(a);
inout a; electrical a;
parameter integer d = 1;
analog I(a) <+ V(a) * (7 / d);
endmodule
""",
    )
    _, log = ngspice(
        tmp_path, [model], "v1 a 0 1\nn1 a mm\n.model mm va_division d=0", "op\nprint i(v1)\necho alive"
    )
    assert "integer division by zero in va_division" in log
    assert "alive" in log
    assert "i(v1) =" not in log


def test_fatal_stops_the_simulation_with_its_message(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
        """
module va_fatal(a);
inout a; electrical a;
analog begin
  if (V(a) > 0.5) $fatal(0, "too high: %g V", V(a));
  I(a) <+ V(a);
end
endmodule
""",
    )
    _, log = ngspice(
        tmp_path, [model], "v1 a 0 0\nn1 a mm\n.model mm va_fatal", "dc v1 0 1 0.25\nprint v(a)\necho alive"
    )
    assert "too high: 0.75 V" in log
    assert "alive" in log


def test_the_analysis_and_the_temperature_are_known(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
        """
module va_conditions(a);
inout a; electrical a, o, t;
analog begin
  I(o) <+ V(o) - (analysis("dc") ? 1 : 0) - (analysis("tran") ? 10 : 0);
  I(t) <+ V(t) - $temperature + $simparam("absent", 0.5);
  I(a) <+ V(a);
end
endmodule
""",
    )
    circuit = "v1 a 0 0\nn1 a mm\n.model mm va_conditions\n.options temp=50"
    table, log = ngspice(tmp_path, [model], circuit, "op\nwrdata out v(n1#o) v(n1#t)")
    assert table[0, 1:] == pytest.approx([1, 322.65]), log
    table, log = ngspice(tmp_path, [model], circuit, "tran 1n 3n\nwrdata out v(n1#o)")
    assert table[-1, 1] == pytest.approx(10), log


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


def test_zero_resistances_merge_their_nodes(tmp_path: Path, cache: Path) -> None:
    model = build(tmp_path, cache, COLLAPSE)
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


def test_a_short_circuit_between_terminals_stops_the_simulation(tmp_path: Path, cache: Path) -> None:
    model = build(tmp_path, cache, COLLAPSE)
    table, log = ngspice(
        tmp_path, [model], "v1 a 0 1\nn1 a b mc\nr1 b 0 1\n.model mc va_chain re=0", "op\nwrdata out i(v1)"
    )
    assert "short-circuits two of its terminals" in log
    assert table.size == 0


def test_a_switch_branch_changes_between_voltage_and_current(tmp_path: Path, cache: Path) -> None:
    model = build(
        tmp_path,
        cache,
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


def test_two_models_live_in_one_simulation(tmp_path: Path, cache: Path) -> None:
    first = build(tmp_path, cache, RESISTOR)
    second = build(tmp_path, cache, DIODE)
    table, log = ngspice(
        tmp_path,
        [first, second],
        "v1 a 0 1\nn1 a b mr r=1k\nn2 b 0 md\n.model mr va_resistor\n.model md va_diode",
        "op\nwrdata out i(v1) v(b)",
    )
    current, voltage = -table[0, 1], table[0, 2]
    assert current == pytest.approx((1 - voltage) / 1000, rel=1e-9), log
    assert current == pytest.approx(1e-14 * math.expm1(voltage / 0.0258649), rel=1e-2)


def test_a_second_compilation_is_a_hit(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    model = build(tmp_path, cache, RESISTOR)
    stamp = model.library.stat().st_mtime_ns
    start = time.perf_counter()
    assert build(tmp_path, cache, RESISTOR) == model
    assert time.perf_counter() - start < 0.05
    assert model.library.stat().st_mtime_ns == stamp


def test_a_damaged_record_is_compiled_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    model = build(tmp_path, cache, RESISTOR)
    record = model.library.with_name("model.json")
    record.write_text("{")
    assert build(tmp_path, cache, RESISTOR) == model
    assert json.loads(record.read_text())["module"] == "va_resistor"


def test_two_copies_in_different_folders_have_the_same_digest(tmp_path: Path, cache: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "value.inc").write_text("`define VALUE 3\n")
        text = '`include "value.inc"\n' + RESISTOR.replace("/ r", "/ r * `VALUE")
        digests.add(build(folder, cache, text, name=f"{name}.va").digest)
    assert len(digests) == 1


def test_changing_an_include_changes_the_digest_and_the_library(tmp_path: Path, cache: Path) -> None:
    text = '`include "value.inc"\n' + RESISTOR.replace("/ r", "/ r * `VALUE")
    (tmp_path / "value.inc").write_text("`define VALUE 3\n")
    first = build(tmp_path, cache, text)
    (tmp_path / "value.inc").write_text("`define VALUE 4\n")
    second = build(tmp_path, cache, text)
    assert first.digest != second.digest
    assert first.library != second.library


def test_processes_that_compile_at_once_all_get_a_whole_library(tmp_path: Path) -> None:
    source = tmp_path / "race.va"
    source.write_text(HEADER + RESISTOR)
    program = (
        "import sys; from pathlib import Path; from spicebridge.verilog_a import compile_model; import "
        "ctypes;"
        "m = compile_model(Path(sys.argv[1]), cache=Path(sys.argv[2])); ctypes.CDLL(str(m.library)); "
        "print(m.library)"
    )
    command = [sys.executable, "-c", program, str(source), str(tmp_path / "cache")]
    root = Path(__file__).parent.parent
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
        for _ in range(4)
    ]
    results = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * 4, results
    assert len({out for out, _ in results}) == 1


def test_a_missing_c_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VerilogAError, match="no C compiler cc on the PATH"):
        build(tmp_path, tmp_path / "cache", RESISTOR)


def test_a_missing_openvaf_binary_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.va").write_text(HEADER + RESISTOR)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VerilogAError, match="no openvaf-r or openvaf on the PATH"):
        compile_model(tmp_path / "model.va", cache=tmp_path / "cache", compiler="openvaf")
    with pytest.raises(VerilogAError, match="unknown Verilog-A compiler"):
        compile_model(tmp_path / "model.va", cache=tmp_path / "cache", compiler="other")


@pytest.mark.skipif(not (shutil.which("openvaf-r") or shutil.which("openvaf")), reason="no OpenVAF binary")
def test_an_openvaf_binary_gives_the_same_current(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "model.va").write_text(HEADER + RESISTOR)
    model = compile_model(tmp_path / "model.va", cache=cache, compiler="openvaf")
    table, log = ngspice(
        tmp_path, [model], "v1 a 0 2\nn1 a 0 mr r=500\n.model mr va_resistor", "op\nwrdata out i(v1)"
    )
    assert table[0, 1] == pytest.approx(-2 / 500), log


def test_the_same_seed_gives_the_same_noisy_trajectory(tmp_path: Path, cache: Path) -> None:
    model = compile_model(FIXTURES / "macrospin.va", cache=cache)
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
