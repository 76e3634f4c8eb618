"""The four IDX files of MNIST and of Fashion-MNIST: found, fetched and checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_bytes

SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
FASHION_MIRRORS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)

Parts = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Training images (60000, 28, 28) and labels (60000,), test images (10000, 28, 28) and labels."""


@dataclass(frozen=True)
class _Published:
    """Where a set's files are kept and had: its name, its folder, checksums by file, mirrors."""

    title: str
    folder: str
    sha256: Mapping[str, str]
    mirrors: Sequence[str]


def load_mnist(folder: Path | None = None, *, mirrors: Sequence[str] = MIRRORS) -> Parts:
    """MNIST.

    Args:
        folder: holds ``mnist/`` with the four files. Without it the folder is ``$SPICEBRIDGE_DATA``, else
            ``~/.cache/spicebridge``. Files that are missing are fetched from a public mirror into it.
        mirrors: addresses that the files' names are appended to, tried in turn.

    Raises:
        SpicebridgeError: a file is neither there nor to be had, or is not the published one.
    """
    return _load(_Published("MNIST", "mnist", SHA256, mirrors), folder)


def load_fashion_mnist(folder: Path | None = None, *, mirrors: Sequence[str] = FASHION_MIRRORS) -> Parts:
    """Fashion-MNIST, from ``fashion_mnist/`` in the folder; else as ``load_mnist``."""
    return _load(_Published("Fashion-MNIST", "fashion_mnist", FASHION_SHA256, mirrors), folder)


def _load(published: _Published, folder: Path | None) -> Parts:
    place = (folder or default_folder()) / published.folder
    train_images, train_labels, test_images, test_labels = (
        read_idx(_file(place, name, published)) for name in published.sha256
    )
    return train_images, train_labels, test_images, test_labels


def default_folder() -> Path:
    """``$SPICEBRIDGE_DATA``, else the user's cache."""
    named = os.environ.get("SPICEBRIDGE_DATA")
    return Path(named) if named else Path.home() / ".cache" / "spicebridge"


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes (gzip), in its own shape.

    Raises:
        SpicebridgeError: not gzip, not IDX, or cut short.
    """
    try:
        data = gzip.decompress(path.read_bytes())
        zeros, kind, axes = struct.unpack(">HBB", data[:4])
        shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
        if (zeros, kind) != (0, 8):
            raise ValueError("not an IDX file of unsigned bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise SpicebridgeError(
            f"{path} is damaged ({error}). Delete it; it will be fetched again, or copy it anew."
        ) from error


def _file(place: Path, name: str, published: _Published) -> Path:
    path = place / name
    if not path.exists():
        write_bytes(path, _fetch(name, place, published))
    found, wanted = hashlib.sha256(path.read_bytes()).hexdigest(), published.sha256[name]
    if found != wanted:
        raise SpicebridgeError(
            f"{path} is not {published.title}'s published file: its SHA-256 is {found[:12]}..., expected "
            f"{wanted[:12]}.... Delete it; it will be fetched again, or copy it anew."
        )
    return path


def _fetch(name: str, place: Path, published: _Published) -> bytes:
    """The file from the first mirror that has it, its checksum right."""
    said = []
    for mirror in published.mirrors:
        try:
            with urllib.request.urlopen(mirror + name, timeout=30) as answer:
                data: bytes = answer.read()
        except (OSError, ValueError) as error:
            said.append(f"{mirror}{name}: {error}")
            continue
        found = hashlib.sha256(data).hexdigest()
        if found == published.sha256[name]:
            return data
        said.append(f"{mirror}{name}: not the published file (SHA-256 {found[:12]}...)")
    raise SpicebridgeError(
        f"{published.title}'s {name} is not in {place} and could not be fetched:\n  "
        + "\n  ".join(said)
        + f"\n  Go online, or copy {published.title}'s four .gz files into a folder named {published.folder} "
        "and point SPICEBRIDGE_DATA at the folder above it."
    )
