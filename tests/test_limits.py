"""Files that would cost without end: each ends within its bound, in a sentence that says how to raise it."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from characterization.definition import load_definition
from spicebridge.errors import SpicebridgeError
from spicebridge.limits import FILE, LIMITS, Limit
from spicebridge.netlist import read_deck
from spicebridge.permission import outside
from spicebridge.reading import read_bytes
from spicebridge.verilog_a import compile_model
from spicebridge.verilog_a.source import read_source
from tests.command_line import refused

HEAD = '`include "disciplines.vams"\nmodule m(a, b); inout a, b; electrical a, b;\n'
MODEL = HEAD + "analog I(a, b) <+ V(a, b);\nendmodule\n"


def deck(folder: Path, body: str) -> Path:
    path = folder / "d.cir"
    path.write_text(f"title\n{body}\nv1 1 0 1\nr1 1 0 1\n.op\n.end\n")
    return path


def read(path: Path) -> None:
    read_deck(path, permission=outside([path.parent]))


def test_a_limit_is_raised_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FILE.value == FILE.default
    monkeypatch.setenv(FILE.variable, "7")
    assert FILE.value == 7
    assert f"export {FILE.variable}=14" in FILE.remedy


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "many", "1 MB"])
def test_a_limit_that_is_no_number_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_MAX_X", value)
    with pytest.raises(SpicebridgeError, match=r"SPICEBRIDGE_MAX_X=.* should be a positive number of s"):
        _ = Limit("SPICEBRIDGE_MAX_X", 1, "s", "nothing").value


def piped(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound(path: Path) -> None:
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(path))
    held.close()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


KINDS = [piped, device, sparse]
READERS: dict[str, Callable[[Path, Path], object]] = {
    "d.cir": lambda path, _: read(path),
    "m.va": lambda path, cache: compile_model(path, cache=cache),
    "s.toml": lambda path, _: load_definition(str(path), size="quick", overrides={}),
    "lib.inc": lambda path, _: read(deck(path.parent, f".include {path.name}")),
    "inc.va": lambda path, cache: compile_model(_including(path), cache=cache),
}


def _including(path: Path) -> Path:
    model = path.with_name("outer.va")
    model.write_text(f'`include "{path.name}"\n{MODEL}')
    return model


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_has_no_end_is_not_read(kind: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    kind(path)
    started = time.monotonic()
    with pytest.raises(SpicebridgeError) as caught:
        READERS[name](path, tmp_path / "cache")
    assert time.monotonic() - started < 20
    assert len(str(caught.value)) < 600
    if kind is sparse:
        assert re.search(r"raise the limit: export SPICEBRIDGE_MAX_\w+_MB=\d+$", str(caught.value))


def test_a_socket_is_no_file(tmp_path: Path) -> None:
    bound(tmp_path / "s")
    with pytest.raises((SpicebridgeError, OSError)):
        read_bytes(tmp_path / "s", FILE)


def test_includes_that_multiply_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten files of ten includes each, ten deep: 10^10 lines."""
    for depth in range(10):
        (tmp_path / f"f{depth}.inc").write_text(f".include f{depth + 1}.inc\n" * 10)
    (tmp_path / "f10.inc").write_text("r9 1 0 1\n")
    monkeypatch.setenv("SPICEBRIDGE_MAX_INCLUDES", "300")
    with pytest.raises(SpicebridgeError, match=r"includes more than 300 files.*SPICEBRIDGE_MAX_INCLUDES=600"):
        read(deck(tmp_path, ".include f0.inc"))


def test_includes_of_much_text_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / f"big{number}.inc").write_text("* comment\n" * 50_000)
    monkeypatch.setenv("SPICEBRIDGE_MAX_NETLIST_MB", "2")
    with pytest.raises(SpicebridgeError, match=r"more than 2 MB.*SPICEBRIDGE_MAX_NETLIST_MB=4"):
        read(deck(tmp_path, "".join(f".include big{number}.inc\n" for number in range(5))))
    read(deck(tmp_path, "".join(f".include big{number}.inc\n" for number in range(3))))


def test_a_file_that_is_included_often_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some.inc").write_text("r9 1 0 1\n" * 100)
    monkeypatch.setenv("SPICEBRIDGE_MAX_NETLIST_LINES", "1000")
    with pytest.raises(SpicebridgeError, match=r"more than 1,000 lines.*SPICEBRIDGE_MAX_NETLIST_LINES=2000"):
        read(deck(tmp_path, ".include some.inc\n" * 11))


def test_a_chain_of_includes_ends(tmp_path: Path) -> None:
    for depth in range(2000):
        (tmp_path / f"f{depth}.inc").write_text(f".include f{depth + 1}.inc\n")
    with pytest.raises(SpicebridgeError, match="nested more than 64 levels deep"):
        read(deck(tmp_path, ".include f0.inc"))


MACROS = {
    "doubling": "`define A0 x\n" + "".join(f"`define A{n + 1} `A{n} `A{n}\n" for n in range(60)) + "`A60\n",
    "arguments": "`define D(x) x x\n" + "`D(" * 30 + "y" + ")" * 30 + "\n",
    "long": "`define L " + "x " * 3000 + "\n" + "`L\n" * 1000,
    "itself": "`define S `S `S\n`S\n",
}


@pytest.mark.parametrize("name", MACROS)
def test_macros_that_multiply_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_MAX_VERILOG_A_TOKENS", "20000")
    path = tmp_path / "m.va"
    path.write_text(MACROS[name] + MODEL)
    with pytest.raises(SpicebridgeError, match=r"20,000 tokens.*_VERILOG_A_TOKENS=40000"):
        read_source(path)


def test_includes_of_models_that_multiply_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for depth in range(10):
        (tmp_path / f"f{depth}.inc").write_text(f'`include "f{depth + 1}.inc"\n' * 10)
    (tmp_path / "f10.inc").write_text("\n")
    (tmp_path / "m.va").write_text('`include "f0.inc"\n' + MODEL)
    monkeypatch.setenv("SPICEBRIDGE_MAX_INCLUDES", "300")
    with pytest.raises(SpicebridgeError, match="includes more than 300 files"):
        read_source(tmp_path / "m.va")


def heavy(folder: Path, statements: int) -> Path:
    """A model of many derivatives, which takes the compilers long."""
    body = "".join(f"x = exp(x * V(a, b) + {n}) * tanh(x);\n" for n in range(statements))
    path = folder / "m.va"
    path.write_text(f"{HEAD}real x;\nanalog begin\nx = V(a, b);\n{body}I(a, b) <+ x;\nend\nendmodule\n")
    return path


def test_a_compilation_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_MAX_COMPILE_SECONDS", "1")
    started = time.monotonic()
    with pytest.raises(SpicebridgeError, match=r"takes more than 1 s.*SPICEBRIDGE_MAX_COMPILE_SECONDS=2"):
        compile_model(heavy(tmp_path, 3000), cache=tmp_path / "cache")
    assert time.monotonic() - started < 15
    assert not _compiling(tmp_path)


def test_a_compilation_ends_with_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_MAX_COMPILE_MB", "200")
    with pytest.raises(SpicebridgeError, match=r"200 MB.*SPICEBRIDGE_MAX_COMPILE_MB=400"):
        compile_model(heavy(tmp_path, 3000), cache=tmp_path / "cache")


def _compiling(folder: Path) -> list[str]:
    """The commands of compilers that still run for a source in the folder."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has ended
    return [command for command in commands if str(folder) in command and "build_child" in command]


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("start = 0\nstop = 1\npoints = 1000000000000", "points"),
        ("start = 0\nstop = 1\npoints = -1", "points"),
        ("start = 0\nstop = inf\npoints = 3", "finite"),
        ("values = [1, nan]", "finite"),
    ],
)
def test_an_axis_of_too_many_points_is_refused_before_it_is_made(
    axis: str, words: str, tmp_path: Path
) -> None:
    deck(tmp_path, ".param r=1\n.meas op x find v(1)")
    (tmp_path / "s.toml").write_text(
        f'deck = "d.cir"\n[axes.r]\nunit = "ohm"\n{axis}\n[measures.x]\nunit = "V"\n'
    )
    assert words in refused("characterize", tmp_path / "s.toml")


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", '"long"', "true"])
def test_a_time_limit_is_a_positive_number(limit: str, tmp_path: Path) -> None:
    deck(tmp_path, ".param r=1\n.meas tran x find v(1) at=1n\n.tran 1n 2n")
    (tmp_path / "s.toml").write_text(
        f'deck = "d.cir"\ntime_limit = {limit}\n[axes.r]\nunit = "ohm"\nvalues = [1, 2]\n'
        '[measures.x]\nunit = "V"\n'
    )
    assert "time_limit" in refused("characterize", tmp_path / "s.toml")


def test_a_product_of_axes_is_refused(tmp_path: Path) -> None:
    deck(tmp_path, ".param r=1 s=1 t=1\n.meas tran x find v(1) at=1n\n.tran 1n 2n")
    axes = "".join(
        f'[axes.{name}]\nunit = "1"\nstart = 1\nstop = 2\npoints = 1000\n' for name in ("r", "s", "t")
    )
    (tmp_path / "s.toml").write_text(f'deck = "d.cir"\n{axes}[measures.x]\nunit = "V"\n')
    assert "1,000,000,000 points are more than 10,000,000" in refused("characterize", tmp_path / "s.toml")


def test_the_documentation_has_every_limit() -> None:
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text(encoding="utf-8")
    for each in LIMITS:
        assert f"| `{each.variable}` | {each.default:,} {each.unit} | {each.bounds} |" in page
