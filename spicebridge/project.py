"""Where the project's own files lie: netlists, results, compiled models."""

from __future__ import annotations

import os
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.files import keep_private

_ROOT = Path(__file__).resolve().parent.parent


def netlists_folder() -> Path:
    """The folder of netlists and device models, which an installation must run beside.

    Raises:
        SpicebridgeError: the package was installed without its checkout.
    """
    folder = _ROOT / "netlists"
    if not folder.is_dir():
        raise SpicebridgeError(
            f"the netlists folder is missing ({folder}). spicebridge runs from its checkout: "
            "clone the repository and install it editable with 'make demo' or 'pip install -e .'."
        )
    return folder


def results_folder() -> Path:
    """Where tables, runs and reports go: $SPICEBRIDGE_RESULTS, else ``results`` in the checkout."""
    chosen = os.environ.get("SPICEBRIDGE_RESULTS")
    return Path(chosen).absolute() if chosen else _ROOT / "results"


def reference_folder() -> Path:
    """The tracked reference tables and run records."""
    return _ROOT / "results" / "reference"


def store_file() -> Path:
    """The store of finished simulations."""
    return cache_folder() / "points.sqlite"


def cache_folder() -> Path:
    """Compiled Verilog-A models and finished simulations, safe to delete at any time."""
    return results_folder() / "cache"


def private_cache() -> Path:
    """The cache, made if that can be, and this user's alone: the libraries in it are run.

    Raises:
        SpicebridgeError: it is another user's.
    """
    keep_private(cache_folder())
    return cache_folder()
