"""Commands of a trusted deck's own that outlast it in ngspice's process.

A variable such as ``ngbehavior``, a function or a library that one deck's ``.control`` block sets, defines or
loads is there for every later deck of the process, and decides what it means.
"""

from __future__ import annotations

from collections.abc import Iterator

from spicebridge.deck import Deck

# What concerns the deck's own circuit and plots, which end with it, or only what is printed.
_PASSING = {
    "ac", "alter", "altermod", "alterparam", "dc", "destroy", "disto", "display", "dowhile", "echo", "else",
    "end", "fft", "fourier", "if", "let", "linearize", "listing", "meas", "measure", "noise", "op", "plot",
    "print", "psd", "pz", "remcirc", "repeat", "reset", "run", "save", "sens", "show", "showmod", "sp",
    "spec", "tf", "tran", "unlet", "while", "wrdata", "write",
}  # fmt: skip
# Variables that say how files and lists are written.
_WRITING = {
    "appendwrite", "filetype", "height", "nobreak", "nomoremode", "noprintheader", "noprintindex",
    "noprintscale", "numdgt", "width", "wr_onspace", "wr_singlescale", "wr_vecnames",
}  # fmt: skip


def outlasts(deck: Deck) -> bool:
    """Whether something that the deck commands may be left in ngspice's process for the next."""
    return any(not _passes(words) for words in _commands(deck))


def _passes(words: list[str]) -> bool:
    if words[0] in ("set", "unset"):
        return {word.partition("=")[0] for word in words[1:]} <= _WRITING
    return words[0] in _PASSING and not any("const." in word for word in words)


def _commands(deck: Deck) -> Iterator[list[str]]:
    """The words, in lower case, of each command in the deck's ``.control`` blocks."""
    inside = False
    for line in deck.lines:
        lowered = line.lower()
        if lowered.split()[0] in (".control", ".endc"):
            inside = lowered.startswith(".control")
        elif inside:
            yield from filter(None, (command.split() for command in lowered.split(";")))
