"""Verilog-A's functions, integers, parameters and statements, each by the values that ngspice then has."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.verilog_a_models import build, ngspice

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


def test_an_integer_hash_equals_numpy_bit_for_bit(tmp_path: Path, compiled_models: Path) -> None:
    model = build(tmp_path, compiled_models, HASH)
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


def test_each_integer_operation_has_its_value(tmp_path: Path, compiled_models: Path) -> None:
    arms = "\n".join(f"    {i}: y = {text};" for i, text in enumerate(INTEGERS))
    model = build(
        tmp_path,
        compiled_models,
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


def test_each_function_has_its_value_and_its_derivative(tmp_path: Path, compiled_models: Path) -> None:
    arms = "\n".join(f"    {i}: y = {text};" for i, text in enumerate(FUNCTIONS))
    model = build(
        tmp_path,
        compiled_models,
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


def test_a_default_may_refer_to_other_parameters(tmp_path: Path, compiled_models: Path) -> None:
    model = build(tmp_path, compiled_models, DEFAULTS)
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
    tmp_path: Path, compiled_models: Path, instance: str, card: str, name: str
) -> None:
    model = build(tmp_path, compiled_models, DEFAULTS)
    table, log = ngspice(
        tmp_path,
        [model],
        f"v1 a 0 0\nn1 a m1 {instance}\n.model m1 va_defaults {card}",
        "op\nwrdata out v(n1#o1)",
    )
    assert f"parameter {name} = " in log
    assert "is out of range: from" in log
    assert table.size == 0


def test_variables_that_are_assigned_on_every_path_are_accepted(
    tmp_path: Path, compiled_models: Path
) -> None:
    build(
        tmp_path,
        compiled_models,
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


def test_macros_with_arguments_and_conditions_are_expanded(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
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


def test_an_integer_division_by_zero_stops_instead_of_crashing(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
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


def test_fatal_stops_the_simulation_with_its_message(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
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


def test_the_analysis_and_the_temperature_are_known(tmp_path: Path, compiled_models: Path) -> None:
    model = build(
        tmp_path,
        compiled_models,
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
