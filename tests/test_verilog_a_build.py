"""Compiling Verilog-A: what is refused and where, the cache, the compilers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spicebridge.verilog_a import VerilogAError, compile_model
from tests.verilog_a_models import HEADER, RESISTOR, build, ngspice


def test_the_parameters_are_described(tmp_path: Path, compiled_models: Path) -> None:
    model = build(tmp_path, compiled_models, RESISTOR)
    (r,) = model.parameters
    assert (r.name, r.kind, r.default, r.unit, r.description, r.range, r.is_instance) == (
        "r", "real", "1k", "Ohm", "resistance", "from (0:inf)", True,
    )  # fmt: skip
    assert model.module == "va_resistor"
    assert model.terminals == ("a", "b")
    assert model.library.is_absolute()


def test_a_real_remainder_of_a_voltage_is_refused(tmp_path: Path, compiled_models: Path) -> None:
    with pytest.raises(VerilogAError, match="remainder % of a real"):
        build(
            tmp_path,
            compiled_models,
            "module bad(a);\ninout a; electrical a;\nanalog I(a) <+ V(a) % 0.3;\nendmodule\n",
        )


REFUSED = {
    "I(a) <+ transition(V(a), 0, 1n);": "transition",
    "I(a) <+ slew(V(a), 1);": "slew",
    "I(a) <+ laplace_nd(V(a), '{1}, '{1, 1});": "laplace_nd",
    'I(a) <+ white_noise(1n, "x");': "white_noise",
    "I(a) <+ V(a) * $random;": "$random",
    "I(a) <+ V(a) * $rdist_normal(1, 0, 1);": "$rdist_normal",
    "@(cross(V(a), 1)) x = 1;": "@(cross",
    "@(initial_step) x = 1;": "@(initial_step) is refused",
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
    tmp_path: Path, compiled_models: Path, statement: str
) -> None:
    with pytest.raises(VerilogAError) as caught:
        build(
            tmp_path,
            compiled_models,
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
def test_a_refused_declaration_names_its_line(
    tmp_path: Path, compiled_models: Path, item: str, words: str
) -> None:
    with pytest.raises(VerilogAError, match=words) as caught:
        build(
            tmp_path,
            compiled_models,
            f"module bad(a, b);\ninout a, b; electrical a, b;\n{item}\nanalog I(a) <+ 0;\nendmodule\n",
        )
    assert str(caught.value).startswith("model.va:5: ")


def test_a_second_module_in_a_file_is_refused(tmp_path: Path, compiled_models: Path) -> None:
    with pytest.raises(VerilogAError, match="a second module"):
        build(tmp_path, compiled_models, RESISTOR + RESISTOR.replace("va_resistor", "other"))


def test_a_syntax_error_names_the_users_line_through_macros_and_includes(
    tmp_path: Path, compiled_models: Path
) -> None:
    (tmp_path / "body.inc").write_text("// a comment\n\nI(a) <+ nonsense * V(a);\n")
    with pytest.raises(VerilogAError, match=r"body\.inc:3: 'nonsense' was not found"):
        build(
            tmp_path,
            compiled_models,
            'module bad(a);\ninout a; electrical a;\nanalog begin\n`include "body.inc"\nend\nendmodule\n',
        )


def test_a_missing_file_is_named_where_it_is_included(tmp_path: Path, compiled_models: Path) -> None:
    with pytest.raises(VerilogAError, match=r"model\.va:3: the included file absent\.inc was not found"):
        build(tmp_path, compiled_models, '`include "absent.inc"\n')
    with pytest.raises(VerilogAError, match=r"cannot read the Verilog-A file absent\.va"):
        compile_model(tmp_path / "absent.va", cache=compiled_models)


def test_a_second_compilation_is_a_hit(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    model = build(tmp_path, cache, RESISTOR)
    stamp = model.library.stat().st_mtime_ns
    start = time.process_time()
    assert build(tmp_path, cache, RESISTOR) == model
    assert time.process_time() - start < 0.05
    assert model.library.stat().st_mtime_ns == stamp


def test_a_damaged_record_is_compiled_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    model = build(tmp_path, cache, RESISTOR)
    record = model.library.with_name("model.json")
    record.write_text("{")
    assert build(tmp_path, cache, RESISTOR) == model
    assert json.loads(record.read_text())["module"] == "va_resistor"


def test_two_copies_in_different_folders_have_the_same_digest(tmp_path: Path, compiled_models: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "value.inc").write_text("`define VALUE 3\n")
        text = '`include "value.inc"\n' + RESISTOR.replace("/ r", "/ r * `VALUE")
        digests.add(build(folder, compiled_models, text, name=f"{name}.va").digest)
    assert len(digests) == 1


def test_changing_an_include_changes_the_digest_and_the_library(
    tmp_path: Path, compiled_models: Path
) -> None:
    text = '`include "value.inc"\n' + RESISTOR.replace("/ r", "/ r * `VALUE")
    (tmp_path / "value.inc").write_text("`define VALUE 3\n")
    first = build(tmp_path, compiled_models, text)
    (tmp_path / "value.inc").write_text("`define VALUE 4\n")
    second = build(tmp_path, compiled_models, text)
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
def test_an_openvaf_binary_gives_the_same_current(tmp_path: Path, compiled_models: Path) -> None:
    (tmp_path / "model.va").write_text(HEADER + RESISTOR)
    model = compile_model(tmp_path / "model.va", cache=compiled_models, compiler="openvaf")
    table, log = ngspice(
        tmp_path, [model], "v1 a 0 2\nn1 a 0 mr r=500\n.model mr va_resistor", "op\nwrdata out i(v1)"
    )
    assert table[0, 1] == pytest.approx(-2 / 500), log
