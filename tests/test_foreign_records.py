"""Run records from elsewhere: whatever they hold, a report and a chain or one sentence comes of it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from spicebridge.project import reference_folder
from spicebridge.record_shape import read_record
from tests.command_line import done, refused

RUNS = sorted(path.parent.name for path in (reference_folder() / "runs").glob("*/record.json"))
BEFORE = sorted((Path(__file__).parent / "before").glob("*.json.gz"))


def kept(name: str) -> dict[str, Any]:
    return json.loads((reference_folder() / "runs" / name / "record.json").read_text(encoding="utf-8"))


def write(results: Path, record: Any, name: str = "digits_ternary_mtj") -> Path:
    path = results / "runs" / name / "record.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")
    return path


@pytest.mark.parametrize("run", RUNS)
def test_our_records_have_the_shape(run: str) -> None:
    read_record(reference_folder() / "runs" / run / "record.json")


@pytest.mark.parametrize("path", BEFORE, ids=lambda path: path.name)
def test_records_of_before_have_the_shape(path: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "record.json"
    unpacked.write_bytes(gzip.decompress(path.read_bytes()))
    read_record(unpacked)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"experiment": "../../outside"}, "experiment should be a name"),
        ({"experiment": "/tmp/outside"}, "experiment should be a name"),
        ({"experiment": ["x"]}, "experiment should be a name"),
        ({"experiment": "\x1b[2Jrun"}, "experiment should be a name"),
        ({"accuracy": 970.0}, "should lie in [0, 100] per cent"),
        ({"accuracy": "97"}, "accuracy should be a number"),
        ({"seeds": []}, "seeds should be a list of 1 or more"),
        ({"tables": [{"name": "t", "digest": "../x"}]}, "digest of 64 hexadecimal digits"),
        ({"tables": None}, "tables should be a list"),
        ({"data": {}}, "data lacks name"),
        ({"study": "sheep"}, "there is no report"),
        ({"study": ["passive_array"]}, "study should be a text"),
        ({"deep": json.loads("[" * 300 + "]" * 300)}, "nested more than 40 deep"),
        ({"count": 10**30}, "more than 63 bits"),
    ],
)
def test_a_record_of_another_shape_is_refused(change: dict[str, Any], words: str, results: Path) -> None:
    write(results, kept("digits_ternary_mtj") | change)
    for command in ("report", "trace"):
        if words != "there is no report" or command == "report":
            assert words in refused(command, "digits_ternary_mtj")
    assert not (results / "reports").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1, 2]", "the record should be a mapping"),
        ('{"accuracy": NaN}', "holds NaN"),
        ('{"accuracy": 1e999}', "too large for a float"),
        ("[" * 100_000, "no JSON that can be read"),
        ("{", "no JSON that can be read"),
        ("\x00", "no JSON that can be read"),
    ],
)
def test_a_file_that_is_no_record_is_refused(content: str, words: str, results: Path) -> None:
    write(results, content)
    assert words in refused("report", "digits_ternary_mtj")
    done("list")


def test_a_record_that_is_no_file_is_none(results: Path) -> None:
    (results / "runs" / "piped").mkdir(parents=True)
    os.mkfifo(results / "runs" / "piped" / "record.json")
    assert "there is no run 'piped'" in refused("report", "piped")


def test_no_command_of_a_terminal_is_passed_on(results: Path) -> None:
    record = kept("digits_ternary_mtj") | {"description": "calm\x1b]0;title\x07\u202e"}
    record["data"]["split"] = "\x1b[2Jsplit"
    record["tables"][0]["name"] = "\x1b[31mred"
    write(results, record)
    for command in (("report", "digits_ternary_mtj"), ("trace", "digits_ternary_mtj")):
        said = done(*command).out
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert "\\x1b" in said
