"""Plots as inline SVG: one style, colours that follow the page's light or dark scheme, stable bytes."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spicebridge.report.markup import Html, tag
from spicebridge.report.quantity import power_of_ten

INK, MUTED, GRID = "#1c2126", "#59636e", "#dde2e7"
SERIES = ("#0969a8", "#c2481a", "#1a7f52", "#8345ad", "#97700a")
"""Colours as they are in the light scheme; on the page each becomes a CSS variable."""
WIDTH = 4.9
"""Width of a plot in inches: about a phone's, so that text keeps its size there."""

_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid"} | {
    colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
    "svg.hashsalt": "spicebridge",
    "path.simplify": True,
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "legend.fontsize": 9,
    "axes.titlesize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
}


@dataclass(frozen=True)
class Plot:
    """A finished plot, or the sentence that stands in its place.

    Attributes:
        name: unique on the page.
        svg: inline SVG; None where it could not be drawn.
        alt: what it shows, for those who cannot see it.
        caption: what to know when reading it.
    """

    name: str
    svg: Html | None
    alt: str
    caption: str

    def html(self) -> Html:
        """The plot as a captioned figure, or its sentence."""
        if self.svg is None:
            return tag("p", self.caption, class_="notice")
        return tag("figure", self.svg, tag("figcaption", self.caption), id=self.name)


P = ParamSpec("P")
Drawn = TypeVar("Drawn", bound="Plot | None")


def never_fatal(what: str) -> Callable[[Callable[P, Drawn]], Callable[P, Drawn | Plot]]:
    """A plotting function that gives a sentence, on the page and on stderr, where it cannot draw.

    Args:
        what: what the plot is of, as a sentence names it.
    """

    def around(draw: Callable[P, Drawn]) -> Callable[P, Drawn | Plot]:
        @wraps(draw)
        def drawn(*args: P.args, **kwargs: P.kwargs) -> Drawn | Plot:
            try:
                return draw(*args, **kwargs)
            except Exception as error:  # whatever a plot meets, the figures around it are sound
                reason = " ".join(str(error).split()) or "no reason given"
                words = f"The plot of {what} could not be drawn ({type(error).__name__}: {reason[:160]})."
                sys.stderr.write(f"Note: {words}\n")
                return Plot(name="", svg=None, alt="", caption=words)

        return drawn

    return around


def panels(count: int, *, height: float, ratios: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    """A figure with panels one above another that share their x axis. Height in inches."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(count, 1, sharex=True, squeeze=False, height_ratios=ratios)
        for each in axes.flat:
            each.patch.set_visible(False)
        figure.patch.set_visible(False)
    return figure, list(axes.flat)


def grid(rows: int, columns: int, *, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of small panels, row by row, each with axes of its own. Height in inches."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for each in axes.flat:
            each.patch.set_visible(False)
        figure.patch.set_visible(False)
    return figure, list(axes.flat)


def legend(figure: Figure, axes: Axes, *, columns: int) -> None:
    """A legend above the panels, where it covers no data."""
    with mpl.rc_context(_STYLE):
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, handlelength=1.6, columnspacing=1.2
        )


def decades(axes: Axes) -> None:
    """Label a logarithmic y axis with powers of ten in plain text."""
    axes.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
    axes.yaxis.set_minor_formatter(lambda *_: "")


def finish(figure: Figure, *, name: str, alt: str, caption: str) -> Plot:
    """The figure as a plot whose bytes depend on what it shows alone."""
    written = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return Plot(name=name, svg=_inline(written.getvalue(), name, alt), alt=alt, caption=caption)


def _inline(svg: str, name: str, alt: str) -> Html:
    """What an HTML page needs of matplotlib's SVG file, its ids made unique on the page."""
    body = svg[svg.index("<svg") :]
    opening, _, rest = body.partition(">")
    view = re.search(r'viewBox="([^"]+)"', opening)
    rest = re.sub(r"<metadata>.*?</metadata>\s*", "", rest, flags=re.DOTALL)
    rest = rest.replace("xlink:href", "href")
    rest = re.sub(r'\bid="', f'id="{name}-', rest)
    rest = re.sub(r'href="#', f'href="#{name}-', rest)
    rest = re.sub(r"url\(#", f"url(#{name}-", rest)
    for colour, variable in _VARIABLES.items():
        rest = rest.replace(colour, f"var(--{variable})")
    title = tag("title", alt, id=f"{name}-title")
    box = view[1] if view else f"0 0 {72 * WIDTH:g} 252"
    return Html(f'<svg viewBox="{box}" role="img" aria-labelledby="{name}-title">{title}{rest.rstrip()}')
