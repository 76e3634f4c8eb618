"""The store: what was put comes back bit for bit, is on disk within a second, and damage is never a value."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spicebridge.errors import SpicebridgeError
from spicebridge.store import Store, Stored

ONE = Stored({"v": np.array([1.0, np.nan, -0.0])}, None)


def same(one: Stored | None, other: Stored) -> bool:
    """Whether two units agree in every bit."""
    return (
        one is not None
        and one.aid == other.aid
        and list(one.values) == list(other.values)
        and all(
            (values.shape, values.dtype, values.tobytes())
            == (np.shape(other.values[name]), np.dtype(float), np.asarray(other.values[name]).tobytes())
            for name, values in one.values.items()
        )
    )


def unit(number: int) -> Stored:
    """A unit that tells its number in every value."""
    return Stored({"a": np.full(3, float(number)), "b": np.array(number / 7)}, f"aid {number}")


def filled(path: Path, count: int) -> None:
    with Store(path) as store:
        for number in range(count):
            store.put(f"key{number}", unit(number))


def committed(path: Path) -> int:
    """The units that another process would find."""
    with sqlite3.connect(path) as file:
        return int(file.execute("SELECT count(*) FROM units").fetchone()[0])


# What was put


@st.composite
def units(draw: st.DrawFn) -> Stored:
    """Named arrays of zero to three dimensions, some of them empty, with every float there is."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    arrays = hnp.arrays(float, shapes, elements=st.floats(width=64))
    values = draw(st.dictionaries(st.text(max_size=8), arrays, max_size=4))
    return Stored(values, draw(st.none() | st.text(max_size=20)))


@settings(max_examples=80, deadline=None)
@given(kept=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=70), units()))
@example(kept={"key": Stored({}, None)})
@example(kept={"key": Stored({"nul": np.array([]), "": np.array(np.inf)}, "")})
def test_whatever_is_put_is_found_before_the_commit_after_it_and_by_the_next(kept: dict[str, Stored]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.sqlite")
        with Store(path) as store:
            for key, value in kept.items():
                store.put(key, value)
            assert all(same(store.get(key), value) for key, value in kept.items())
            store.commit()
            assert all(same(store.get(key), value) for key, value in kept.items())
            assert len(store) == len(kept)
        with Store(path) as store:
            assert all(same(store.get(key), value) for key, value in kept.items())
            assert store.get("nothing of that name") is None


def test_values_in_any_layout_come_back_as_plain_floats(tmp_path: Path) -> None:
    grid = np.arange(12.0).reshape(3, 4)
    given_values: dict[str, Any] = {
        "turned": grid.T, "reversed": grid[::-1, ::2], "big": grid.astype(">f8"), "whole": np.arange(3),
    }  # fmt: skip
    with Store(tmp_path / "store.sqlite") as store:
        store.put("key", Stored(given_values, None))
        store.commit()
        found = store.get("key")
    assert found is not None
    for name, values in given_values.items():
        assert np.array_equal(found.values[name], values)
        assert found.values[name].dtype == np.float64
        found.values[name] += 1.0  # the caller's own


def test_a_unit_put_again_is_the_later_one(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        for number in range(4):
            store.put("key", unit(number))
            if number % 2:
                store.commit()
            assert same(store.get("key"), unit(number))
    with Store(tmp_path / "store.sqlite") as store:
        assert (len(store), same(store.get("key"), unit(3))) == (1, True)


def test_an_open_store_sees_what_another_one_committed(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path) as one, Store(path) as other:
        one.put("key", ONE)
        assert other.get("key") is None
        one.commit()
        assert same(other.get("key"), ONE)


# When it is on disk


def test_a_unit_is_on_disk_within_about_a_second_though_no_other_follows(tmp_path: Path) -> None:
    """A deck may take minutes: the unit before it must not wait for its end."""
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        store.put("one", ONE)
        store.put("two", ONE)
        give_up = time.monotonic() + 3.0
        while committed(path) < 2 and time.monotonic() < give_up:
            time.sleep(0.05)
        assert committed(path) == 2
        store.put("three", ONE)
    assert committed(path) == 3


def test_units_in_quick_succession_share_commits(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        changes = set()
        ends = time.monotonic() + 1.5
        number = 0
        with sqlite3.connect(path) as watch:
            while time.monotonic() < ends:
                store.put(f"key{number}", ONE)
                number += 1
                if number % 50 == 0:
                    changes.add(watch.execute("PRAGMA data_version").fetchone()[0])
    assert number > 1000
    assert len(changes) <= 4


def test_an_interrupt_keeps_what_was_put(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"

    def interrupted() -> None:
        with Store(path) as store:
            store.put("key", ONE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert committed(path) == 1


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from spicebridge.store import Store, Stored
with Store(Path(sys.argv[1])) as store:
    for number in range(10**9):
        store.put(f"key{number}", Stored({"a": np.full(3, float(number)), "b": np.array(number / 7)},
            f"aid {number}"))
        print(number, time.monotonic(), flush=True)
        time.sleep(0.002)
"""


def test_a_kill_loses_the_last_second_at_most_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    chance = random.Random(1)
    for _ in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(chance.uniform(1.0, 2.2))
        writer.kill()
        killed = time.monotonic()
        put = [line.split() for line in writer.communicate()[0].splitlines()[:-1]]
        old = [int(number) for number, moment in put if float(moment) < killed - 1.3]
        with Store(path) as store:
            assert all(same(store.get(f"key{number}"), unit(number)) for number in old)
            assert len(store) > 0
        with sqlite3.connect(path) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# Several at once


def test_stores_open_at_once_lose_nothing_of_one_another(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    failures: list[Exception] = []

    def write(place: int) -> None:
        try:
            with Store(path) as store:
                for number in range(200):
                    store.put(f"{place} {number}", unit(number))
                    store.put(f"shared {number}", unit(number))
                    if number % (place + 3) == 0:
                        store.commit()
                    found = store.get(f"shared {number // 2}")
                    assert found is None or same(found, unit(number // 2))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Store(path) as store:
        assert len(store) == 5 * 200
        for number in range(200):
            for place in range(4):
                assert same(store.get(f"{place} {number}"), unit(number))
            assert same(store.get(f"shared {number}"), unit(number))


# Damage


def read_all(path: Path, count: int) -> list[bool]:
    """Whether each unit is there; what is there must be right."""
    with Store(path) as store:
        found = [store.get(f"key{number}") for number in range(count)]
    for number, each in enumerate(found):
        assert each is None or same(each, unit(number)), f"key{number} gave {each}"
    return [each is not None for each in found]


def overwritten(content: bytes, chance: random.Random) -> bytes:
    """Random bytes somewhere."""
    at, length = chance.randrange(len(content)), chance.choice([1, 1, 2, 40, 3000])
    return content[:at] + chance.randbytes(length) + content[at + length :]


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content))]


def swapped(content: bytes, chance: random.Random) -> bytes:
    """Two pages of the file in one another's place."""
    one, other = sorted(chance.sample(range(len(content) // 4096), 2))
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    pages[one], pages[other] = pages[other], pages[one]
    return b"".join(pages)


@pytest.mark.parametrize("damage", [overwritten, cut, swapped])
def test_a_damaged_file_gives_right_values_or_none_or_a_clear_message(
    tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    filled(tmp_path / "whole.sqlite", 120)
    content = (tmp_path / "whole.sqlite").read_bytes()
    chance = random.Random(7)
    told = []
    path = tmp_path / "store.sqlite"
    for _ in range(150):
        path.write_bytes(damage(content, chance))
        try:
            read_all(path, 120)
        except SpicebridgeError as error:
            told.append(str(error))
    assert told
    for words in told:
        assert words.startswith(f"{path} is not a store of finished simulations, or was damaged: ")
        assert words.endswith("delete it and repeat the command.")


def test_damage_that_sqlite_cannot_even_quote_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    filled(path, 1)
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE units", b"CREATE TABLE\xa4units"))
    with pytest.raises(SpicebridgeError, match="was damaged"):
        Store(path)


def test_an_index_that_points_to_another_unit_gives_no_wrong_value(tmp_path: Path) -> None:
    """SQLite takes an index at its word: a row found by key need not be that key's."""
    path = tmp_path / "store.sqlite"
    filled(path, 10)
    content = path.read_bytes()
    with sqlite3.connect(path) as file:
        row = file.execute("SELECT rowid FROM units WHERE key = 'key4'").fetchone()[0]
    # An entry of the index is the key's text, then the row's number in one byte.
    entry = content.index(b"key4" + bytes([row]))
    path.write_bytes(content[: entry + 4] + bytes([row + 1]) + content[entry + 5 :])
    assert read_all(path, 10) == [True] * 4 + [False] + [True] * 5


@pytest.mark.parametrize("content", [b"not a store\n" * 1000, b"SQLite format 3\0", bytes(8192)])
def test_a_file_that_is_no_store_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    with pytest.raises(SpicebridgeError, match=r"store\.sqlite.* is not a store .*delete it and repeat"):
        Store(path)
    assert path.read_bytes() == content


def test_an_empty_file_is_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").touch()
    filled(tmp_path / "store.sqlite", 1)
    assert read_all(tmp_path / "store.sqlite", 1) == [True]


@pytest.mark.parametrize("content", [b"", b"no zlib", None, 3, "text", 2.5])
def test_content_that_something_else_wrote_counts_as_missing_and_is_replaced(
    tmp_path: Path, content: Any
) -> None:
    path = tmp_path / "store.sqlite"
    filled(path, 2)
    with sqlite3.connect(path) as file:
        file.execute("UPDATE units SET content = ? WHERE key = 'key0'", (content,))
    assert read_all(path, 2) == [False, True]
    filled(path, 2)
    assert read_all(path, 2) == [True, True]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kept=units())
def test_content_with_a_changed_byte_counts_as_missing(data: st.DataObject, kept: Stored) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.sqlite")
        with Store(path) as store:
            store.put("key", kept)
        with sqlite3.connect(path) as file:
            (content,) = file.execute("SELECT content FROM units").fetchone()
            at = data.draw(st.integers(0, len(content) - 1))
            mask = data.draw(st.integers(1, 255))
            changed = content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]
            file.execute("UPDATE units SET content = ?", (changed,))
        with Store(path) as store:
            assert store.get("key") is None


# Places that cannot be written


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpicebridgeError, match=r"cannot make .*store\.sqlite: Not a directory\. Check"):
        Store(tmp_path / "file" / "cache" / "store.sqlite")


def test_a_folder_in_the_stores_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").mkdir()
    with pytest.raises(SpicebridgeError, match=r"cannot use the store .*store\.sqlite: unable to open"):
        Store(tmp_path / "store.sqlite")


FULL = """
import resource, sys, time
from pathlib import Path
import numpy as np
from spicebridge.errors import SpicebridgeError
from spicebridge.store import Store, Stored
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
noise = np.random.default_rng(1)
put = 0
try:
    with Store(Path(sys.argv[1])) as store:
        while True:
            store.put(f"key{put}", Stored({"a": noise.random(500)}, None))
            put += 1
            if sys.argv[2] == "at once":
                store.commit()
            else:
                time.sleep(0.02)
except SpicebridgeError as error:
    print(put)
    print(error)
"""


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_store_that_may_not_grow_says_so_and_keeps_what_it_has(tmp_path: Path, when: str) -> None:
    path = tmp_path / "store.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(path), when], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    put, _, words = ended.stdout.partition("\n")
    assert "cannot use the store of finished simulations" in words
    assert "free space" in words
    assert int(put) < 400  # it is told soon, not at the sweep's end
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    noise = np.random.default_rng(1)
    with Store(path) as store:
        kept = len(store)
        assert 0 < kept <= int(put) + 1 if when == "at once" else True
        for number in range(kept):
            assert same(store.get(f"key{number}"), Stored({"a": noise.random(500)}, None))
        store.put("more", ONE)
    assert committed(path) == kept + 1


def test_a_store_that_another_program_holds_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    filled(path, 1)
    holder = sqlite3.connect(path, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.5, holder.rollback).start()
    started = time.monotonic()
    assert read_all(path, 1) == [True]
    assert time.monotonic() - started > 0.3
    holder.close()


def test_deleting_the_store_is_safe(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "store.sqlite"
    filled(path, 5)
    shutil.rmtree(path.parent)
    assert read_all(path, 5) == [False] * 5
