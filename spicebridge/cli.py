"""The command line: a thin skin on the library. Exit 0 done, 1 a foreseen problem, 2 misuse."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spicebridge.errors import SpicebridgeError
from spicebridge.settings import listed
from spicebridge.terminal import (
    bar,
    check_plot,
    cores,
    echo,
    pairs,
    print_json,
    revision,
    save_figure,
    sweep_bar,
    title,
    visible,
    yes,
)
from spicebridge.terminal import seeds as seed_list

if TYPE_CHECKING:
    from spicebridge.simulator import Waveforms
    from spicebridge.table import LookupTable

SATURATED = 0.999  # below this share, a run says that its longest pulse does not saturate
TRUST_HELP = "Let a netlist run commands and read any file."
SIZE_HELP = "Quick: a minute or less, for a first look. Full: what the reference tables hold."


class _Commands(click.Group):
    """Commands whose foreseen problems become one message and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        after = signal.getsignal(signal.SIGINT)
        if after is not signal.SIG_IGN:  # as in a shell's background
            signal.signal(signal.SIGINT, _stop)
        try:
            return super().invoke(ctx)
        except SpicebridgeError as error:
            raise click.ClickException(visible(str(error))) from error
        except KeyboardInterrupt:
            after = signal.SIG_IGN
            raise click.ClickException(
                "stopped. What had finished is kept: the same command goes on from there."
            ) from None
        finally:
            signal.signal(signal.SIGINT, after)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """In the order of use, which is the order they stand in here."""
        return list(self.commands)


def _stop(_signal: int, _frame: object) -> None:
    """Take the first Ctrl-C for all: the next would only disturb the keeping of what had finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spicebridge")
def main() -> None:
    """From SPICE netlists of synapse circuits to a network's accuracy and TOPS/W.

    \b
    spicebridge characterize mtj_write synapse_read    circuits into lookup tables
    spicebridge train digits_ternary_mtj               a network on those tables
    spicebridge report latest                          accuracy, TOPS/W and where they come from
    """


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check the installation by using it: one real simulation, one Verilog-A model.

    Example: spicebridge doctor
    """
    from spicebridge.doctor import examine

    found = examine()
    if as_json:
        print_json(found)
    else:
        ngspice = found["ngspice"]
        echo(f"ngspice     {ngspice['version'] or 'none'}   {ngspice['library'] or ''}")
        echo(f"simulates   {yes(ngspice['simulates'])}")
        echo(f"OSDI        {'not tried' if ngspice['osdi'] is None else yes(ngspice['osdi'])}")
        echo(f"compiler    {found['compiler'] or 'none'}")
        for problem in found["problems"]:
            echo(f"problem     {problem}")
    sys.exit(0 if found["ok"] else 1)


@main.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List netlists, table definitions, tables, experiments and runs.

    Example: spicebridge list
    """
    from characterization.definition import available_definitions, load_definition
    from nn.experiment import available_experiments
    from nn.studies import load_study
    from spicebridge.catalog import available_runs, available_tables
    from spicebridge.project import netlists_folder

    found: dict[str, dict[str, str]] = {
        "netlists": {path.stem: title(path) for path in sorted(netlists_folder().glob("*.cir"))},
        "definitions": {name: load_definition(name, size="quick").about for name in available_definitions()},
        "tables": {name: str(path) for name, path in sorted(available_tables().items())},
        "experiments": {name: load_study(name).description for name in available_experiments()},
        "runs": {name: str(path.parent) for name, path in sorted(available_runs().items())},
    }
    if as_json:
        print_json(found)
        return
    for kind, entries in found.items():
        echo(kind)
        for name, about in entries.items():
            echo(f"  {name:<24} {about}")
        if not entries:
            echo("  none yet")


@main.command()
@click.argument("deck", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Override a .param; repeatable.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write the waveforms as PNG, SVG or PDF.")
@click.option(
    "--export", type=click.Path(path_type=Path), help="Write the deck for bare ngspice -b, models beside it."
)
@click.option("--compat", metavar="MODE", help="As ngspice's ngbehavior: hsa, ltpsa ...; none for none.")
@click.option("--trust", is_flag=True, help=TRUST_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the measures as JSON.")
def simulate(
    deck: Path,
    settings: tuple[str, ...],
    plot: Path | None,
    export: Path | None,
    compat: str | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Run one netlist file in ngspice.

    Example: spicebridge simulate netlists/mtj_write.cir --set v_write=0.55 --plot write.png
    """
    from spicebridge.netlist import read_deck
    from spicebridge.permission import TRUSTED, outside
    from spicebridge.project import netlists_folder
    from spicebridge.show import measures_text
    from spicebridge.startup import check_compat, refuse_startup, startup_for
    from spicebridge.workers import simulate as run

    check_plot(plot)
    permission = TRUSTED if trust else outside([deck.parent])
    mode = None if compat is None else check_compat(compat)
    read = read_deck(deck, permission=permission, compat=mode or "")
    startup = startup_for(deck.parent)
    if startup is not None and netlists_folder() not in deck.resolve().parents:
        remedy = "Add this to the command: --compat MODE"
        for note in refuse_startup(startup, compat=mode, lines=read.top_level, remedy=remedy):
            echo(f"Note: {note}", err=True)
    chosen = read.with_parameters(**pairs(settings))
    recorded = run(chosen)
    if export is not None:
        chosen.write(export)
    if plot is not None:
        from spicebridge.plots import waveform_figure

        save_figure(waveform_figure(recorded), plot)
    if as_json:
        print_json(
            {
                "deck": chosen.digest,
                "analysis": recorded.analysis,
                "engine": recorded.engine,
                "measures": dict(recorded.measures),
                "vectors": sorted(recorded.vectors),
            }
        )
        return
    points = max((len(values) for values in recorded.vectors.values()), default=0)
    echo(f"{chosen.name}   digest {chosen.digest[:12]}   {recorded.analysis}, {points} points")
    echo(measures_text(recorded.measures) or "  no .meas lines")
    if plot is not None:
        echo(f"Plot: {plot}")


@main.command("compile")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), help="The .osdi file (beside the source if not given)."
)
@click.option(
    "--compiler",
    type=click.Choice(["builtin", "openvaf"]),
    default="builtin",
    show_default=True,
    help="Ours, or an openvaf binary on the PATH.",
)
def compile_(model: Path, output: Path | None, compiler: str) -> None:
    """Compile a Verilog-A model into an OSDI library for ngspice.

    Example: spicebridge compile netlists/devices/stt_mtj.va
    """
    from spicebridge.files import write_bytes
    from spicebridge.project import private_cache
    from spicebridge.verilog_a import compile_model

    compiled = compile_model(model, cache=private_cache() / "models", compiler=compiler)
    target = output or model.with_suffix(".osdi")
    write_bytes(target, compiled.library.read_bytes())
    echo(f"{compiled.module}({', '.join(compiled.terminals)})   digest {compiled.digest[:12]}")
    if compiled.type != compiled.module:
        echo(f"ngspice has a {compiled.module} of its own: .model CARD {compiled.type} names this one.")
    for each in compiled.parameters:
        unit = "" if each.unit in ("", "1") else f" {each.unit}"
        kind = "instance" if each.is_instance else "model"
        echo(f"  {each.name:<12} {each.default + unit:<18} {kind:<9} {each.description}")
    echo(f"Written: {target}")


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="TABLE...")
@click.option("--quick/--full", default=True, show_default=True, help=SIZE_HELP)
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes; one a core if not given.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask cluster to run on instead of this machine.")
@click.option("--insecure-scheduler", is_flag=True, help="Let ADDRESS be another machine's without TLS.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a setting; repeatable.")
@click.option("--trust", is_flag=True, help=TRUST_HELP)
@click.option("--reference", is_flag=True, help="Write the tracked reference table.")
def characterize(
    names: tuple[str, ...],
    quick: bool,
    workers: int | None,
    scheduler: str | None,
    insecure_scheduler: bool,
    settings: tuple[str, ...],
    trust: bool,
    reference: bool,
) -> None:
    """Sweep circuits into lookup tables.

    TABLE is a definition that comes with the project (see: spicebridge list) or a TOML file of your own, of
    one of its circuits or of any netlist (see docs/own_netlist.md). Finished simulations are kept, so a sweep
    that was stopped goes on where it was.

    Example: spicebridge characterize docs/rc.toml
    """
    from characterization.definition import load_definition
    from characterization.run import make_table
    from spicebridge.catalog import table_path
    from spicebridge.cluster import cluster_engine, connect
    from spicebridge.project import private_cache, reference_folder, store_file
    from spicebridge.settings import parse_setting
    from spicebridge.show import holes_text, table_text
    from spicebridge.simulator import ngspice_version
    from spicebridge.sweep import Engine

    overrides = {key: parse_setting(text) for key, text in pairs(settings).items()}
    size = "quick" if quick else "full"
    definitions = [load_definition(name, size=size, overrides=overrides, trust=trust) for name in names]
    executor: Executor | None = None if scheduler is None else connect(scheduler, insecure=insecure_scheduler)
    version = cluster_engine(executor) if executor else ngspice_version()
    private_cache()
    holes = 0
    for definition in definitions:
        for note in getattr(definition, "notes", ()):
            echo(f"Note: {note}", err=True)
        counted: Counter[str] = Counter()
        with sweep_bar(definition.name) as show:
            engine = Engine(
                store=store_file(),
                workers=workers or cores(),
                version=version,
                progress=show,
                executor=executor,
                counts=partial(_count, counted),
            )
            table = make_table(definition, engine)
        if table.empty:
            raise SpicebridgeError(f"{holes_text(table)}\nThere is not one value, so no table is written.")
        tracked = reference_folder() / "tables" / f"{table.name}.h5"
        path = tracked if reference else table_path(table.name)
        table.save(path)
        echo(table_text(table))
        echo(f"This time: {counted['simulated']} simulated, {counted['stored']} from the store")
        echo(f"Written: {path}\n")
        if settings and path != tracked and tracked.is_file():
            echo(
                f"Note: made with {', '.join(settings)}; train reads it instead of the reference until it is "
                f"deleted: {path}",
                err=True,
            )
        if table.holes:
            echo(holes_text(table), err=True)
            holes += len(table.holes)
    if holes:
        raise SpicebridgeError(
            "a table has holes, named above; all else is in it and kept. The same command tries simulations "
            "that failed again; a .meas line without a result will have none again."
        )


def _count(into: Counter[str], simulated: int, stored: int) -> None:
    into.update(simulated=simulated, stored=stored)


@main.command()
@click.argument("table")
@click.argument("quantity", required=False)
@click.option("--plot", type=click.Path(path_type=Path), help="Write a plot as PNG, SVG or PDF.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print axes, quantities, units, digest and samples as JSON."
)
def show(table: str, quantity: str | None, plot: Path | None, as_json: bool) -> None:
    """Show a table, or one of its quantities.

    Example: spicebridge show mtj_write p_switch --plot p_switch.png
    """
    from spicebridge.catalog import find_table
    from spicebridge.foreign import worked_out
    from spicebridge.show import describe, quantity_text, table_text

    check_plot(plot)
    found = find_table(table)
    with worked_out(f"table {found.name}", "Make it again."):
        text = quantity_text(found, quantity) if quantity else table_text(found)
        described = describe(found)
    if plot is not None:
        from spicebridge.plots import table_figure

        save_figure(table_figure(found, quantity or found.quantities[0]), plot)
    if as_json:
        print_json(described)
        return
    echo(text)
    if plot is not None:
        echo(f"Plot: {plot}")


@main.command()
@click.argument("table")
@click.option("--entries", type=click.IntRange(1), default=10, show_default=True, help="Points to verify.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Chooses the points.")
@click.option("--at", multiple=True, metavar="AXIS=VALUE", help="Only points with this value; repeatable.")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=None, help="Relative; the table's own if not given."
)
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes; one a core if not given.")
@click.option("--trust", is_flag=True, help=TRUST_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print every entry as JSON.")
def verify(
    table: str,
    entries: int,
    seed: int,
    at: tuple[str, ...],
    tolerance: float | None,
    workers: int | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Simulate random entries of a table again with the bare ngspice program, and compare.

    Neither libngspice nor the worker processes nor the store take part. Exit status 1 if an entry differs.

    Example: spicebridge verify synapse_read --entries 5
    """
    from characterization.verify import cost_text, plan, verification_record, verification_text
    from characterization.verify import verify as compare
    from spicebridge.bare import BareEngine
    from spicebridge.catalog import find_table
    from spicebridge.foreign import worked_out
    from spicebridge.project import results_folder
    from spicebridge.settings import parse_setting

    where = {axis: parse_setting(text) for axis, text in pairs(at, option="--at").items()}
    kept = find_table(table)
    with worked_out(f"the lineage of table {kept.name}", "Make it again."):
        chosen = plan(kept, entries=entries, seed=seed, at=where, trust=trust)
    echo(cost_text(chosen), err=True)
    with sweep_bar(f"verify {chosen.table.name}") as show:
        engine = BareEngine(folder=results_folder() / "verify", workers=workers or cores(), progress=show)
        found = compare(chosen, tolerance=tolerance, engine=engine)
    if as_json:
        print_json(verification_record(found))
    else:
        echo(verification_text(found))
    sys.exit(0 if found.ok else 1)


@main.command()
@click.argument("experiment")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a setting; repeatable.")
@click.option("--seeds", help="Seeds instead of the experiment's, as 1,2,3.")
@click.option("--arms", help="Networks to train, as table,float; all of the experiment's if not given.")
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes; one a core if not given.")
@click.option("--allow-holes", is_flag=True, help="Train on tables of which some simulations failed.")
@click.option("--resume/--no-resume", default=True, help="Go on where a stopped run was, or begin anew.")
@click.option("--reference", is_flag=True, help="Write the tracked reference record.")
def train(
    experiment: str,
    settings: tuple[str, ...],
    seeds: str | None,
    arms: str | None,
    workers: int | None,
    allow_holes: bool,
    resume: bool,
    reference: bool,
) -> None:
    """Train an experiment's networks on its tables; a run that was stopped goes on where it was.

    EXPERIMENT is one that comes with the project (see: spicebridge list) or a TOML file of your own. Its arms
    are the network on the tables (table), the same rule with ideal devices (ideal), the floating-point
    baseline (float); for ternary synapses the tables with read currents and ADCs (table_read) or with devices
    that differ (table_spread), and for PCM pairs one effect off at a time (without_chi and so on).

    Example: spicebridge train digits_ternary_mtj --seeds 1,2
    """
    from nn.elements import unknown_elements
    from nn.studies import load_study, run_study
    from spicebridge.catalog import find_table, run_folder
    from spicebridge.lineage import changed_netlists
    from spicebridge.project import netlists_folder, reference_folder
    from spicebridge.report import headline_text

    overrides: dict[str, Any] = dict(pairs(settings))
    if seeds is not None:
        overrides["seeds"] = seed_list(seeds)
    chosen = load_study(experiment, overrides=overrides)
    tables = {name: find_table(name) for name in chosen.tables.names}
    for name, table in tables.items():
        if changed := changed_netlists(table, netlists_folder()):
            echo(
                f"Note: {listed(changed)} changed since table {name} was made; "
                f"'spicebridge characterize {name}' brings it up to date.",
                err=True,
            )
    if silent := unknown_elements(list(tables.values())):
        echo(
            f"Note: {', '.join(silent)} does not say what its cell is made of, so it is not known whether "
            "all tables are of the same device, transistors and supply.",
            err=True,
        )
    names = None if arms is None else [arm.strip() for arm in arms.split(",")]
    with bar(chosen.name, chosen.unit) as show:
        folder = reference_folder() / "runs" / chosen.name if reference else run_folder(chosen.name)
        data = os.environ.get("SPICEBRIDGE_DATA")
        record = run_study(
            chosen,
            tables,
            folder=folder,
            arms=names,
            workers=workers or cores(),
            show=show,
            data_folder=Path(data) if data else None,
            allow_holes=allow_holes,
            resume=resume,
            circumstances={"command": " ".join(["spicebridge", *sys.argv[1:]]), "revision": revision()},
        )
    saturation = record.get("device", {}).get("saturation")
    if saturation is not None and saturation < SATURATED:
        echo(
            f"Note: the longest pulse of {chosen.tables.names[0]} switches with P = {saturation:.4f} only, "
            "so that whole weight steps can fail. A longer t_max in the table mends it.",
            err=True,
        )
    echo(headline_text(record))
    echo(f"Written: {folder / 'record.json'}   All of it: spicebridge report {chosen.name}")


@main.command()
@click.argument("run", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and write no page.")
def report(run: str, as_json: bool) -> None:
    """Report a run: accuracy, TOPS/W, and a page with plots and lineage.

    RUN is 'latest' (the newest working run, else the reference) or an experiment's name.

    Example: spicebridge report digits_ternary_mtj
    """
    from nn.studies import accounted
    from spicebridge.catalog import available_runs, find_record, tables_by_digest
    from spicebridge.files import write_text
    from spicebridge.foreign import worked_out
    from spicebridge.lineage import chain
    from spicebridge.project import netlists_folder, results_folder
    from spicebridge.report import html_report, summary, text_report

    record = find_record(run)
    remedy = f"Train it again, or delete its folder: {available_runs().get(record['experiment'], run)}"
    with worked_out(f"the record of {record['experiment']}", remedy):
        record = accounted(record)
        if as_json:
            print_json(summary(record))
            return
        echo(text_report(record))  # before the page, of which no part may cost the figures
        tables = tables_by_digest()
        page = html_report(
            record,
            tables=tables,
            chain=chain(record, tables, netlists_folder()),
            write=_one_write(record, tables),
        )
    path = results_folder() / "reports" / f"{record['experiment']}.html"
    write_text(path, page)
    echo(f"Page: {path}")


def _one_write(record: Mapping[str, Any], tables: Mapping[str, LookupTable]) -> Waveforms | None:
    """One write of a record's own cell, simulated; None, and a note, where its table has none to simulate."""
    from characterization.definition import Definition
    from characterization.run import definition_of
    from circuits.cell import Cell
    from circuits.example_write import example_write
    from spicebridge.workers import simulate as run_deck

    v_write = (record.get("device") or {}).get("v_write")
    written = tables.get(record["tables"][0]["digest"]) if record["tables"] else None
    if v_write is None or written is None:
        return None
    try:
        definition = definition_of(written)
        if isinstance(definition, Definition) and isinstance(definition.cell, Cell):
            return run_deck(example_write(definition.cell, v_write=v_write))
    except SpicebridgeError as error:
        echo(f"Note: no waveforms of a write on the page. {error}", err=True)
    return None


@main.command()
@click.argument("name", default="latest")
@click.option("--replay", is_flag=True, help="Simulate the tables anew and compare their digests.")
@click.option("--trust", is_flag=True, help=TRUST_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the chain as JSON.")
def trace(name: str, replay: bool, trust: bool, as_json: bool) -> None:
    """Trace a run's figures, or a table, back to decks, models and sources.

    NAME is 'latest', an experiment's name or a table's name. With --replay every deck is simulated again and
    the tables' digests are compared.

    Example: spicebridge trace latest
    """
    from dataclasses import asdict

    from spicebridge.catalog import available_tables, find_record, find_table, tables_by_digest
    from spicebridge.foreign import worked_out
    from spicebridge.lineage import chain, chain_text, table_chain
    from spicebridge.project import netlists_folder

    if name in available_tables() or name.endswith(".h5"):
        table = find_table(name)
        with worked_out(f"the lineage of table {table.name}", "Make it again."):
            links: tuple[Any, ...] = (table_chain(table, netlists_folder()),)
        concerned: dict[str, Any] = {table.digest: table}
    else:
        record = find_record(name, also=available_tables())
        known = tables_by_digest()
        with worked_out(f"the record of {record['experiment']}", "Train it again."):
            links = chain(record, known, netlists_folder())
        concerned = {each["digest"]: known.get(each["digest"]) for each in record["tables"]}
    replayed = (
        [_replayed(digest, table, trust=trust) for digest, table in concerned.items()] if replay else []
    )
    if as_json:
        print_json({"chain": [asdict(link) for link in links], "replay": replayed})
    else:
        echo(chain_text(links))
        for each in replayed:
            echo(f"replay {each['table']}: {each['outcome']}")
    if any(not each["same"] for each in replayed):
        sys.exit(1)


def _replayed(digest: str, table: Any, *, trust: bool) -> dict[str, Any]:
    """Whether a table, simulated again from its lineage, has the same digest."""
    from characterization.replay import replay
    from spicebridge.foreign import worked_out
    from spicebridge.simulator import ngspice_version

    if table is None:
        return {"table": digest[:12], "same": False, "outcome": "not here, so it cannot be replayed"}
    what = f"the lineage of table {table.name}"
    with worked_out(what, "Make it again."), sweep_bar(f"replay {table.name}") as show:
        return replay(table, workers=cores(), version=ngspice_version(), progress=show, trust=trust)
