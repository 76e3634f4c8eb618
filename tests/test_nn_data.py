"""Data sets: splits, quantised inputs, and MNIST's files found, fetched, checked."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

from nn import mnist
from nn.data import Split, load_dataset
from spicebridge.errors import SpicebridgeError

DIGITS = Split(train=1347, test=450, seed=0)
WINE = Split(train=124, test=54, seed=0)


def rows(levels: np.ndarray) -> set[bytes]:
    return {each.tobytes() for each in levels}


@pytest.mark.parametrize(("name", "split"), [("digits", DIGITS), ("wine", WINE)])
def test_a_split_has_the_stated_sizes_and_the_classes_shares(name: str, split: Split) -> None:
    data = load_dataset(name, bits=4, split=split)
    assert data.train_levels.shape[0] == len(data.train_labels) == split.train
    assert data.test_levels.shape[0] == len(data.test_labels) == split.test
    share = np.bincount(data.test_labels) / np.bincount(np.concatenate([data.train_labels, data.test_labels]))
    np.testing.assert_allclose(share, split.test / (split.train + split.test), atol=0.02)


def test_no_digit_is_in_both_parts() -> None:
    data = load_dataset("digits", bits=8, split=DIGITS)
    both = np.concatenate([data.train_levels, data.test_levels])
    everything = np.rint(load_digits().data / 16 * 255).astype(np.uint8)
    assert sorted(each.tobytes() for each in both) == sorted(each.tobytes() for each in everything)


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    first, again = (load_dataset("digits", bits=4, split=DIGITS) for _ in range(2))
    other = load_dataset("digits", bits=4, split=Split(train=1347, test=450, seed=1))
    assert first.checksum == again.checksum != other.checksum


def test_validation_holds_out_training_images_and_leaves_the_test_images_alone() -> None:
    whole = load_dataset("digits", bits=4, split=DIGITS)
    held = load_dataset("digits", bits=4, split=DIGITS, evaluate_on="validation")
    assert len(held.test_labels) == 1347 // 6
    assert len(held.train_labels) + len(held.test_labels) == 1347
    assert rows(held.test_levels) | rows(held.train_levels) == rows(whole.train_levels)
    assert "validation" in held.split


def test_inputs_fill_the_levels_their_bits_allow() -> None:
    for bits in (1, 4, 8):
        data = load_dataset("digits", bits=bits, split=DIGITS)
        assert data.train_levels.min() == 0
        assert data.train_levels.max() == 2**bits - 1
        assert data.values(data.train_levels).max() == 1.0


def test_wine_is_scaled_by_its_training_part_alone_and_clipped() -> None:
    data = load_dataset("wine", bits=4, split=WINE)
    assert np.all(data.train_levels.min(axis=0) == 0)
    assert np.all(data.train_levels.max(axis=0) == 15)
    assert data.test_levels.max() <= 15
    assert data.inputs == load_wine().data.shape[1] == 13


def test_a_data_set_or_split_that_is_not_there_is_named() -> None:
    with pytest.raises(SpicebridgeError, match="digits, wine, mnist"):
        load_dataset("cifar", bits=4, split=WINE)
    with pytest.raises(SpicebridgeError, match="178 images and cannot be split into 150"):
        load_dataset("wine", bits=4, split=Split(train=150, test=54, seed=0))
    with pytest.raises(SpicebridgeError, match="test, validation"):
        load_dataset("wine", bits=4, split=WINE, evaluate_on="train")


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def test_an_idx_file_is_read_in_its_own_shape(tmp_path: Path) -> None:
    images = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "a.gz").write_bytes(idx(images))
    np.testing.assert_array_equal(mnist.read_idx(tmp_path / "a.gz"), images)


@pytest.mark.parametrize(
    "damaged",
    [
        b"not gzip at all",
        idx(np.zeros((3, 4)))[:20],
        gzip.compress(struct.pack(">HBB", 0, 8, 1) + struct.pack(">I", 100) + b"too few", mtime=0),
        gzip.compress(struct.pack(">HBB", 0, 13, 1) + struct.pack(">I", 1) + b"\0\0\0\0", mtime=0),
        gzip.compress(b"", mtime=0),
    ],
    ids=["no gzip", "cut short", "too few bytes", "another type", "empty"],
)
def test_a_damaged_idx_file_is_told_so(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "a.gz").write_bytes(damaged)
    with pytest.raises(SpicebridgeError, match=r"a\.gz is damaged"):
        mnist.read_idx(tmp_path / "a.gz")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small MNIST of our own on a local server, its checksums taken for the published ones."""
    served = tmp_path / "served"
    served.mkdir()
    sizes = dict(zip(mnist.SHA256, [(6, 28, 28), (6,), (4, 28, 28), (4,)], strict=True))
    for name, shape in sizes.items():
        content = idx(np.arange(np.prod(shape)).reshape(shape) % 10)
        (served / name).write_bytes(content)
        monkeypatch.setitem(mnist.SHA256, name, hashlib.sha256(content).hexdigest())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_missing_files_are_fetched_once_and_kept(tmp_path: Path, mirror: str) -> None:
    folder = tmp_path / "data"
    images, labels, test_images, _ = mnist.load_mnist(folder, mirrors=[mirror])
    assert images.shape == (6, 28, 28)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5]
    again = mnist.load_mnist(folder, mirrors=["http://127.0.0.1:9/"])
    np.testing.assert_array_equal(again[2], test_images)


def test_a_mirror_that_fails_is_passed_over_for_the_next(tmp_path: Path, mirror: str) -> None:
    mnist.load_mnist(tmp_path / "data", mirrors=[mirror + "nowhere/", mirror])


def test_a_fetched_file_that_is_not_the_published_one_is_not_kept(tmp_path: Path, mirror: str) -> None:
    served = tmp_path / "served" / "train-images-idx3-ubyte.gz"
    served.write_bytes(idx(np.zeros((6, 28, 28))))
    with pytest.raises(SpicebridgeError, match="not the published file"):
        mnist.load_mnist(tmp_path / "data", mirrors=[mirror])
    assert not list((tmp_path / "data").rglob("*.gz"))


def test_a_local_file_that_is_not_the_published_one_is_refused(tmp_path: Path, mirror: str) -> None:
    mnist.load_mnist(tmp_path / "data", mirrors=[mirror])
    (tmp_path / "data" / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.zeros(4)))
    with pytest.raises(SpicebridgeError, match="SHA-256"):
        mnist.load_mnist(tmp_path / "data", mirrors=[mirror])


def test_offline_without_the_files_it_says_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(SpicebridgeError) as caught:
        mnist.load_mnist(tmp_path, mirrors=["http://127.0.0.1:9/"])
    assert "SPICEBRIDGE_DATA" in str(caught.value)
    assert "http://127.0.0.1:9/train-images-idx3-ubyte.gz" in str(caught.value)


def test_the_folder_is_the_named_one_else_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_DATA", "/somewhere")
    assert mnist.default_folder() == Path("/somewhere")
    monkeypatch.delenv("SPICEBRIDGE_DATA")
    assert mnist.default_folder() == Path.home() / ".cache" / "spicebridge"


def test_mnist_is_the_published_one_and_keeps_its_own_split(data_folder: Path) -> None:
    data = load_dataset("mnist", bits=4, split=Split(train=60000, test=10000, seed=0), folder=data_folder)
    assert data.train_levels.shape == (60000, 784)
    assert data.test_levels.shape == (10000, 784)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.train_levels.max() == 15
    with pytest.raises(SpicebridgeError, match="publishers train on 60000"):
        load_dataset("mnist", bits=4, split=Split(train=60001, test=100, seed=0), folder=data_folder)


def test_fashion_mnist_is_the_published_one_and_not_mnist(data_folder: Path) -> None:
    split = Split(train=60000, test=10000, seed=0)
    data = load_dataset("fashion_mnist", bits=8, split=split, folder=data_folder)
    assert data.train_levels.shape == (60000, 784)
    assert data.train_labels[:5].tolist() == [9, 0, 0, 3, 0]  # ankle boot, T-shirts, dress
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    assert data.train_levels.max() == 255


def test_fashion_mnist_is_looked_for_in_its_own_folder(tmp_path: Path) -> None:
    with pytest.raises(SpicebridgeError, match="Fashion-MNIST's train-images") as caught:
        mnist.load_fashion_mnist(tmp_path, mirrors=["http://127.0.0.1:9/"])
    assert "a folder named fashion_mnist" in str(caught.value)
