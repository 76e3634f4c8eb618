"""Verilog-A in time: integrators with a start, which analysis runs, limiting by a model's own function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from spicebridge.verilog_a.model import VerilogAError
from tests.verilog_a_models import build, ngspice

STARTS = ("tran 1n 1u 0 1n", "tran 1n 1u 0 1n uic")
TWO = "module m(a, b);\ninout a, b; electrical a, b;\n"
BENCH = "v1 a 0 1\nn1 a b mm\n.model mm m"


def waveform(folder: Path, cache: Path, body: str, control: str, circuit: str = BENCH) -> np.ndarray:
    """Time and v(b) of a model with the terminals a and b."""
    model = build(folder, cache, f"{TWO}{body}\nendmodule\n")
    table, log = ngspice(folder, [model], circuit, f"{control}\nwrdata out v(b)")
    assert table.size, log
    return table


@pytest.mark.parametrize("control", STARTS)
@pytest.mark.parametrize(
    ("body", "start", "rate"),
    [
        ("analog V(b) <+ idt(V(a) * 1e6, 0.3);", 0.3, 1e6),
        ("analog V(b) <+ idt(0 * V(a), 0.3);", 0.3, 0.0),
        ("analog V(b) <+ idt(2e6, 0.3);", 0.3, 2e6),
        ("analog V(b) <+ idt(0.0, 0.7);", 0.7, 0.0),
        ("parameter real x0 = 0.4; parameter real k = 3e6; analog V(b) <+ idt(k * V(a), x0);", 0.4, 3e6),
        ("parameter integer on = 1; analog if (on == 1) V(b) <+ idt(1e6, -0.6); else V(b) <+ 0;", -0.6, 1e6),
        ("analog I(b) <+ V(b) * 1e-3 - idt(1e3 * V(a), 1e-3);", 1.0, 1e6),
        ("analog V(b) <+ idt(V(a) * 1e6, 0.3) + idt(V(a) - V(a), 0.1);", 0.4, 1e6),
    ],
)
def test_an_integrator_starts_from_its_initial_value(
    tmp_path: Path, compiled_models: Path, control: str, body: str, start: float, rate: float
) -> None:
    """With an operating point before and without; the rate varies, is constant, or is zero."""
    time, value = waveform(tmp_path, compiled_models, body, control).T
    assert time[-1] == pytest.approx(1e-6)
    assert value == pytest.approx(start + rate * time, abs=1e-9)


@pytest.mark.parametrize("method", ["trap", "gear"])
@pytest.mark.parametrize("control", STARTS)
def test_an_integrator_in_a_loop_is_scipys(
    tmp_path: Path, compiled_models: Path, control: str, method: str
) -> None:
    """A decay and its integral, nested in an expression: two integrators, each with its start."""
    body = """
electrical x, y;
analog begin
  V(x) <+ idt(-2e6 * V(x) * V(x), 0.9);
  V(y) <+ idt(1e6 * V(x), 0.1);
  V(b) <+ 1 + 2 * V(x) * V(y);
end"""
    circuit = f"{BENCH}\n.options method={method} reltol=1e-6"
    time, value = waveform(tmp_path, compiled_models, body, control, circuit).T
    law = solve_ivp(
        lambda _, s: [-2e6 * s[0] ** 2, 1e6 * s[0]], (0, 1e-6), [0.9, 0.1], rtol=1e-10, atol=1e-12,
        dense_output=True,
    )  # fmt: skip
    x, y = law.sol(time)
    assert value == pytest.approx(1 + 2 * x * y, abs=2e-5)


def test_an_integrators_start_may_depend_on_the_operating_point(
    tmp_path: Path, compiled_models: Path
) -> None:
    time, value = waveform(
        tmp_path, compiled_models, "analog V(b) <+ idt(1e6, V(a) * 0.25);", "tran 1n 1u 0 1n"
    ).T
    assert value == pytest.approx(0.25 + 1e6 * time, abs=1e-9)


def test_an_integrators_operating_point_is_its_initial_value(tmp_path: Path, compiled_models: Path) -> None:
    table = waveform(tmp_path, compiled_models, "analog V(b) <+ idt(V(a), 0.3);", "dc v1 0 2 1")
    assert table[:, 1] == pytest.approx(0.3)


def test_an_integrator_has_the_response_of_an_integrator(tmp_path: Path, compiled_models: Path) -> None:
    model = build(tmp_path, compiled_models, f"{TWO}analog V(b) <+ idt(1e6 * V(a), 0.3);\nendmodule\n")
    table, log = ngspice(
        tmp_path, [model], "v1 a 0 0 ac 1\nn1 a b mm\n.model mm m", "ac dec 2 1k 1meg\nwrdata out v(b)"
    )
    response = table[:, 1] + 1j * table[:, 2]
    assert response == pytest.approx(1e6 / (2j * np.pi * table[:, 0]), rel=1e-6), log


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("V(b) <+ idt(V(a), 0.3, V(a) > 2);", "third argument"),
        ("V(b) <+ idt(idt(V(a), 0.5), 0.2);", "idt inside the argument of idt"),
        ("V(b) <+ idt(2 * ddt(V(a)), 0.2);", "ddt inside the argument of idt"),
        ("V(b) <+ idtmod(V(a), 0.2, 1);", "idtmod is refused"),
    ],
)
def test_what_an_integrator_cannot_do_is_refused(
    tmp_path: Path, compiled_models: Path, statement: str, named: str
) -> None:
    with pytest.raises(VerilogAError, match=named):
        build(tmp_path, compiled_models, f"{TWO}analog {statement}\nendmodule\n")


def test_the_advice_for_an_integral_of_an_integral_is_right(tmp_path: Path, compiled_models: Path) -> None:
    body = "real y; analog begin y = idt(1e6 * V(a), 0.5); V(b) <+ idt(1e6 * y, 0.2); end"
    time, value = waveform(tmp_path, compiled_models, body, STARTS[0]).T
    assert value == pytest.approx(0.2 + 0.5e6 * time + 0.5e12 * time**2, abs=1e-5)


def test_the_advice_for_a_reset_is_right(tmp_path: Path, compiled_models: Path) -> None:
    """The integral is held at its start while the input is above 0.5 V, here until 0.4 us."""
    body = "analog V(b) <+ idt(V(a) > 0.5 ? 1e12 * (0.3 - V(b)) : 1e6, 0.3);"
    circuit = "v1 a 0 pwl(0 1 400n 1 400.1n 0)\nn1 a b mm\n.model mm m"
    time, value = waveform(tmp_path, compiled_models, body, STARTS[0], circuit).T
    assert value == pytest.approx(0.3 + 1e6 * np.maximum(0, time - 400.05e-9), abs=2e-3)


REMEMBERS = """
parameter real x0 = 0.1; parameter real k = 1e6;
real x, last;
analog begin
  @(initial_step) begin
    x = x0;
    last = 0;
  end
  x = x + k * V(a, b) * ($abstime - last);
  last = $abstime;
  I(a, b) <+ 1e-3 * x * V(a, b);
end
"""


def test_a_state_in_a_variable_is_named_as_one(tmp_path: Path, compiled_models: Path) -> None:
    with pytest.raises(VerilogAError) as refusal:
        build(tmp_path, compiled_models, f"{TWO}{REMEMBERS}endmodule\n")
    for words in ("it is a state (last, x)", "model.va:13", "V(NODE) <+ idt(RATE, START)"):
        assert words in str(refusal.value)


@pytest.mark.parametrize("control", STARTS)
def test_the_advice_for_a_state_is_right(tmp_path: Path, compiled_models: Path, control: str) -> None:
    """The refused model as its message says to write it: x grows from 0.1 by 1e6 a second and volt."""
    body = """
parameter real x0 = 0.1; parameter real k = 1e6;
electrical x;
analog begin
  V(x) <+ idt(k * V(a, b), x0);
  I(a, b) <+ 1e-3 * V(x) * V(a, b);
end
"""
    model = build(tmp_path, compiled_models, f"{TWO}{body}endmodule\n")
    table, log = ngspice(
        tmp_path, [model], "v1 a 0 1\nn1 a 0 mm\n.model mm m", f"{control}\nwrdata out i(v1)"
    )
    time, current = table[1:].T
    assert -current == pytest.approx(1e-3 * (0.1 + 1e6 * time), rel=1e-6), log


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (
            "@(initial_step) x = 2 * x0; I(a, b) <+ x * V(a, b);",
            "write the same statements without the event",
        ),
        ("@(initial_step) x = V(a, b); I(a, b) <+ x;", "Pass that value as a parameter"),
        ('@(initial_step("tran")) x = x0; x = x * 0.5; I(a, b) <+ x;', "it is a state"),
        ("@(cross(V(a, b) - 0.5)) x = 1; I(a, b) <+ x;", "events are not detected"),
        ("@(timer(1u)) x = x + 1; I(a, b) <+ x;", "events are not detected"),
        ("if (V(a, b) > 0) x = x + 1; I(a, b) <+ x;", "V(NODE) <+ idt(RATE, START)"),
    ],
)
def test_each_event_is_refused_with_the_cure_that_fits_it(
    tmp_path: Path, compiled_models: Path, block: str, words: str
) -> None:
    text = f"{TWO}parameter real x0 = 1e-3; real x;\nanalog begin {block} end\nendmodule\n"
    with pytest.raises(VerilogAError) as refusal:
        build(tmp_path, compiled_models, text)
    assert words in str(refusal.value)


def test_a_static_branch_holds_the_state_while_the_operating_point_is_sought(
    tmp_path: Path, compiled_models: Path
) -> None:
    """1 nF that is charged by 1 mA from 0.5 V."""
    for name in ("static", "ic"):
        body = f"""
analog begin
  if (analysis("{name}")) I(b) <+ V(b) - 0.5;
  else I(b) <+ -1e-3;
  I(b) <+ ddt(1e-9 * V(b));
end"""
        time, value = waveform(tmp_path, compiled_models, body, "tran 1n 100n 0 1n").T
        assert value == pytest.approx(0.5 + 1e6 * time, abs=1e-9)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("op", {"static", "dc"}),
        ("dc v1 1 1 1", {"static", "dc"}),
        ("tran 1n 10n", {"static", "ic", "tran"}),
        ("tran 1n 10n uic", {"tran"}),
    ],
)
def test_the_analysis_that_runs_is_known(
    tmp_path: Path, compiled_models: Path, control: str, expected: set[str]
) -> None:
    """Each name adds its power of two; the first row is the operating point, which ``uic`` leaves out."""
    names = ("static", "ic", "tran", "dc", "ac")
    terms = " + ".join(f'(analysis("{name}") ? {2**i} : 0)' for i, name in enumerate(names))
    table = waveform(tmp_path, compiled_models, f"analog V(b) <+ {terms};", control)
    assert table[0, 1] == pytest.approx(sum(2 ** names.index(name) for name in expected))
    if control.startswith("tran"):
        assert table[-1, 1] == pytest.approx(2 ** names.index("tran"))


def test_several_analyses_may_be_named_at_once(tmp_path: Path, compiled_models: Path) -> None:
    body = 'analog V(b) <+ (analysis("dc", "tran") ? 1 : 0) + (analysis("ac", "ic") ? 2 : 0);'
    assert waveform(tmp_path, compiled_models, body, "op")[0, 1] == pytest.approx(1.0)
    assert waveform(tmp_path, compiled_models, body, "tran 1n 10n")[0, 1] == pytest.approx(3.0)


def test_a_small_signal_analysis_sees_the_dynamic_branch(tmp_path: Path, compiled_models: Path) -> None:
    body = 'analog begin if (analysis("static")) V(b) <+ V(a); else V(b) <+ 3 * V(a); end'
    model = build(tmp_path, compiled_models, f"{TWO}{body}\nendmodule\n")
    table, log = ngspice(
        tmp_path, [model], "v1 a 0 1 ac 1\nn1 a b mm\n.model mm m", "ac lin 1 1k 1k\nwrdata out v(b)"
    )
    assert table[0, 1] == pytest.approx(3.0), log


@pytest.mark.parametrize("name", ["noise", "nodeset", "nonsense"])
def test_an_analysis_that_ngspice_never_names_is_refused(
    tmp_path: Path, compiled_models: Path, name: str
) -> None:
    text = f'{TWO}analog begin if (analysis("{name}")) I(a, b) <+ 1; I(a, b) <+ V(a, b); end\nendmodule\n'
    with pytest.raises(VerilogAError, match=rf'analysis\("{name}"\) is refused'):
        build(tmp_path, compiled_models, text)


LIMITED = """
parameter real is = 1e-14;
analog function real limited;
  input now, before, step; real now, before, step;
  begin
    if (now > before + step) limited = before + step;
    else if (now < before - step) limited = before - step;
    else limited = now;
    DISCONTINUITY
  end
endfunction
real vd;
analog begin
  vd = $limit(V(a, b), limited, STEP);
  I(a, b) <+ is * (exp(vd / 0.02585) - 1);
end
endmodule
"""


@pytest.mark.parametrize("step", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("discontinuity", ["", "if (limited != now) $discontinuity(-1);"])
def test_a_models_own_limiting_function_gives_the_right_operating_point(
    tmp_path: Path, compiled_models: Path, step: float, discontinuity: str
) -> None:
    """Whether or not it says that it limited: 2 V over 1 kohm and a diode."""
    text = LIMITED.replace("STEP", str(step)).replace("DISCONTINUITY", discontinuity)
    model = build(tmp_path, compiled_models, TWO + text)
    circuit = "v1 s 0 2\nr1 s d 1k\nn1 d 0 mm\n.model mm m\n.options itl1=500"
    table, log = ngspice(tmp_path, [model], circuit, "op\nwrdata out v(d)")
    right = brentq(lambda v: 1e-14 * np.expm1(v / 0.02585) - (2 - v) / 1e3, 0, 1)
    assert table[0, 1] == pytest.approx(right, abs=1e-4), log


def test_a_message_that_depends_on_parameters_only_is_printed_at_set_up(
    tmp_path: Path, compiled_models: Path
) -> None:
    body = 'parameter real r = 1k; analog begin I(a, b) <+ V(a, b) / r; if (r < 1) $strobe("small"); end'
    model = build(tmp_path, compiled_models, f"{TWO}{body}\nendmodule\n")
    for r, printed in ((0.5, True), (1000, False)):
        table, log = ngspice(
            tmp_path, [model], f"v1 a 0 1\nn1 a 0 mm\n.model mm m r={r}", "op\nwrdata out i(v1)"
        )
        assert table[0, 1] == pytest.approx(-1 / r)
        assert ("a message at set-up of m" in log) == printed


@pytest.mark.parametrize(
    "statement",
    [
        "begin " + "if (V(a) > 0) begin " * 2000 + "x = 1; " + "end " * 2000 + "end",
        "if (V(a) > 0) " * 2000 + "x = 1;",
        "begin " + "".join(f"if (V(a) > {i}) x = {i}; else " for i in range(2000)) + "x = 3; end",
        "begin " * 2000 + "x = 1; " + "end " * 2000,
        "k = " + "~" * 5000 + "1;",
    ],
    ids=["if blocks", "ifs", "else ifs", "blocks", "complements"],
)
def test_what_is_nested_too_deeply_is_refused_in_a_sentence(
    tmp_path: Path, compiled_models: Path, statement: str
) -> None:
    text = (
        f"{TWO}real x; integer k;\nanalog begin x = 0; k = 0; {statement}\nI(a, b) <+ x + k; end\nendmodule\n"
    )
    with pytest.raises(VerilogAError, match="nested too deeply"):
        build(tmp_path, compiled_models, text)


@pytest.mark.parametrize("loop", ["while (1) x = x + 1;", "k = 1; while (k > 0) x = x + 1;"])
def test_a_loop_that_never_ends_is_refused_in_a_sentence(
    tmp_path: Path, compiled_models: Path, loop: str
) -> None:
    text = f"{TWO}real x; integer k;\nanalog begin x = 0; {loop} I(a, b) <+ x; end\nendmodule\n"
    with pytest.raises(VerilogAError, match="its condition never becomes false"):
        build(tmp_path, compiled_models, text)
