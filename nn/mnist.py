"""MNIST's four IDX files: found, fetched and checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import urllib.request
import zlib
from collections.abc import Sequence
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


def load_mnist(
    folder: Path | None = None, *, mirrors: Sequence[str] = MIRRORS
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """MNIST: training images (60000, 28, 28) and labels (60000,), test images (10000, 28, 28) and labels.

    Args:
        folder: holds ``mnist/`` with the four files. Without it the folder is ``$SPICEBRIDGE_DATA``, else
            ``~/.cache/spicebridge``. Files that are missing are fetched from a public mirror into it.
        mirrors: addresses that the files' names are appended to, tried in turn.

    Raises:
        SpicebridgeError: a file is neither there nor to be had, or is not the published one.
    """
    place = (folder or default_folder()) / "mnist"
    train_images, train_labels, test_images, test_labels = (
        read_idx(_file(place, name, mirrors)) for name in SHA256
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


def _file(place: Path, name: str, mirrors: Sequence[str]) -> Path:
    path = place / name
    if not path.exists():
        write_bytes(path, _fetch(name, place, mirrors))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256[name]:
        raise SpicebridgeError(
            f"{path} is not MNIST's published file: its SHA-256 is {found[:12]}..., expected "
            f"{SHA256[name][:12]}.... Delete it; it will be fetched again, or copy it anew."
        )
    return path


def _fetch(name: str, place: Path, mirrors: Sequence[str]) -> bytes:
    """The file from the first mirror that has it, its checksum right."""
    said = []
    for mirror in mirrors:
        try:
            with urllib.request.urlopen(mirror + name, timeout=30) as answer:
                data: bytes = answer.read()
        except (OSError, ValueError) as error:
            said.append(f"{mirror}{name}: {error}")
            continue
        found = hashlib.sha256(data).hexdigest()
        if found == SHA256[name]:
            return data
        said.append(f"{mirror}{name}: not the published file (SHA-256 {found[:12]}...)")
    raise SpicebridgeError(
        f"MNIST's {name} is not in {place} and could not be fetched:\n  "
        + "\n  ".join(said)
        + "\n  Go online, or copy MNIST's four .gz files into a folder named mnist and point "
        "SPICEBRIDGE_DATA at the folder above it."
    )
