"""What would take all memory, disk or time ends in one sentence that names the limit and how to raise it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from characterization.definition import DefinitionError, load_definition
from spicebridge.deck import DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.limits import COMPILE_TIME, LIMITS, LimitError
from spicebridge.netlist import read_deck
from spicebridge.netlist_paths import PathError, model_beside, modules_in
from spicebridge.netlist_text import logical_lines
from spicebridge.reading import read_bytes
from spicebridge.settings import read_toml
from spicebridge.startup import startup_for
from spicebridge.table import LookupTable, TableError, load_table
from spicebridge.verilog_a import VerilogAError, compile_model
from spicebridge.verilog_a.source import read_source
from tests.command_line import refused
from tests.verilog_a_models import RESISTOR, build

TERABYTE = 10**12


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """No refusal here takes long or much."""
    start = time.process_time()
    yield
    assert time.process_time() - start < 20


def sparse(path: Path, size: int = TERABYTE) -> Path:
    """A file of holes, which takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def limited(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    for name, value in limits.items():
        monkeypatch.setenv(f"SPICEBRIDGE_MAX_{name}", str(value))


def test_each_limit_is_documented() -> None:
    text = (Path(__file__).parent.parent / "docs" / "limits.md").read_text()
    for limit in LIMITS:
        assert f"| `{limit.variable}` | {limit.default:,} | {limit.unit} | {limit.bounds} |" in text


@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "inf", "1e999"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(COMPILE_TIME.variable, value)
    with pytest.raises(LimitError, match=r"should be a positive number of s"):
        _ = COMPILE_TIME.value


def no_file(kind: str, path: Path) -> Path:
    """Something at a path that is no file, or has no end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            os.chdir(path.parent)  # a socket's path may not be long
            made.bind(path.name)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kind)
    return path


SPECIAL = ["pipe", "socket", "folder", "/dev/zero", "/dev/tty", "/proc/self/mem"]


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_plain_file_is_never_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = no_file(kind, tmp_path / "x")
    (tmp_path / "d.cir").write_text("t\n.include x\nr1 a 0 1\n.op\n")
    (tmp_path / "model.va").write_text('`include "x"\n' + RESISTOR)
    with pytest.raises(OSError, match=r"directory|pipe|output error"):
        read_bytes(path, LIMITS[0])
    for reading in (
        lambda: read_deck(tmp_path / "d.cir"),
        lambda: read_deck(path),
        lambda: read_source(path),
        lambda: read_source(tmp_path / "model.va"),
        lambda: read_toml(path, what="definition"),
        lambda: load_table(path),
    ):
        with pytest.raises(SpicebridgeError) as caught:
            reading()
        assert "\n" not in str(caught.value)


def test_a_file_without_a_size_is_read_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, FILE_MB=0.001)
    with pytest.raises(LimitError, match=r"0\.001 MB.*export SPICEBRIDGE_MAX_FILE_MB=0\.002"):
        read_bytes(Path("/proc/kallsyms"), LIMITS[0])  # has no size


def test_a_sparse_giant_is_refused_at_once_by_each_reader(tmp_path: Path) -> None:
    giant = sparse(tmp_path / "giant.va")
    (tmp_path / "d.cir").write_text("t\n.include giant.va\nr1 a 0 1\n.op\n")
    (tmp_path / "lib.cir").write_text("t\n.lib giant.va tt\nr1 a 0 1\n.op\n")
    (tmp_path / "osdi.cir").write_text("t\n.control\npre_osdi giant.osdi\n.endc\nr1 a 0 1\n.op\n")
    (tmp_path / "model.va").write_text('`include "giant.va"\n' + RESISTOR)
    sparse(tmp_path / "giant.toml")
    sparse(tmp_path / "giant.h5")
    (tmp_path / "s").mkdir()
    sparse(tmp_path / "s" / ".spiceinit")
    readings: dict[str, Callable[[], object]] = {
        "FILE_MB": lambda: read_deck(giant),
        "FILE_MB ": lambda: read_deck(tmp_path / "d.cir"),
        "FILE_MB  ": lambda: read_deck(tmp_path / "lib.cir"),
        "FILE_MB   ": lambda: startup_for(tmp_path / "s"),
        "VERILOG_A_MB": lambda: read_source(giant),
        "VERILOG_A_MB ": lambda: read_source(tmp_path / "model.va"),
        "VERILOG_A_MB  ": lambda: read_deck(tmp_path / "osdi.cir"),
        "TOML_MB": lambda: load_definition(str(tmp_path / "giant.toml"), size="full"),
        "TABLE_MB": lambda: load_table(tmp_path / "giant.h5"),
    }
    for limit, reading in readings.items():
        with pytest.raises(SpicebridgeError, match=rf"export SPICEBRIDGE_MAX_{limit.strip()}="):
            reading()


def test_a_giant_record_is_refused_at_once(results: Path) -> None:
    folder = results / "runs" / "giant"
    folder.mkdir(parents=True)
    sparse(folder / "record.json")
    assert "export SPICEBRIDGE_MAX_RECORD_MB=" in refused("report", "giant")


def nested(
    folder: Path, levels: int, times: int = 1, *, line: str = ".include i{}", end: str = "r1 a 0 1"
) -> None:
    """Files i0, i1, ... each of which includes the next so many times."""
    for level in range(levels):
        (folder / f"i{level}").write_text((line.format(level + 1) + "\n") * times)
    (folder / f"i{levels}").write_text(end + "\n")


def test_includes_of_a_deck_are_bounded_in_depth_and_breadth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = tmp_path / "d.cir"
    deck.write_text("t\n.include i0\nv1 a 0 1\n.op\n")
    nested(tmp_path, 40)
    assert read_deck(deck).lines.count("r1 a 0 1") == 1
    nested(tmp_path, 100)
    with pytest.raises(DeckError, match=r"nested more than 64 levels deep.*export SPICEBRIDGE_MAX_DEPTH=128"):
        read_deck(deck)
    limited(monkeypatch, DEPTH=100_000)
    assert read_deck(deck).lines.count("r1 a 0 1") == 1
    nested(tmp_path, 900)
    with pytest.raises(DeckError, match=r"too deeply"):
        read_deck(deck)
    nested(tmp_path, 30, times=2)  # a thousand million files, written out
    with pytest.raises(DeckError, match=r"more than 10,000 files.*export SPICEBRIDGE_MAX_INCLUDES="):
        read_deck(deck)
    nested(tmp_path, 1, times=20_000)
    with pytest.raises(DeckError, match=r"more than 10,000 files"):
        read_deck(deck)
    nested(tmp_path, 3, times=20, end="r1 a 0 1\n" * 1000)
    limited(monkeypatch, NETLIST_LINES=1_000_000)
    with pytest.raises(DeckError, match=r"more than 1,000,000 lines.*export SPICEBRIDGE_MAX_NETLIST_LINES="):
        read_deck(deck)


def test_a_decks_files_together_and_its_lines_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = tmp_path / "d.cir"
    deck.write_text("t\n.include a\n.include b\n.op\n")
    (tmp_path / "a").write_text("*" * 600_000)
    (tmp_path / "b").write_text("*" * 600_000)
    limited(monkeypatch, NETLIST_MB=1)
    with pytest.raises(DeckError, match=r"more than 1 MB.*export SPICEBRIDGE_MAX_NETLIST_MB=2"):
        read_deck(deck)
    (tmp_path / "b").write_text("\n" * 6_000_000)
    with pytest.raises(DeckError, match=r"more than 5,000,000 lines"):
        read_deck(deck)


def test_a_library_that_takes_its_own_sections_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As foundries write them: a section of hundreds takes others of the same file."""
    sections = "".join(f".lib s{n}\n.param p{n}={n}\n.endl\n" for n in range(200))
    taken = "".join(f".lib big.lib s{n}\n" for n in range(200))
    (tmp_path / "big.lib").write_text(f"{sections}.lib tt\n{taken}.endl\n" + "*" * 100_000)
    (tmp_path / "d.cir").write_text("t\n.lib big.lib tt\nr1 a 0 1\n.op\n")
    limited(monkeypatch, NETLIST_MB=0.2)
    assert read_deck(tmp_path / "d.cir").parameters["p199"] == "199"


def test_lines_continued_a_hundred_thousand_times_are_read_in_linear_time() -> None:
    start = time.process_time()
    (line,) = logical_lines("r1 a 0\n" + "+ ac=1\n" * 200_000, "d")
    assert line.text == "r1 a 0" + " ac=1" * 200_000
    lines = logical_lines(".end\n" * 100_000 + "r1 a 0 1\n", "d")
    assert len(lines) == 100_001
    assert time.process_time() - start < 5


def test_a_source_of_empty_lines_is_searched_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "empty.va"
    path.write_text("\n" * 200_000 + "(* a *)" + " \n" * 200_000)
    start = time.process_time()
    assert modules_in(path) == {"empty"}
    assert time.process_time() - start < 2
    path.write_text('\n  (* desc="a" *) module\n One(a);\nendmodule\nmacromodule two;')
    assert modules_in(path) == {"one", "two"}


def test_a_folder_of_too_many_files_is_not_searched_for_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.va").touch()
    limited(monkeypatch, SEARCHED=19)
    with pytest.raises(PathError, match=r"more than 19 entries.*export SPICEBRIDGE_MAX_SEARCHED=38"):
        model_beside("7.va", [tmp_path])
    limited(monkeypatch, SEARCHED=20)
    assert model_beside("7.va", [tmp_path]) == tmp_path / "7.va"


LAUGHS = "`define l0 x\n" + "".join(f"`define l{n + 1} {f'`l{n} ' * 10}\n" for n in range(9))
BOMBS = {
    "a billion laughs": LAUGHS + "`l9\n",
    "doubled forty times": "`define d0 x\n"
    + "".join(f"`define d{n + 1} `d{n} `d{n}\n" for n in range(40))
    + "`d40\n",
    "with arguments": "`define a0(x) x\n"
    + "".join(f"`define a{n + 1}(x) `a{n}(x x x x)\n" for n in range(30))
    + "`a30(y)\n",
    "a long argument, often": "`define many(x) " + "x " * 20_000 + "\n`many(" + "y " * 20_000 + ")\n",
    "itself": "`define self `self x\n`self\n",
    "itself and nothing else": "`define self `self\n`self\n",
    "one another": "`define a `b\n`define b `a\n`a\n",
    "an empty one": "`define e0\n"
    + "".join(f"`define e{n + 1} {f'`e{n} ' * 10}\n" for n in range(9))
    + "`e9\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_macro_that_grows_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: str
) -> None:
    path = tmp_path / "bomb.va"
    path.write_text(BOMBS[bomb])
    limited(monkeypatch, VERILOG_A_TOKENS=200_000)
    with pytest.raises(VerilogAError, match=r"more than 200,000 tokens.*_VERILOG_A_TOKENS=400000") as caught:
        read_source(path)
    assert str(caught.value).startswith("bomb.va:")


def test_sources_are_bounded_in_tokens_size_includes_and_nesting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.va"
    path.write_text(";" * 300_000)
    limited(monkeypatch, VERILOG_A_TOKENS=200_000, VERILOG_A_MB=1)
    with pytest.raises(VerilogAError, match=r"more than 200,000 tokens"):
        read_source(path)
    path.write_text('`include "a.inc"\n' * 3)
    (tmp_path / "a.inc").write_text("//" + "x" * 400_000)
    with pytest.raises(VerilogAError, match=r"more than 1 MB.*_VERILOG_A_MB=2"):
        read_source(path)
    path.write_text("`ifdef a\n" * 100 + "`endif\n" * 100)
    with pytest.raises(VerilogAError, match=r"conditionals are nested more than 64 levels.*_DEPTH=128"):
        read_source(path)
    path.write_text('`include "i0"\n')
    nested(tmp_path, 80, line='`include "i{}"', end="")
    with pytest.raises(VerilogAError, match=r"nested more than 64 levels deep"):
        read_source(path)
    nested(tmp_path, 30, times=2, line='`include "i{}"', end="")
    limited(monkeypatch, INCLUDES=1000)
    with pytest.raises(VerilogAError, match=r"more than 1,000 files.*_INCLUDES=2000"):
        read_source(path)
    limited(monkeypatch, DEPTH=100_000)
    nested(tmp_path, 900, line='`include "i{}"', end="")
    with pytest.raises(VerilogAError, match=r"too deeply"):
        read_source(path)


def test_conditionals_choose_as_before_within_untaken_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.va"
    path.write_text(
        "`define on\n`ifdef off\n`ifdef on\na\n`else\nb\n`endif\n`elsif on\n`ifndef off\nc\n`else\nd\n"
        "`endif\n`else\ne\n`endif\nf\n"
    )
    assert [token.text for token in read_source(path).tokens] == ["c", "f"]


# A loop over constants, which the front end runs while it compiles.
LONG = "".join(f"x{n} = sin(x{n - 1}) * exp(V(a) * x{n - 1});\n" for n in range(1, 400))
HEAVY = (
    "module heavy(a);\ninout a; electrical a;\nreal "
    + ", ".join(f"x{n}" for n in range(400))
    + f";\nanalog begin\nx0 = V(a);\n{LONG}I(a) <+ x399;\nend\nendmodule\n"
)


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("COMPILE_SECONDS", 0.3, r"takes more than 0\.3 s"),
        ("COMPILE_MB", 70, "70 MB"),
        ("COMPILE_MB", 40, "40 MB"),
        ("COMPILE_OUTPUT_MB", 0.001, r"0\.001 MB"),
        ("COMPILE_OUTPUT_MB", 0.05, r"0\.05 MB"),
    ],
)
def test_a_compilation_ends_at_its_limit_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, words: str
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    limited(monkeypatch, **{limit: value})
    start = time.monotonic()
    with pytest.raises(
        VerilogAError, match=rf"model\.va.*{words}.*export SPICEBRIDGE_MAX_{limit}="
    ) as caught:
        build(tmp_path, tmp_path / "cache", HEAVY)
    assert time.monotonic() - start < 60
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".osdi", ".json")]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        assert str(tmp_path / "tmp").encode() not in command
    monkeypatch.delenv(f"SPICEBRIDGE_MAX_{limit}")
    assert compile_model(tmp_path / "model.va", cache=tmp_path / "cache").module == "heavy"


TOML = """deck = "d.cir"
{top}
[axes.r]
unit = "Ohm"
{axis}
[measures.m]
unit = "V"
"""


@pytest.mark.parametrize(
    ("top", "axis", "words"),
    [
        ("time_limit = 1e300", "values = [1]", "time_limit = 1e\\+300 s is more than.*_DECK_SECONDS="),
        ("time_limit = 3e6", "values = [1]", "_DECK_SECONDS="),
        ("", "start = 1\nstop = 2\npoints = 100_001", "points, 1 to 100000.*_AXIS_POINTS="),
        ("", "start = 1\nstop = 2\npoints = 1_000_000_000_000_000", "_AXIS_POINTS="),
        (
            "",
            "start = 1\nstop = 2\npoints = 100_000\n[axes.s]\nunit = '1'\n"
            "start = 1\nstop = 2\npoints = 100_000",
            "10,000,000,000 points are more than.*_POINTS=",
        ),
    ],
)
def test_axes_their_product_and_the_time_are_bounded(tmp_path: Path, top: str, axis: str, words: str) -> None:
    (tmp_path / "d.cir").write_text(
        "t\n.param r=1\nv1 a 0 1\nr1 a 0 {r}\n.tran 1n 2n\n.meas tran m find v(a) at=1n\n"
    )
    path = tmp_path / "own.toml"
    path.write_text(TOML.format(top=top, axis=axis))
    with pytest.raises(DefinitionError, match=words):
        load_definition(str(path), size="full")


def test_measures_values_and_decks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d.cir").write_text(
        "t\n.param r=1\nv1 a 0 1\nr1 a 0 {r}\n.tran 1n 2n\n.meas tran m find v(a) at=1n\n"
    )
    path = tmp_path / "own.toml"
    measures = "".join(f"[measures.m{n}]\nunit = 'V'\n" for n in range(50))
    path.write_text(TOML.format(top="", axis="values = [1, 2, 3]") + measures)
    limited(monkeypatch, VALUES=152)
    with pytest.raises(DefinitionError, match=r"153 values are more than 152.*_VALUES=304"):
        load_definition(str(path), size="full")
    limited(monkeypatch, MEASURES=50)
    with pytest.raises(DefinitionError, match=r"51 are more than 50.*_MEASURES=100"):
        load_definition(str(path), size="full")


def test_axes_and_counts_of_a_procedure_are_bounded() -> None:
    wide = {"start": 0.1, "stop": 0.9, "points": 100_000}
    with pytest.raises(DefinitionError, match=r"_POINTS="):
        load_definition("synapse_read", size="quick", overrides={"sweep.v_read": wide, "sweep.t_read": wide})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (".".join("a" * 100_000) + " = 1", "a key of more than 64 parts"),
        ("[" + ".".join("ab" for _ in range(50_000)) + "]", "a key of more than 64 parts"),
        ('x = {"a"' + " . 'b'" * 1000 + " = 1}", "a key of more than 64 parts"),
        ("x = " + "[" * 100_000, "not valid TOML"),
        ("x = " + "{a=" * 100_000, "not valid TOML"),
        ("x = " + "9" * 100_000, "not valid TOML"),
    ],
)
def test_toml_nested_without_end_is_refused_in_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(SpicebridgeError, match=words):
        read_toml(path, what="definition")


def test_toml_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b'\xef\xbb\xbfa.b.c = "x.y.z"\r\nd = """1\r\n2"""\r\n')
    assert read_toml(path, what="definition") == {"a": {"b": {"c": "x.y.z"}}, "d": "1\n2"}


def test_a_table_that_is_small_on_disk_and_a_giant_in_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = {"units": "1", "long_name": "v", "scale": "linear"}
    data = xr.Dataset(
        {"v": (("r", "s"), np.zeros((1000, 1000)), attributes)},
        coords={"r": ("r", np.arange(1000.0), attributes), "s": ("s", np.arange(1000.0), attributes)},
    )
    path = tmp_path / "big.h5"
    LookupTable(data=data, name="big", lineage={}, origin={}).save(path)
    assert path.stat().st_size < 4_000_000
    load_table(path)
    limited(monkeypatch, TABLE_MB=4)
    with pytest.raises(TableError, match=r"more than 4 MB.*export SPICEBRIDGE_MAX_TABLE_MB=8"):
        load_table(path)


def test_a_deck_that_needs_too_much_memory_ends_in_a_sentence(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subcircuits of subcircuits: a thousand million resistors."""
    lines = ["bomb", "v1 a 0 1", "x1 a 0 s0", ".op"]
    for level in range(9):
        inner = f"s{level + 1}" if level < 8 else "1k"
        lines += [
            f".subckt s{level} a b",
            *(f"{'x' if level < 8 else 'r'}{n} a b {inner}" for n in range(10)),
        ]
        lines += [".ends"]
    assert results.is_dir()
    (tmp_path / "bomb.cir").write_text("\n".join(lines) + "\n")
    limited(monkeypatch, SIMULATION_MB=300)
    said = refused("simulate", tmp_path / "bomb.cir")
    assert "it needs more memory than 300 MB, a limit that SPICEBRIDGE_MAX_SIMULATION_MB raises" in said
