"""The architecture as the imports tell it: data flows one way, and each outside tool has one door."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("characterization", "circuits", "nn", "spicebridge")
SPICE_BANK = {"characterization", "circuits"}
FILES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TOP_LEVEL = {
    ".ci", ".gitignore", "CITATION.cff", "LICENSE", "Makefile", "README.md", "characterization", "circuits",
    "docs", "netlists", "nn", "pyproject.toml", "results", "spicebridge", "tests",
}  # fmt: skip


@cache
def imported(file: Path) -> frozenset[str]:
    """Every dotted name a file imports, wherever in it, ``from a.b import c`` as ``a.b.c``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            names.update(f"{node.module}.{each.name}" for each in node.names)
    return frozenset(names)


def packages_of(file: Path) -> set[str]:
    """The top-level packages a file imports."""
    return {name.partition(".")[0] for name in imported(file)}


def files_of(*packages: str) -> Iterator[Path]:
    return (file for file in FILES if file.parts[0] in packages)


def importers(tool: str) -> set[str]:
    """The files that import ``tool`` or something in it."""
    return {str(file) for file in FILES if any(f"{name}.".startswith(f"{tool}.") for name in imported(file))}


def test_there_are_files_to_look_at() -> None:
    assert {file.parts[0] for file in FILES} == set(PACKAGES)
    assert "spicebridge.errors.SpicebridgeError" in imported(Path("spicebridge/table.py"))


def test_the_numpy_bank_never_imports_the_spice_bank() -> None:
    for file in files_of("nn"):
        assert packages_of(file).isdisjoint({"PySpice", *SPICE_BANK}), file


def test_the_spice_bank_never_imports_the_numpy_bank() -> None:
    for file in files_of(*SPICE_BANK):
        assert "nn" not in packages_of(file), file


def test_circuits_do_not_know_how_they_are_swept() -> None:
    for file in files_of("circuits"):
        assert "characterization" not in packages_of(file), file


def test_the_bridge_imports_neither_bank_but_in_its_command_line() -> None:
    for file in files_of("spicebridge"):
        if file != Path("spicebridge/cli.py"):
            assert packages_of(file).isdisjoint({"nn", *SPICE_BANK}), file


def test_the_banks_meet_in_the_bridge_only_where_simulation_is_not() -> None:
    for file in files_of("nn"):
        simulating = {
            f"spicebridge.{name}" for name in ("simulator", "workers", "deck", "verilog_a", "sweep")
        }
        used = {".".join(name.split(".")[:2]) for name in imported(file)}
        assert used.isdisjoint(simulating), file


@pytest.mark.parametrize(
    ("tool", "doors"),
    [
        ("PySpice.Spice.NgSpice", {"spicebridge/simulator.py"}),
        ("click", {"spicebridge/cli.py", "spicebridge/terminal.py"}),
        ("tqdm", {"spicebridge/terminal.py"}),
        ("distributed", {"spicebridge/cluster.py"}),
        ("sqlite3", {"spicebridge/store.py"}),
        ("h5py", {"spicebridge/table.py"}),
        ("h5netcdf", set()),
        ("openvaf_py", {"spicebridge/verilog_a/frontend_child.py"}),
        ("sklearn", {"nn/data.py"}),
    ],
)
def test_each_outside_tool_has_one_door(tool: str, doors: set[str]) -> None:
    assert importers(tool) == doors


def test_only_the_table_reads_or_writes_hdf5() -> None:
    words = re.compile(r"open_dataset|to_netcdf|load_dataset\(.*h5|\.h5netcdf")
    found = {str(file) for file in FILES if words.search((ROOT / file).read_text(encoding="utf-8"))}
    assert found == {"spicebridge/table.py"}


def test_pyspice_builds_circuits_in_circuits_and_runs_them_in_the_simulator() -> None:
    users = importers("PySpice")
    assert users - {"spicebridge/simulator.py"} <= {str(file) for file in files_of("circuits")}


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_no_simulator(package: str) -> None:
    script = f"import {package}, sys; assert 'PySpice' not in sys.modules and 'matplotlib' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_numpy_is_read_without_pickle() -> None:
    for file in FILES:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text, file
        for call in re.findall(r"np\.load\([^)]*\)", text):
            assert "allow_pickle=False" in call, file


def tracked(*options: str, root: Path = ROOT) -> list[Path]:
    """The repository's files as git lists them; what a user left beside them is none."""
    told = subprocess.run(["git", "ls-files", *options], cwd=root, capture_output=True, text=True)
    if told.returncode != 0:
        pytest.skip("not a git checkout, so what belongs to the repository is not known")
    return [Path(line) for line in told.stdout.splitlines() if (root / line).is_file()]


def written() -> list[Path]:
    """The tracked files and those that git does not ignore, which may become tracked."""
    return tracked("--cached", "--others", "--exclude-standard")


def test_what_a_user_leaves_in_the_checkout_is_no_part_of_the_tree(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name in ("kept.py", "write.png"):
        (tmp_path / name).write_text("")
    subprocess.run(["git", "add", "kept.py"], cwd=tmp_path, check=True)
    assert tracked(root=tmp_path) == [Path("kept.py")]


def test_the_top_level_of_the_tree_is_the_fixed_one() -> None:
    assert {file.parts[0] for file in tracked()} <= TOP_LEVEL


def test_no_file_holds_an_absolute_path_of_a_machine() -> None:
    path = re.compile(rb"/(?:root|home/\w+|work|Users/\w+)/")
    for file in written():
        content = (ROOT / file).read_bytes()
        if file != Path(__file__).relative_to(ROOT):
            assert not path.search(content), f"{file}: {path.search(content)}"


def test_no_file_is_left_unfinished() -> None:
    unfinished = re.compile(r"\bTO" + r"DO\b|\bFIX" + r"ME\b|NotImplemented" + "Error")
    for file in written():
        if file.suffix in (".py", ".cir", ".lib", ".va", ".toml", ".md"):
            assert not unfinished.search((ROOT / file).read_text(encoding="utf-8")), file
