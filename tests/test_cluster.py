"""Scale-out: a real Dask cluster of two workers gives the same table as this machine's own processes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from characterization.definition import load_definition
from characterization.run import make_table
from spicebridge import cluster
from spicebridge.cluster import ClusterError, cluster_engine, connect
from spicebridge.errors import SpicebridgeError
from spicebridge.store import Store
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable, load_table
from tests.command_line import refused

distributed = pytest.importorskip("distributed")
dask_config = pytest.importorskip("dask.config")

pytestmark = pytest.mark.usefixtures("results")

RC = """charging
.param rval=1k
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {rval}
c1 out 0 1p
.tran 1p 4n 0 1p
.meas tran v1ns find v(out) at=1n
.end
"""
SWEEP = """deck = "rc.cir"
[axes.rval]
unit = "ohm"
start = 500
stop = 2000
points = 60
[measures.v1ns]
unit = "V"
"""
HALF = """`include "disciplines.vams"
module half(a, b);
  inout a, b;
  electrical a, b;
  parameter real r = 1k;
  analog I(a, b) <+ V(a, b) / (2 * r);
endmodule
"""


@dataclass(frozen=True)
class Dask:
    """A running cluster: where its scheduler is, and where its workers keep compiled models."""

    address: str
    results: Path
    nannies: Any

    @property
    def workers(self) -> set[int]:
        """The processes that run tasks."""
        return {nanny.pid for nanny in self.nannies() if nanny.pid}


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    results = tmp_path_factory.mktemp("workers") / "results"
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        env={"SPICEBRIDGE_RESULTS": str(results)},
    ) as running:
        yield Dask(running.scheduler_address, results, lambda: list(running.workers.values()))


@pytest.fixture
def executor(dask: Dask) -> Iterator[Executor]:
    connected: Any = connect(dask.address)
    yield connected
    connected.shutdown()
    connected._client.close()


def written(folder: Path, **texts: str) -> str:
    """Files ``NAME_ENDING`` as ``NAME.ENDING`` in the folder; the path of ``mine.toml``."""
    for name, text in texts.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(text)
    return str(folder / "mine.toml")


@pytest.fixture(scope="module")
def own_table(tmp_path_factory: pytest.TempPathFactory) -> LookupTable:
    """What this machine's own processes make of the sweep."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder / "results"))
        return table_from(written(folder, rc_cir=RC, mine_toml=SWEEP), here(folder, "ngspice-test"))


def table_from(path: str, engine: Engine, **overrides: Any) -> LookupTable:
    return make_table(load_definition(path, size="quick", overrides=overrides), engine)


def here(folder: Path, version: str, **more: Any) -> Engine:
    """This machine's own workers, with a store of their own."""
    return Engine(store=folder / "here.sqlite", workers=2, version=version, **more)


def there(folder: Path, executor: Executor, version: str, **more: Any) -> Engine:
    return Engine(store=folder / "there.sqlite", workers=1, version=version, executor=executor, **more)


def assert_same(one: LookupTable, other: LookupTable) -> None:
    assert one.digest == other.digest
    for name in one.quantities:
        assert one.data[name].values.tobytes() == other.data[name].values.tobytes()


# The same values


def test_a_netlists_table_is_the_same_from_the_cluster_in_every_bit(
    tmp_path: Path, executor: Executor, own_table: LookupTable
) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    version = cluster_engine(executor)
    assert re.fullmatch(r"ngspice-\d+", version)
    told: list[tuple[int, int, int]] = []
    engine = there(tmp_path, executor, version, progress=lambda *counts: told.append(counts))
    made = table_from(path, engine)
    assert_same(made, own_table)
    assert (told[0], told[-1]) == ((0, 60, 0), (60, 60, 0))
    assert not made.holes
    with Store(tmp_path / "there.sqlite") as kept:
        assert len(kept) == 60
    # What the cluster simulated, this machine need not.
    local = replace(engine, executor=None, progress=lambda *counts: told.append(counts))
    assert_same(table_from(path, local), made)


@pytest.fixture
def own_models(results: Path) -> None:
    """Compiled models of the test's own, not those that others use meanwhile."""
    (results / "cache" / "models").unlink()
    (results / "cache" / "models").mkdir()


class Apart(Executor):
    """The cluster as if on machines that do not have this one's compiled models: they are away meanwhile."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.travelled = 0

    def submit(self, function: Any, handful: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        folders = {model.library.parent for task in handful.tasks for model in task.deck.models}
        self.travelled += len(folders)
        for folder in folders:
            folder.rename(folder.with_suffix(".away"))
        try:
            future = self.executor.submit(function, handful, *arguments, **named)
            wait([future])
        finally:
            for folder in folders:
                folder.with_suffix(".away").rename(folder)
        return future


@pytest.mark.usefixtures("own_models")
def test_compiled_models_travel_to_where_they_are_not(tmp_path: Path, dask: Dask, executor: Executor) -> None:
    base = load_definition("synapse_read", size="quick")
    definition = replace(base, name="tiny", sweep={"v_read": [0.1, 0.2], "t_read": [0.5e-9]})
    version = cluster_engine(executor)
    own = make_table(definition, here(tmp_path, version))
    apart = Apart(executor)
    assert_same(make_table(definition, there(tmp_path, apart, version)), own)
    assert apart.travelled > 0
    (library,) = dask.results.rglob("*.osdi")
    whole = library.read_bytes()
    library.write_bytes(whole[:1000])  # as a full disk leaves it
    (tmp_path / "again").mkdir()
    assert_same(make_table(definition, there(tmp_path / "again", apart, version)), own)
    assert library.read_bytes() == whole


@pytest.mark.usefixtures("own_models")
def test_a_failing_deck_is_a_hole_and_kept_here_as_it_runs_here(
    tmp_path: Path, results: Path, executor: Executor, ngspice_program: str
) -> None:
    """Its kept copy brings the compiled model along, which need not be where the deck ran."""
    deck = "va\n.param rval=1k\nv1 a 0 1\n.model m half r={rval}\nn1 a 0 m\n.tran 1n 4n\n"
    deck += ".if (rval==1000)\nd1 a 0 nosuch\n.endif\n.meas tran i1ns find i(v1) at=2n\n"
    sweep = 'deck = "va.cir"\nfiles = ["half.va"]\n[axes.rval]\nunit = "ohm"\nvalues = [500, 1000, 2000]\n'
    path = written(tmp_path, va_cir=deck, half_va=HALF, mine_toml=sweep + '[measures.i1ns]\nunit = "A"\n')
    version = cluster_engine(executor)
    table = table_from(path, there(tmp_path, Apart(executor), version))
    assert table.data["i1ns"].values == pytest.approx(
        [-1e-3, np.nan, -0.25e-3], rel=1e-6, abs=0.0, nan_ok=True
    )
    (hole,) = table.holes
    assert hole["at"] == {"rval": 1000.0}
    assert "nosuch" in hole["why"] or "valid modelname" in hole["why"]
    (kept,) = (results / "failed").glob("*.cir")
    assert kept.stem == hole["deck"][:12]
    assert "nosuch" in kept.with_suffix(".log").read_text()
    (library,) = re.findall(r"pre_osdi (\S+)", kept.read_text())
    assert (kept.parent / library).is_file()  # a copy, beside the deck
    assert not Path(library).is_absolute()
    replay = subprocess.run([ngspice_program, "-b", str(kept)], capture_output=True, text=True, timeout=60)
    assert "nosuch" in replay.stdout + replay.stderr
    assert_same(table, table_from(path, here(tmp_path, version)))


def test_the_command_runs_on_the_cluster_that_scheduler_names(
    tmp_path: Path, results: Path, dask: Dask, executor: Executor, own_table: LookupTable
) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    script = "from spicebridge.cli import main; main()"
    command = [sys.executable, "-c", script, "characterize", path, "--scheduler", dask.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    made = load_table(results / "tables" / "mine.h5")
    assert made.origin["ngspice"] == cluster_engine(executor)
    assert_same(made, own_table)


def test_any_executor_will_do(tmp_path: Path, own_table: LookupTable) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    with ThreadPoolExecutor(max_workers=2) as threads:
        version = cluster_engine(threads)
        made = table_from(path, there(tmp_path, threads, version))
    assert_same(made, own_table)


# What fails


def test_a_worker_that_is_killed_in_mid_sweep_costs_nothing(
    tmp_path: Path, dask: Dask, executor: Executor, own_table: LookupTable
) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    version = cluster_engine(executor)
    killed: list[int] = []

    def kill_one(ended: int, total: int, _failed: int) -> None:
        if len(killed) < 1 and 0 < ended < total:
            killed.append(sorted(dask.workers)[0])
            os.kill(killed[0], signal.SIGKILL)

    made = table_from(path, there(tmp_path, executor, version, progress=kill_one))
    assert len(killed) == 1
    assert not made.holes
    assert_same(made, own_table)


def test_a_deck_that_crashes_ngspice_on_the_cluster_is_a_hole_and_the_others_stand(
    tmp_path: Path, dask: Dask, executor: Executor
) -> None:
    kinds = ".lib fine\n.endl\n.lib crashing\n.func f(x) {f(x)}\nb1 x 0 v=f(v(out))\n.endl\n"
    deck = RC.replace(".tran", '.lib "kinds.lib" fine\n.tran')
    sweep = SWEEP.replace("points = 60", "points = 2")
    sweep += '[axes.kind]\nlibrary = "kinds.lib"\nvalues = ["crashing", "fine"]\n'
    path = written(tmp_path, rc_cir=deck, kinds_lib=kinds, mine_toml=sweep)
    workers = dask.workers
    made = table_from(path, there(tmp_path, executor, cluster_engine(executor)))
    assert np.isnan(made.data["v1ns"].sel(kind="crashing").values).all()
    expected = 1 - np.exp(-1e-9 / np.array([500e-12, 2e-9]))
    assert made.data["v1ns"].sel(kind="fine").values == pytest.approx(expected, rel=2e-3)
    assert all("ended with status -11, 2 times" in hole["why"] for hole in made.holes)
    assert len(made.holes) == 2
    assert dask.workers == workers  # ngspice died, not the machine


def test_another_ngspice_on_the_cluster_is_refused(tmp_path: Path, executor: Executor) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    with pytest.raises(
        ClusterError, match=r"has ngspice-\d+, and the sweep is for ngspice-1\. .*the same ngspice"
    ):
        table_from(path, there(tmp_path, executor, "ngspice-1"))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1", "nonsense", "bogus://there:8786", "tcp://127.0.0.1", "localhost:99999", "tcp://h:x"],
)
def test_an_address_where_no_scheduler_answers_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ANSWERS_WITHIN", 0.5)
    with pytest.raises(ClusterError, match=rf"no Dask scheduler answers at '{address}' .*'dask scheduler'"):
        connect(address, insecure=True)


@pytest.mark.parametrize("address", ["", "  "])
def test_an_address_is_needed(address: str) -> None:
    assert "--scheduler needs an address" in refused("characterize", "mtj_write", "--scheduler", address)


@pytest.mark.parametrize(
    "address",
    ["tcp://10.1.2.3:8786", "node7:8786", "ucx://10.1.2.3:8786", "TCP://Node7:8786", "tcp://[2001:db8::1]:8786",
     "tcp://127.0.0.1.example.org:8786", "tcp://0.0.0.0:8786", "ws://node7:8786"],
)  # fmt: skip
def test_another_machine_is_not_reached_without_tls(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object, **__: object) -> None:
        raise AssertionError(f"{address} was called")

    monkeypatch.setattr(socket, "create_connection", reached)
    message = refused("characterize", "mtj_write", "--scheduler", address)
    assert "without TLS" in message
    assert "--insecure-scheduler" in message
    assert "docs/security.md" in message
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        connect(address, insecure=True)  # it tries to


def test_tls_without_certificates_is_refused_by_what_is_missing() -> None:
    with pytest.raises(ClusterError, match=r"names? no ca_file, cert, key\. Set DASK_DISTRIBUTED__COMM__TLS"):
        connect("tls://node7:8786")


def test_a_server_that_is_no_scheduler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ANSWERS_WITHIN", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()
        thread = threading.Thread(target=_answers_with_a_page, args=(server, stop))
        thread.start()
        try:
            with pytest.raises(ClusterError, match="no Dask scheduler answers"):
                connect(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        finally:
            stop.set()
            thread.join()


def _answers_with_a_page(server: socket.socket, stop: threading.Event) -> None:
    """Answers as a web server does, until it is to stop."""
    server.settimeout(0.1)
    while not stop.is_set():
        try:
            caller, _ = server.accept()
        except TimeoutError:
            continue
        with contextlib.suppress(OSError), caller:
            caller.sendall(b"HTTP/1.1 400 Bad Request" + b" " * 400)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.1.2.3:1", "tcp://[::1]:1", "localhost:1"])
def test_this_machine_needs_no_tls(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_ANSWERS_WITHIN", 0.5)
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        connect(address)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make certificates with")
def test_a_cluster_is_reached_by_dasks_own_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=here"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    settings = {
        f"distributed.comm.tls.{name}": str(path)
        for name, path in (
            ("ca-file", certificate), ("client.key", key), ("client.cert", certificate),
            ("scheduler.key", key), ("scheduler.cert", certificate),
            ("worker.key", key), ("worker.cert", certificate),
        )
    }  # fmt: skip
    with dask_config.set(settings), distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tls", dashboard_address=":0",
        security=distributed.Security(),
    ) as secure:  # fmt: skip
        assert secure.scheduler_address.startswith("tls://")
        connected: Any = connect(secure.scheduler_address)
        assert connected.submit(pow, 2, 5).result() == 32
        connected._client.close()


def test_a_cluster_without_workers_is_told() -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(ClusterError, match=r"has no workers yet\. Start some with 'dask worker tcp://"),
    ):
        connect(empty.scheduler_address)


def test_a_scheduler_that_goes_away_in_mid_sweep_is_told_and_what_is_done_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP.replace("60", "1000"))
    ends: list[Callable[[], None]] = []

    def end(ended: int, _total: int, _failed: int) -> None:
        if ended > 0 and ends:
            ends.pop()()

    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as ending:
        connected = connect(ending.scheduler_address)
        ends.append(ending.close)
        with pytest.raises(ClusterError, match=r"scheduler is gone\. .*the same command goes on from there"):
            table_from(path, there(tmp_path, connected, cluster_engine(connected), progress=end))
    with Store(tmp_path / "there.sqlite") as kept:
        assert 0 < len(kept) < 1000


class Foreign(Executor):
    """Machines without spicebridge."""

    def submit(self, *_task: Any, **_named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(ModuleNotFoundError("No module named 'spicebridge'"))
        return future


def test_a_cluster_without_this_package_is_told() -> None:
    with pytest.raises(
        ClusterError, match=r"cannot run decks \(ModuleNotFoundError: .*need this spicebridge"
    ):
        cluster_engine(Foreign())


def test_decks_of_machines_that_are_lost_again_and_again_are_holes_not_a_hang(tmp_path: Path) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    with pytest.raises(SpicebridgeError, match=r"(?s)not one of 3 points.*the cluster lost mine"):
        table_from(path, there(tmp_path, Foreign(), "ngspice-1"), **{"axes.rval.points": 3})


def test_a_cluster_without_workers_is_given_up_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_LOOK_EVERY", 0.1)
    monkeypatch.setattr(cluster, "_ALONE_LIMIT", 1.0)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as running:
        executor: Any = connect(running.scheduler_address)
        running.scale(0)
        while executor._client.nthreads():
            time.sleep(0.05)
        sweep = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
        with pytest.raises(ClusterError, match=r"has had no workers for 1 s.*What had finished is kept"):
            table_from(sweep, here(tmp_path, "ngspice-test", executor=executor))
        executor._client.close()
