"""What set-up, packaging and the test configuration promise, without network or installing."""

import ast
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
CI = CHECKOUT / ".ci"
CHECK = [sys.executable, CI / "ngspice_check.py"]
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/debian.gpg] http://one-line.example/debian bookworm main contrib
deb http://security.example/debian-security bookworm-security main
"""
STANZAS = """\
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Enabled: no
Components: main

Types: deb deb-src
# a comment between the fields
URIs: http://stanza.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /keys/debian.gpg
"""


def shell(script: str, *arguments: str | Path) -> str:
    """What a bash script prints, run with .ci/debian.sh sourced."""
    command = ["bash", "-euc", f'. "{CI}/debian.sh"; {script}', "bash", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def backports_entry(folder: Path, **files: str) -> str:
    """The entry derived from apt source files of the given contents; ``__`` in a name stands for the dot."""
    paths = [folder / name.replace("__", ".") for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return shell('backports_entry bookworm "$@"', *paths)


def test_backports_come_from_the_address_of_a_one_line_entry(tmp_path: Path) -> None:
    entry = backports_entry(tmp_path, sources__list=ONE_LINE)
    assert entry == (
        "deb [arch=amd64 signed-by=/keys/debian.gpg] http://one-line.example/debian bookworm-backports main\n"
    )


def test_backports_come_from_the_address_and_key_of_a_deb822_stanza(tmp_path: Path) -> None:
    entry = backports_entry(tmp_path, debian__sources=STANZAS)
    assert entry == "deb [signed-by=/keys/debian.gpg] http://stanza.example/debian bookworm-backports main\n"


def test_an_entry_without_options_gives_one_without_options(tmp_path: Path) -> None:
    entry = backports_entry(tmp_path, sources__list="deb http://plain.example/debian/ bookworm main")
    assert entry == "deb http://plain.example/debian/ bookworm-backports main\n"


def test_backports_already_configured_are_not_added_again(tmp_path: Path) -> None:
    one_line = "deb http://plain.example/debian bookworm-backports main\n"
    assert backports_entry(tmp_path, sources__list=ONE_LINE, more__list=one_line) == ""
    stanza = STANZAS.replace("bookworm-updates", "bookworm-backports")
    assert backports_entry(tmp_path, debian__sources=stanza) == ""


def test_sources_without_the_release_give_no_entry(tmp_path: Path) -> None:
    assert backports_entry(tmp_path, debian__sources=STANZAS.replace("bookworm", "trixie")) == ""
    assert shell("backports_entry bookworm") == ""


@pytest.mark.parametrize("name", ["setup", "run", "debian.sh"])
def test_shell_scripts_are_valid_bash(name: str) -> None:
    subprocess.run(["bash", "-n", CI / name], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shell_scripts_pass_shellcheck() -> None:
    scripts = [CI / "setup", CI / "run", CI / "debian.sh"]
    subprocess.run(["shellcheck", "-x", *scripts], check=True, cwd=CHECKOUT)


def test_make_can_run_the_set_up_script() -> None:
    assert (CI / "setup").stat().st_mode & stat.S_IXUSR


def test_set_up_says_what_to_do_when_python_does_not_fit(tmp_path: Path) -> None:
    old = tmp_path / "python-of-old"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    copy = tmp_path / "checkout"
    copy.mkdir()
    shutil.copytree(CI, copy / ".ci")
    shutil.copy(CHECKOUT / "pyproject.toml", copy)
    run = subprocess.run(
        ["bash", ".ci/setup"],
        cwd=copy,
        env={**os.environ, "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert f"No fitting Python was found (tried {old})" in run.stderr
    assert "PYTHON=/path/to/python3.12" in run.stderr
    assert sorted(path.name for path in copy.iterdir()) == [".ci", "pyproject.toml"]


def test_ngspice_with_osdi_passes_the_check_and_a_missing_library_does_not() -> None:
    assert subprocess.run(CHECK, capture_output=True, check=False).returncode == 0
    environment = {**os.environ, "NGSPICE_LIBRARY_PATH": "/nonexistent/libngspice.so"}
    run = subprocess.run(CHECK, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 1
    assert "/nonexistent/libngspice.so does not load" in run.stdout


def test_the_check_and_the_product_find_the_same_library() -> None:
    from spicebridge.ngspice_library import find_ngspice_library

    run = subprocess.run(
        [sys.executable, CI / "ngspice_check.py"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == find_ngspice_library()


def test_packages_are_those_of_the_tree_and_netlists_is_not_one() -> None:
    declared = {
        name.removesuffix("*") for name in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    packages = {path.parent.name for path in CHECKOUT.glob("[!.]*/__init__.py")}
    assert declared == packages - {"tests"}
    folders = {path.parent for name in declared for path in (CHECKOUT / name).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
    assert "netlists" not in declared


def test_the_console_script_leads_to_a_module() -> None:
    (script,) = entry_points(group="console_scripts", name="spicebridge")
    assert script.value == PYPROJECT["project"]["scripts"]["spicebridge"]
    module = find_spec(script.module)
    assert module is not None
    assert module.origin is not None
    tree = ast.parse(Path(module.origin).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert script.attr in names


def test_every_dependency_has_a_lower_bound() -> None:
    project = PYPROJECT["project"]
    assert all(">=" in need for need in project["dependencies"] + project["optional-dependencies"]["test"])


def test_experiments_are_package_data() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["nn"]
    found = {path for pattern in patterns for path in (CHECKOUT / "nn").glob(pattern)}
    assert found == set((CHECKOUT / "nn").rglob("*.toml"))
    assert found


def test_the_licence_is_the_gpl_version_3() -> None:
    text = (CHECKOUT / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:7] == ["GNU", "GENERAL", "PUBLIC", "LICENSE", "Version", "3,", "29"]
    assert PYPROJECT["project"]["license"] == "GPL-3.0-or-later"


pytest_plugins = ["pytester"]


def test_tests_without_the_data_folder_are_counted_in_the_summary(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPICEBRIDGE_DATA", raising=False)
    pytester.makeconftest((CHECKOUT / "tests/conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile("def test_a(data_folder): pass\ndef test_b(data_folder): pass\ndef test_c(): pass\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["Tests that need SPICEBRIDGE_DATA and were skipped: 2."])


def test_the_data_folder_is_the_one_that_the_environment_names(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPICEBRIDGE_DATA", str(pytester.path))
    pytester.makeconftest((CHECKOUT / "tests/conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        "def test_a(data_folder, pytestconfig): assert data_folder == pytestconfig.rootpath\n"
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_test_processes_share_the_compiled_models_and_take_one_thread_each(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pytester.makeconftest((CHECKOUT / "tests/conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        "import os\n"
        "def test_a(compiled_models): (compiled_models / os.environ['PYTEST_XDIST_WORKER']).touch()\n"
        "def test_b(compiled_models): test_a(compiled_models)\n"
        "def test_c(): assert os.environ['OMP_NUM_THREADS'] == '1'\n"
    )
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=3)
    assert sorted(path.name for path in pytester.path.rglob("models/*")) == ["gw0", "gw1"]


def test_ngspice_is_unpacked_only_where_it_reads_no_commands_in_the_folders_name() -> None:
    def plain(folder: str) -> bool:
        return shell('plain_folder "$1" && echo yes || echo no', folder) == "yes\n"

    assert all(map(plain, ["/opt/spice-bridge_2.0", "/opt/Jürgen/日本/x", "/srv/a+b@c%d"]))
    odd = " \t\n;:`$'\"\\(){}<>&|*?!~#=,"
    assert [each for each in odd if plain(f"/opt/a{each}b")] == []
