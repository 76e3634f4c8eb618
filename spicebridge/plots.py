"""Plots of a table's quantity and of a deck's waveforms."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from spicebridge.show import point_label, variable_of
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable, TableError

_CURVES = 12


def table_figure(table: LookupTable, quantity: str) -> Figure:
    """A quantity against its last axis, a curve for each point of the others (the first dozen)."""
    variable = variable_of(table, quantity)
    if variable.ndim == 0:
        raise TableError(f"{table.name}.{quantity} is a single value; there is nothing to plot.")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    last = str(variable.dims[-1])
    shapes = list(np.ndindex(variable.shape[:-1]))
    for index in shapes[:: max(1, math.ceil(len(shapes) / _CURVES))]:
        label = point_label(table, variable, index)
        axes.plot(variable[last].values, variable.values[index], label=label or None, linewidth=1.2)
    for scale, of in ((axes.set_xscale, variable[last]), (axes.set_yscale, variable)):
        if of.attrs.get("scale") == "log":
            scale("log")
    axes.set_xlabel(f"{last} [{table.data[last].attrs.get('units', '')}]")
    axes.set_ylabel(f"{variable.attrs.get('long_name', quantity)} [{variable.attrs.get('units', '')}]")
    axes.set_title(f"{table.name}  {table.digest[:12]}", fontsize="medium")
    if shapes != [()]:
        axes.legend(fontsize="x-small")
    return figure


def waveform_figure(recorded: Waveforms) -> Figure:
    """Every saved waveform against the analysis' sweep variable, voltages above currents."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    name = next(
        (each for each in ("time", "frequency", "v-sweep", "i-sweep") if each in recorded.vectors), None
    )
    for vector, values in recorded.vectors.items():
        if vector == name:
            continue
        axes = lower if vector.endswith("#branch") else upper
        x = recorded.vectors[name] if name else np.arange(len(values))
        axes.plot(
            np.real(x), np.real(values), label=vector, linewidth=1.0, marker="" if len(values) > 1 else "o"
        )
    for axes, label in ((upper, "voltage, inner nodes [V]"), (lower, "current [A]")):
        axes.set_ylabel(label)
        if axes.lines:
            axes.legend(fontsize="x-small")
    lower.set_xlabel({"time": "time [s]", "frequency": "frequency [Hz]"}.get(name or "", name or "point"))
    return figure
