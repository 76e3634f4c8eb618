"""Names from outside, of files, folders and modules: they work, and ngspice reads no commands in them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from spicebridge.cli import main
from spicebridge.deck import Deck, DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_text
from spicebridge.kept_decks import kept_deck
from spicebridge.model_types import type_of_module
from spicebridge.netlist import make_deck, read_deck, read_netlist
from spicebridge.permission import RefusedError, outside
from spicebridge.project import results_folder
from spicebridge.simulator import Waveforms, in_this_process
from spicebridge.startup import StartupError
from spicebridge.verilog_a import compile_model
from spicebridge.workers import Task, simulate
from tests.on_workers import on_workers

MODULE = """`include "disciplines.vams"
module {name}(a, b);
inout a, b; electrical a, b;
parameter real r = 1k;
analog I(a, b) <+ V(a, b) / r;
endmodule
"""
# A volt on 500 ohm, as a measure too.
CIRCUIT = "v1 a 0 1\nn1 a 0 card\n.model card {type}(r=500)\n.tran 1n 3n\n.meas tran i find i(v1) at=2n\n"
CURRENT = pytest.approx(-2e-3, rel=1e-5)
# What ngspice, or a shell, would do something with.
ODD_NAMES = [
    "with blanks", "a;touch made", "`touch made`", "$(touch made)", "$1", "$HOME", "it's", 'say "it"',
    "Ω日本é", "{a,b}*?[x]", "a\\b", "!1", "a>made", "-r", "~", "line\ntouch made",
    "x\n.control\nshell touch made\n.endc",
]  # fmt: skip


def deck_of(folder: Path, module: str, *, circuit: str = CIRCUIT, file: str = "model") -> Deck:
    """The circuit with a module that was just written."""
    (folder / f"{file}.va").write_text(MODULE.format(name=module))
    text = f".control\npre_osdi '{file}.osdi'\n.endc\n{circuit.format(type=module)}.end\n"
    (folder / "deck.cir").write_text(f"title\n{text}")
    return read_deck(folder / "deck.cir", permission=outside([folder]))


def by_bare_ngspice(program: str, deck: Path, where: Path) -> float:
    """What ``ngspice -b`` prints for the measure ``i`` of a deck, run in another folder."""
    run = subprocess.run([program, "-b", deck], cwd=where, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return next(float(line.split()[2]) for line in run.stdout.splitlines() if line.startswith("i "))


@pytest.fixture
def nothing_made(tmp_path: Path) -> Iterator[None]:
    """No name was carried out as a command."""
    yield
    assert not list(tmp_path.rglob("made"))
    assert not Path("made").exists()


# Folders and files


@pytest.mark.usefixtures("nothing_made")
def test_folders_of_any_name_hold_results_decks_and_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ngspice_program: str
) -> None:
    """All of the names at once, one in another."""
    folder = tmp_path.joinpath(*ODD_NAMES)
    folder.mkdir(parents=True)
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(folder / "it's $1; results"))
    deck = deck_of(folder, "va_named")
    assert simulate(deck).measures["i"] == CURRENT
    path = deck.keep(folder / "kept")
    assert not any(name in path.read_text() for name in ODD_NAMES[:-4])
    assert by_bare_ngspice(ngspice_program, path, tmp_path) == CURRENT
    assert kept_deck(path, deck.digest, name="deck") == deck
    program, *_, where = shlex.split(deck.replay_command(path))
    assert (program, where) == ("ngspice", str(path))


@pytest.mark.usefixtures("nothing_made", "results")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_deck_and_a_model_may_have_any_name(tmp_path: Path, ngspice_program: str, name: str) -> None:
    source, path = tmp_path / f"{name}.va", tmp_path / f"{name}.cir"
    source.write_text(MODULE.format(name="va_named"))
    path.write_text(f"title\n{CIRCUIT.format(type='va_named')}")
    deck = read_netlist(path, permission=outside([tmp_path]), models=[source]).deck
    assert deck.name == name
    kept = deck.keep(tmp_path / "kept")
    assert kept.read_text().startswith("* ")
    assert kept.read_text().splitlines()[1:3] == [".save all", ".control"]
    assert by_bare_ngspice(ngspice_program, kept, tmp_path) == CURRENT


@pytest.mark.usefixtures("results")
def test_a_models_name_in_single_quotes_may_hold_blanks_as_in_ngspice(tmp_path: Path) -> None:
    assert deck_of(tmp_path, "va_named", file="my own model").models[0].module == "va_named"
    for name in ("/", "."):
        with pytest.raises(DeckError, match=f"'{name}' is no name of a file"):
            make_deck(f".control\npre_osdi {name}\n.endc\n.op", folder=tmp_path, name="mine")


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    "written",
    ["{folder}/model.osdi", "/gone/{build}/model.osdi", "theirs/{build}.osdi", "models/{build}.osdi"],
)
def test_a_kept_deck_gets_its_model_from_the_cache_and_from_nowhere_else(
    tmp_path: Path, written: str
) -> None:
    """The library beside a deck may have come with it."""
    deck = deck_of(tmp_path, "va_named")
    path = deck.keep(tmp_path / "kept")
    library, build = deck.models[0].library, deck.models[0].build
    theirs = tmp_path / "theirs" / ("0" * 16)
    theirs.mkdir(parents=True)
    for name in ("model.osdi", "model.json"):
        (theirs / name).write_bytes((library.parent / name).read_bytes())
    line = written.format(folder=theirs, build=build)
    path.write_text(path.read_text().replace(f"models/{build}.osdi", line))
    if line.startswith(str(theirs)):
        with pytest.raises(DeckError, match="a model of it is gone: 0000000000000000"):
            kept_deck(path, deck.digest, name="deck")
    else:
        assert kept_deck(path, deck.digest, name="deck").models[0].library == library


def test_a_kept_decks_mode_is_one_of_ngspices(tmp_path: Path) -> None:
    deck = Deck("v1 a 0 1\n.op", compat="hsa; shell touch made")
    with pytest.raises(StartupError, match="is no mode of ngspice's"):
        kept_deck(deck.keep(tmp_path), deck.digest, name="deck")


# Modules


TAKEN = ["resistor", "Diode", "BSIM4", "VBIC", "gain", "D_Process", "d_state", "FileSource", "d", "R", "npn"]


@pytest.mark.usefixtures("results")
def test_a_module_of_any_name_is_the_device_of_its_deck(tmp_path: Path, ngspice_program: str) -> None:
    names = [*TAKEN, "va_mine", "cap", "resistor2"]
    decks = [deck_of(tmp_path, name, circuit=CIRCUIT.replace("{type}", name.upper())) for name in names]
    assert [deck.models[0].type == name for deck, name in zip(decks, names, strict=True)] == [
        name not in TAKEN for name in names
    ]
    answers = on_workers([Task(deck, i_measured) for deck in decks], workers=1)
    assert [answers[at].value for at in range(len(decks))] == [CURRENT] * len(decks)
    for deck in decks:
        assert by_bare_ngspice(ngspice_program, deck.keep(tmp_path / "kept"), tmp_path) == CURRENT


def i_measured(recorded: Waveforms) -> float:
    return recorded.measures["i"]


@pytest.mark.usefixtures("results")
def test_the_commands_name_the_type_and_write_a_deck_with_its_models(
    tmp_path: Path, ngspice_program: str
) -> None:
    deck_of(tmp_path, "resistor")
    exported = tmp_path / "a;b $1" / "deck.cir"
    compiled = CliRunner().invoke(main, ["compile", str(tmp_path / "model.va")], catch_exceptions=False)
    assert ".model CARD va_resistor names this one" in compiled.output
    words = ["simulate", str(tmp_path / "deck.cir"), "--export", str(exported)]
    assert CliRunner().invoke(main, words, catch_exceptions=False).exit_code == 0
    assert by_bare_ngspice(ngspice_program, exported, tmp_path) == CURRENT


@pytest.mark.usefixtures("results")
def test_ngspices_own_device_of_that_name_is_there_beside_it(tmp_path: Path) -> None:
    own = CIRCUIT.format(type="d") + "vd b 0 0.5\nd1 b 0 junction\n.model junction d(is=1e-12)\n"
    deck = deck_of(tmp_path, "d", circuit=own)
    found = simulate(deck)
    assert found.measures["i"] == CURRENT
    assert found["i(vd)"][-1] == pytest.approx(-1e-12 * (2.7182818 ** (0.5 / 0.0258647) - 1), rel=1e-2)


@pytest.mark.usefixtures("results", "nothing_made")
@pytest.mark.parametrize("module", ["d_process", "D_PROCESS", "filesource", "d_state", "d_cosim", "table2d"])
def test_a_module_does_not_open_the_way_to_ngspices_device_of_its_name(tmp_path: Path, module: str) -> None:
    with pytest.raises(RefusedError, match=f"the model type {module.lower()} is not among those"):
        deck_of(tmp_path, module, circuit=CIRCUIT + f"a1 [d] c null [q] p\n.model p {module} (x=1)\n")


def test_what_ngspice_lists_as_its_devices_is_known(tmp_path: Path, ngspice_program: str) -> None:
    (tmp_path / "list.cir").write_text("title\n.control\ndevhelp\n.endc\n.end\n")
    run = subprocess.run([ngspice_program, "-b", "list.cir"], cwd=tmp_path, capture_output=True, text=True)
    names = [line.split()[0] for line in run.stdout.splitlines() if "\t" in line and " :" in line]
    assert len(names) > 100
    assert [name for name in names if type_of_module(name) == name] == []


@pytest.mark.usefixtures("results")
def test_a_module_that_an_ngspice_of_another_build_has_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.va").write_text(MODULE.format(name="gain"))
    answer = on_workers([Task(Deck("v1 a 0 1\n.op"), as_if_gain_were_unknown)], workers=1)[0].value
    assert "has a device gain of its own" in answer
    assert "Rename the module" in answer


def as_if_gain_were_unknown(_recorded: Waveforms) -> str:
    source = results_folder().parent / "model.va"
    with pytest.MonkeyPatch.context() as patch:
        for module in ("verilog_a.model", "verilog_a.osdi_c"):
            patch.setattr(f"spicebridge.{module}.type_of_module", str)
        model = compile_model(source, cache=results_folder() / "others")
        with pytest.raises(SpicebridgeError) as caught:
            in_this_process().run(Deck(CIRCUIT.format(type="gain"), (model,)))
    return str(caught.value)


@pytest.mark.usefixtures("results")
def test_an_openvaf_binary_is_given_the_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that copies what it is to compile stands for it."""
    (tmp_path / "openvaf").write_text('#!/bin/sh\ncp "$1" "$3"\n')
    (tmp_path / "openvaf").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    source = tmp_path / "model.va"
    source.write_text(MODULE.format(name="resistor"))
    model = compile_model(source, cache=tmp_path / "cache", compiler="openvaf")
    assert "module va_resistor" in model.library.read_text()
    assert (model.module, model.type) == ("resistor", "va_resistor")


# Parameters that name files


@pytest.mark.parametrize(
    "line",
    [
        '.model m sine (file "x.txt")',
        ".model m sine file x.txt",
        '.model m sine file, "x.txt"',
        '.model m sine(input_file("x.txt"))',
        '.model m sine FILE"x.txt"',
        '.model m sine process_file "x"',
        '.model m sine simulation "x"',
        ".model m sine gain=1,state_file,x",
        '.model m sine sim_args ["x"]',
        'd1 a 0 m ic.file "x.txt"',
        'd1 a 0 m icfile ( "x.txt"',
        "v1 a 0 file=x.txt",
    ],
)
def test_a_parameter_that_names_a_file_is_seen_without_an_equals_sign(tmp_path: Path, line: str) -> None:
    (tmp_path / "theirs.cir").write_text(f"title\n{line}\n.op\n")
    with pytest.raises(
        RefusedError, match=r"theirs\.cir, line 2: .* its parameter names a file or a program"
    ):
        read_deck(tmp_path / "theirs.cir", permission=outside([tmp_path]))


@pytest.mark.parametrize(
    "line",
    ["r1 file 0 1k", "x1 file simulation part", ".model m d profile=1", ".param file_1=2", "v1 file 0 1"],
)
def test_a_node_may_be_called_file(tmp_path: Path, line: str) -> None:
    (tmp_path / "theirs.cir").write_text(f"title\n{line}\n.op\n")
    assert read_deck(tmp_path / "theirs.cir", permission=outside([tmp_path])).lines[0] == line


# The cache


@pytest.mark.parametrize("size", [0, 1, 4096, -1])
def test_a_library_that_is_not_whole_is_made_anew(tmp_path: Path, results: Path, size: int) -> None:
    (results / "cache" / "models").unlink()
    deck = deck_of(tmp_path, "va_named")
    library = deck.models[0].library
    whole = library.read_bytes()
    library.write_bytes(whole[:size])
    deck = deck_of(tmp_path, "va_named")
    assert library.read_bytes() == whole
    assert simulate(deck).measures["i"] == CURRENT
    record = json.loads(library.with_name("model.json").read_text())
    del record["library"]
    library.with_name("model.json").write_text(json.dumps(record))
    assert deck_of(tmp_path, "va_named").models == deck.models


def test_a_model_beside_a_kept_deck_that_is_not_the_decks_is_replaced(tmp_path: Path, results: Path) -> None:
    deck = deck_of(tmp_path, "va_named")
    assert results.is_dir()
    beside = deck.keep(tmp_path / "kept").parent / "models" / f"{deck.models[0].build}.osdi"
    whole = beside.read_bytes()
    beside.write_bytes(bytes(len(whole)))
    deck.keep(tmp_path / "kept")
    assert beside.read_bytes() == whole


def test_the_cache_is_its_users_alone(tmp_path: Path, results: Path) -> None:
    cache = results / "cache"
    cache.chmod(0o777)
    deck = deck_of(tmp_path, "va_named")
    assert cache.stat().st_mode & 0o777 == 0o700
    assert simulate(deck).measures["i"] == CURRENT


def test_a_cache_of_another_user_is_refused(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(results / "cache", 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(
        SpicebridgeError, match=r"cache belongs to another user .* export SPICEBRIDGE_RESULTS"
    ):
        deck_of(tmp_path, "va_named")


def test_what_is_published_is_on_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    flushed = []
    fsync = os.fsync

    def recorded(handle: int) -> None:
        fsync(handle)
        flushed.append((os.pread(handle, 10, 0), path.read_text()))

    monkeypatch.setattr(os, "fsync", recorded)
    write_text(path, "new")
    assert (flushed, path.read_text()) == ([(b"new", "old")], "new")
