"""The command line's paper: progress bars, JSON, plots, what a person typed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from spicebridge.errors import SpicebridgeError


@contextmanager
def bar(name: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar with rate and time left, shown from the second second on, only on a terminal.

    What it gives is called with what is done, what there is in all, and a few words to stand behind.
    """
    with tqdm(desc=name, unit=unit, delay=2, disable=not sys.stderr.isatty(), dynamic_ncols=True) as shown:

        def show(done: int, total: int, words: str) -> None:
            shown.total = total
            if words:
                shown.set_postfix_str(words, refresh=False)
            shown.update(done - shown.n)

        yield show


@contextmanager
def sweep_bar(name: str) -> Iterator[Callable[[int, int, int], None]]:
    """A progress bar of a sweep, told what ended, what there is in all, and what failed."""
    with bar(name, "sim") as show:
        yield lambda ended, total, failed: show(ended, total, f"{failed} failed" if failed else "")


def cores() -> int:
    """The cores this process may use; in a container that can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pairs(settings: tuple[str, ...], *, option: str = "--set") -> dict[str, str]:
    """KEY=VALUE settings as a mapping."""
    found = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{setting!r} is not of the form KEY=VALUE.", param_hint=option)
        found[key.strip()] = value.strip()
    return found


def seeds(text: str) -> list[int]:
    """Seeds written as 1,2,3."""
    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list such as 1,2,3.", param_hint="--seeds") from None


def revision() -> str | None:
    """The checkout's git revision, with a mark if its code has changes; None outside git."""

    def git(*words: str) -> str:
        here = Path(__file__).parent.parent
        told = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True)
        return told.stdout.strip()

    try:
        found = git("rev-parse", "--short=12", "HEAD")
        # Results are what the revision is written into, so they do not count as changes.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{found}-dirty" if changed else found


def check_plot(path: Path | None) -> None:
    """Refuse a plot of an unknown kind before anything is simulated or written."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if path is not None and path.suffix[1:].lower() not in known:
        raise SpicebridgeError(
            f"cannot plot to {path}: its ending should be one of {', '.join(sorted(known))}."
        )


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure, whole or not at all."""
    from spicebridge.files import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)


def title(path: Path) -> str:
    """What a netlist's first line says it is."""
    return path.read_text(encoding="utf-8").partition("\n")[0].partition(": ")[2]


def yes(value: bool) -> str:
    """Yes or no."""
    return "yes" if value else "no"


def visible(text: str) -> str:
    """A text whose control characters are spelt out, so that none reaches a terminal as a command."""
    return "\n".join(line if line.isprintable() else "".join(map(_spelt, line)) for line in text.split("\n"))


def _spelt(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")


def echo(text: str, *, err: bool = False) -> None:
    """Print a text, with what a file's own words may hold of a terminal's commands made visible."""
    click.echo(visible(text), err=err)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(_finite(value), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    """The value with null for numbers that JSON does not have: NaN and the infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
