"""Decks: canonical text, what its digest covers, what is refused, and that bare ngspice agrees."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spicebridge.deck import Deck, DeckError, model_parameters, parse_number, spice_number
from spicebridge.kept_decks import kept_deck
from spicebridge.netlist import library_lines, make_deck, read_deck, read_netlist
from spicebridge.permission import TRUSTED, RefusedError, outside
from spicebridge.project import netlists_folder
from spicebridge.verilog_a import compile_model
from spicebridge.workers import simulate
from tests.bare_ngspice import bare_measures

RC = """charging
.param r=1k c=1p
.param t_stop={3*r*c}
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {r}
c1 out 0 {c}
.tran 1p {t_stop}
.meas tran v_tau find v(out) at={r*c}
.end
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# A resistor loads what the netlist around these lines charges, or it does not: another value each.
LOADED = """title
.param r=1k
v1 a 0 pulse(0 1 0 1p 1p 1)
r1 a b {r}
c1 b 0 1p
LINES
.tran 10p 2n 0 10p
.meas tran vb find v(b) at=1n
.end
"""


def loaded(folder: Path, lines: str | bytes, **libraries: str) -> Path:
    """A netlist with the lines in it, and libraries ``NAME.lib`` beside it."""
    for name, text in libraries.items():
        write(folder, f"{name}.lib", text)
    as_bytes = lines if isinstance(lines, bytes) else lines.encode()
    (folder / "main.cir").write_bytes(LOADED.encode().replace(b"LINES", as_bytes))
    return folder / "main.cir"


# Canonical text


def test_comments_continuations_and_spaces_do_not_change_the_digest(tmp_path: Path) -> None:
    plain = make_deck("r1 a 0 1k tc1=1e-3\nv1 a 0 pulse(0 1 0 1p)\n.op", folder=tmp_path, name="plain")
    ornate = """
* a comment
r1   a\t0    1k   ; the load
  * another, indented
+ tc1=1e-3  $ its coefficient

v1 a 0 pulse(0 1
* a comment between a line and its continuation
+  0 1p) // a pulse
.op
.end
"""
    assert make_deck(ornate, folder=tmp_path, name="ornate").text == plain.text
    assert make_deck(ornate, folder=tmp_path, name="ornate").digest == plain.digest


def test_a_value_changes_the_digest(tmp_path: Path) -> None:
    digests = {
        make_deck(f"r1 a 0 {r}\n.op", folder=tmp_path, name="x").digest for r in ("1k", "1.1k", "1meg")
    }
    assert len(digests) == 3


def test_marks_of_a_comment_inside_quotes_are_text(tmp_path: Path) -> None:
    deck = make_deck('a1 %v(a) m\n.model m filesource (file="my;file//x")\n.op', folder=tmp_path, name="x")
    assert '"my;file//x"' in deck.text


def test_the_first_line_of_a_file_is_its_title_and_no_part_of_the_deck(tmp_path: Path) -> None:
    one = read_deck(write(tmp_path, "one.cir", "r9 a 0 1\nr1 a 0 1k\n.op\n"))
    two = read_deck(write(tmp_path, "two.cir", "another title\nr1 a 0 1k\n.op\n"))
    assert "r9" not in one.text
    assert one == two
    assert one.name == "one"


def test_includes_are_written_in_and_their_content_counts(tmp_path: Path) -> None:
    main = write(tmp_path, "main.cir", 'title\n.include "sub/r.lib"\n.op\n')
    write(tmp_path, "sub/r.lib", ".inc deep.lib\nr1 a 0 1k\n")
    write(tmp_path, "sub/deep.lib", "r2 a 0 2k\n")
    deck = read_deck(main)
    assert deck.text.splitlines() == ["r2 a 0 2k", "r1 a 0 1k", ".op"]
    write(tmp_path, "sub/deep.lib", "r2 a 0 3k\n")
    assert read_deck(main).digest != deck.digest


def test_a_section_of_a_library_is_written_in(tmp_path: Path) -> None:
    write(
        tmp_path,
        "pdk.lib",
        ".lib tt\n.param speed=1\n.lib 'pdk.lib' common\n.endl tt\n.lib ff\n.param speed=2\n.endl ff\n"
        ".lib common\nr1 a 0 {speed}\n.endl\n",
    )
    texts = {}
    for corner in ("tt", "ff"):
        deck = read_deck(write(tmp_path, "main.cir", f"title\n.lib pdk.lib {corner}\n.op\n"))
        texts[corner] = deck.text.splitlines()
    assert texts["tt"] == [".param speed=1", "r1 a 0 {speed}", ".op"]
    assert texts["ff"] == [".param speed=2", ".op"]
    with pytest.raises(DeckError, match=r"no library section 'ss'\. It has: tt, ff, common"):
        make_deck(".lib pdk.lib ss\n.op", folder=tmp_path, name="x")


@pytest.mark.usefixtures("results")
def test_the_digest_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    digests = set()
    for place in ("here", "some where/else"):
        shutil.copytree(netlists_folder(), tmp_path / place, ignore=shutil.ignore_patterns("*.osdi"))
        digests.add(read_deck(tmp_path / place / "mtj_write.cir").digest)
    assert len(digests) == 1


def test_a_deck_depends_on_the_source_of_its_models_not_on_their_library(
    results: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "netlists"
    shutil.copytree(netlists_folder(), copy)
    before = read_deck(copy / "mtj_write.cir")
    source = copy / "devices" / "stt_mtj.va"
    source.write_text(source.read_text().replace("5e9", "6e9", 1))
    after = read_deck(copy / "mtj_write.cir")
    assert before.text == after.text
    assert before.digest != after.digest
    assert not any(str(results) in deck.text for deck in (before, after))


# Parameters


def test_parameters_are_overridden_at_the_top_level_only(tmp_path: Path) -> None:
    text = ".param a=1 B = 2k\n.subckt s x\n.param a=5\nr1 x 0 {a}\n.ends\nx1 n s\n.op"
    deck = make_deck(text, folder=tmp_path, name="x")
    assert deck.parameters == {"a": "1", "b": "2k"}
    changed = deck.with_parameters(A=7, b="{a*2}")
    assert changed.parameters == {"a": "7.0", "b": "{a*2}"}
    assert ".param a=5" in changed.text
    assert changed.digest != deck.digest


def test_an_override_with_the_same_text_is_the_same_deck(tmp_path: Path) -> None:
    deck = make_deck(".param a=1\nr1 a 0 {a}\n.op", folder=tmp_path, name="x")
    assert deck.with_parameters(a="1").digest == deck.digest == deck.with_parameters().digest


def test_an_unknown_parameter_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    deck = make_deck(".param v_write=0.5 seed=1\nr1 a 0 1\n.op", folder=tmp_path, name="mine")
    with pytest.raises(DeckError, match=r"mine has no \.param v_wirte\. It has: v_write, seed\."):
        deck.with_parameters(v_wirte=0.6)


@pytest.mark.usefixtures("results")
def test_an_override_reaches_the_simulation(tmp_path: Path) -> None:
    deck = read_deck(write(tmp_path, "rc.cir", RC))
    slow = simulate(deck.with_parameters(c="2p"))
    assert slow["time"][-1] == pytest.approx(6e-9, rel=1e-6, abs=0.0)
    assert slow.measures["v_tau"] == pytest.approx(1 - np.exp(-1), rel=1e-3)


@given(
    lines=st.lists(
        st.sampled_from(
            [".param a=1 b = {2*a}  c='a+b'", ".PARAM A=3", ".subckt s x", ".ends", "r1 x 0 {a}", ".op",
             ".param d=5, e=6", ".params b=7", ".param d=max(1,2),e=6,", ".macro s x", ".eom"]
        ),
        max_size=8,
    ),
    value=st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
def test_a_template_filled_in_is_the_deck_with_parameters(lines: list[str], value: float) -> None:
    deck = Deck("\n".join(lines))
    names = sorted(deck.parameters)
    template = deck.template(names)
    for number in (value, 2.0):
        values = {name: number + index for index, name in enumerate(names)}
        assert template.deck(values) == deck.with_parameters(**values)
        assert template.deck(values).parameters == {name: spice_number(each) for name, each in values.items()}
    assert len(template.deck(dict.fromkeys(names, value)).text.splitlines()) == len(lines)


@pytest.mark.parametrize("line", [".param a=2 * 3", ".param a=max(1, 2)", ".param a={2} * 3 b=1"])
def test_a_value_without_a_clear_end_is_not_overridden(tmp_path: Path, line: str) -> None:
    deck = make_deck(f"{line}\nr1 a 0 {{a}}\n.op", folder=tmp_path, name="mine")
    with pytest.raises(DeckError, match=r"mine: .* not clear where the value of a ends\. Write it in braces"):
        deck.with_parameters(a=5)


def test_the_measures_of_a_deck_are_its_meas_lines(tmp_path: Path) -> None:
    lines = [
        ".op",
        ".meas tran First max v(a)",
        ".MEASURE dc second find v(a) at=1",
        ".meas tran first avg v(a)",
    ]
    assert make_deck("\n".join(lines), folder=tmp_path, name="x").measures == ("first", "second")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32n", 32e-9),
        ("1meg", 1e6),
        ("5e-12", 5e-12),
        ("-.5", -0.5),
        ("3M", 3e-3),
        ("10pF", 1e-11),
        ("2.", 2),
        ("7a", 7e-18),
    ],
)
def test_spice_numbers_are_read_as_ngspice_reads_them(text: str, value: float) -> None:
    assert parse_number(text) == pytest.approx(value, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("text", ["", "abc", "{a}", "1,5", "--1", "1 2"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(DeckError, match="is not a SPICE number"):
        parse_number(text)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_being_written_into_a_deck(value: float) -> None:
    assert parse_number(spice_number(value)) == value


def test_the_numbers_of_a_model_card_are_found(tmp_path: Path) -> None:
    deck = make_deck(".model DD d is=1e-14 n=1.05\n+ RS=10m\n.op", folder=tmp_path, name="mine")
    assert model_parameters(deck, "dd") == {"is": 1e-14, "n": 1.05, "rs": 0.01}
    with pytest.raises(DeckError, match=r"mine has no \.model mtj"):
        model_parameters(deck, "mtj")


def test_a_comma_ends_a_value_unless_it_stands_in_brackets(tmp_path: Path) -> None:
    text = ".param r=1k,c=max(1p,min(2p,3p)) , l=2*(1+3),\n.op"
    deck = make_deck(text, folder=tmp_path, name="mine")
    assert deck.parameters == {"r": "1k", "c": "max(1p,min(2p,3p))", "l": "2*(1+3)"}
    assert deck.with_parameters(r=1, c=2, l=3).parameters == {"r": "1.0", "c": "2.0", "l": "3.0"}
    with pytest.raises(DeckError, match="not clear where the value of a ends"):
        make_deck(".param a=1)\n.op", folder=tmp_path, name="mine").with_parameters(a=5)


def test_a_macro_is_a_subcircuit(tmp_path: Path) -> None:
    text = ".param a=1\n.macro s x\n.param a=5\nr1 x 0 {a}\n.eom\n.op"
    deck = make_deck(text, folder=tmp_path, name="x")
    assert ".param a=5" in deck.with_parameters(a=2).lines
    assert deck.parameters == {"a": "1"}


# What is refused


@pytest.mark.parametrize("value", ["2k\n.control", "2k\r.op", "2k\n", "\n", ""])
def test_a_value_of_more_or_less_than_a_line_is_refused(tmp_path: Path, value: str) -> None:
    deck = read_deck(write(tmp_path, "rc.cir", RC))
    with pytest.raises(DeckError, match=r"rc: r = .* must be one line, and not empty"):
        deck.with_parameters(r=value)


@pytest.mark.parametrize("command", ["shell rm x", "run", "write out.raw", "source other.cir", "let a=1"])
def test_control_commands_are_refused(tmp_path: Path, command: str) -> None:
    with pytest.raises(DeckError, match=f"control command '{re.escape(command)}'"):
        make_deck(f".control\n{command}\n.endc\n.op", folder=tmp_path, name="x")
    write(tmp_path, "hidden.lib", f".control\n{command}\n.endc\n")
    with pytest.raises(DeckError, match=r"hidden\.lib has the control command"):
        make_deck(".include hidden.lib\n.op", folder=tmp_path, name="x")


def test_missing_files_are_told_with_who_wanted_them(tmp_path: Path) -> None:
    with pytest.raises(DeckError, match=r"cannot read netlist .*none\.cir: No such file"):
        read_deck(tmp_path / "none.cir")
    with pytest.raises(DeckError, match=r"none\.lib, included by mine: No such file"):
        make_deck(".include none.lib\n.op", folder=tmp_path, name="mine")
    with pytest.raises(DeckError, match=r"no Verilog-A source at .*none\.va"):
        make_deck(".control\npre_osdi none.osdi\n.endc\n.op", folder=tmp_path, name="mine")
    with pytest.raises(DeckError, match="Is a directory"):
        read_deck(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.cir").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(DeckError, match="not a text file"):
        read_deck(tmp_path / "x.cir")


@pytest.mark.parametrize(
    ("library", "words"),
    [
        (".lib tt\nrl b 0 1k\n", r"m\.lib: the library section 'tt' needs an \.endl before the file ends"),
        (".lib tt\nrl b 0 1k\n.lib ff\n.endl\n.endl\n", r"needs an \.endl before \.lib ff"),
        (".lib ff\nrl b 0 1k\n.endl\n.lib FF\n.endl\n", r"no library section 'tt'\. It has: ff\.$"),
        (".lib tt\n.lib m.lib ff and more\n.endl\n", r"FILE SECTION, and 'and more' comes after"),
    ],
)
def test_a_library_that_ngspice_would_not_take_is_refused(tmp_path: Path, library: str, words: str) -> None:
    path = loaded(tmp_path, ".lib m.lib tt", m=library)
    with pytest.raises(DeckError, match=words):
        read_deck(path)


def test_of_two_files_of_one_name_the_one_beside_the_deck_counts_as_in_ngspice(tmp_path: Path) -> None:
    write(tmp_path, "sub/top.inc", ".include part.inc\n")
    write(tmp_path, "sub/part.inc", "rl b 0 1k\n")
    path = loaded(tmp_path, ".include sub/top.inc")
    assert "rl b 0 1k" in read_deck(path).lines
    write(tmp_path, "part.inc", "rl b 0 2k\n")
    assert "rl b 0 2k" in read_deck(path).lines
    (tmp_path / "part.inc").unlink()
    (tmp_path / "part.inc").symlink_to(tmp_path / "sub" / "part.inc")
    assert "rl b 0 1k" in read_deck(path).lines


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.lib", ".include b.lib\n")
    write(tmp_path, "b.lib", ".include a.lib\n")
    with pytest.raises(DeckError, match=r"a\.lib includes itself, by way of b\.lib"):
        make_deck(".include a.lib\n.op", folder=tmp_path, name="x")


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("nodes", ["a", "a 0 b"])
def test_a_verilog_a_device_needs_a_node_for_each_terminal(nodes: str) -> None:
    text = f".control\npre_osdi devices/stt_mtj.osdi\n.endc\n.model m1 stt_mtj\nn1 {nodes} m1 mz0 = 1\n.op"
    with pytest.raises(DeckError, match=r"nodes, but stt_mtj has 2 terminals: free, ref"):
        make_deck(text, folder=netlists_folder(), name="x")


# From outside


def from_outside(folder: Path, text: str, *names: str) -> Deck:
    """The deck in a file that may read itself and what is named beside it."""
    path = write(folder, "theirs.cir", f"title\n{text}\n.op\n")
    return read_deck(path, permission=outside([path, *(folder / name for name in names)]))


@pytest.mark.parametrize(
    "text",
    [
        RC.partition("\n")[2],
        ".options reltol=1e-4, abstol = 1e-15 method=gear temp={t+1} savecurrents noacct\n.temp=27",
        ".option scale=1u",
        ".if(corner==1)\nr1 a 0 1\n.elseif (corner==2)\nr1 a 0 2\n.else\nr1 a 0 3\n.endif",
        ".func f(x)={x*2}\n.global vdd\n.ic v(a)=1\n.nodeset v(b)=0\n.csparam q={1}",
        ".macro s x\nr1 x 0 1\n.eom\n.model m.1 nmos(level=54 version=4.8)\n.model d1 D is=1e-14",
        'a1 %v(x) %v(y) g\n.model g gain(gain=2)\na2 [x] [y] l\n.model l d_lut(table_values="0110")',
        "b1 x 0 v={v(y)>1 ? 2 : 3}\ne1 x 0 table {v(y)} = (0,0) (1,1)\n.probe v(x)\n.print tran v(x)",
        ".param profile=3\nx1 a b sub profile=4",
    ],
)
def test_what_describes_a_circuit_is_allowed_from_outside(tmp_path: Path, text: str) -> None:
    deck = from_outside(tmp_path, text)
    assert deck == read_deck(tmp_path / "theirs.cir")
    assert deck.text


@pytest.mark.parametrize("netlist", sorted(path.name for path in netlists_folder().glob("*.cir")))
@pytest.mark.usefixtures("results")
def test_the_projects_own_netlists_do_nothing_that_is_refused(netlist: str) -> None:
    path = netlists_folder() / netlist
    assert read_deck(path, permission=outside([netlists_folder()])) == read_deck(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (".control\nshell rm x\n.endc", "has the control command 'shell rm x'"),
        (".controlled", "is not among the dot commands"),
        ("*# shell touch x\n.incx secret", r"\.incx is not among the dot commands"),
        ('.include"secret"', "is not among the dot commands"),
        (".lib secret", r"\.lib is not among the dot commands"),
        (".hdl x.va", "is not among the dot commands"),
        (".sndprint tran v(a) x.wav", "is not among the dot commands"),
        (".optx measoutfile=x", "is not among the dot commands"),
        (".options reltol=1e-3 measoutfile=x", "the option measoutfile is not among those"),
        (".opt ngbehavior=psa", "the option ngbehavior is not among those"),
        (".options {s}", "'{s}' is not of the form name or name=value"),
        (".options temp=27 \\\nmeasoutfile=x", "a backslash at its end"),
        (".options temp=27 (x)", "is not of the form name or name=value"),
        ('.param s="27 measoutfile=x"', "a text in double quotes may hold"),
        ('.model f filesource (file="x" amploffset=[0])', "names a file or a program"),
        (".model f filesource (amploffset=[0])", "the model type filesource is not among those"),
        (".model f,filesource(amploffset=[0]) r", "is not of the form .model NAME TYPE"),
        (".model f {s}", "is not of the form .model NAME TYPE"),
        (".model f ndev remote=x", "the model type ndev"),
        (".model f numd", "the model type numd"),
        (".model f d_process (process_file=x)", "names a file or a program"),
        (".model f d_cosim (simulation=x)", "names a file or a program"),
        (".model f\n+ table2d (offset=1)", "the model type table2d"),
        ('v1 a 0 file="x"', "names a file or a program"),
        ("d1 a 0 m ic.file = x", "names a file or a program"),
        ("@", "'@' begins neither a device nor a dot command"),
        ("r1 a 0 1\x07", "a character that cannot be seen"),
        ("r1 a 0\u00a01", "a character that cannot be seen"),
        ("\x0cr1 a 0 1", "a character that cannot be seen"),
    ],
)
def test_what_a_deck_from_outside_may_not_hold_is_refused_with_line_reason_and_way_out(
    tmp_path: Path, line: str, reason: str
) -> None:
    with pytest.raises((RefusedError, DeckError), match=reason) as told:
        from_outside(tmp_path, f"r9 a 0 1\n{line}")
    assert re.search(r"theirs\.cir, line [34]: ", str(told.value))
    assert "repeat the command with --trust" in str(told.value)


def test_a_continuation_at_the_head_of_an_included_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "tail.lib", "+ filesource\n")
    with pytest.raises(RefusedError, match=r"tail\.lib, line 1: .* '\+' begins neither a device"):
        from_outside(tmp_path, ".include tail.lib", "tail.lib")


def test_a_deck_from_outside_reads_only_what_is_named(tmp_path: Path) -> None:
    write(tmp_path, "pdk/top.lib", ".include deep/r.lib\n")
    write(tmp_path, "pdk/deep/r.lib", ".include ../../secret.lib\nr1 a 0 1\n")
    write(tmp_path, "secret.lib", "r2 a 0 2\n")
    for line in (".include pdk/top.lib", ".lib secret.lib tt", f".inc {tmp_path / 'secret.lib'}"):
        with pytest.raises(RefusedError, match=r"theirs\.cir, line 2: the file \S+ is refused: .* --trust"):
            from_outside(tmp_path, line, "pdk/deep")
    with pytest.raises(RefusedError, match=r"r\.lib, line 1: the file secret\.lib is refused"):
        from_outside(tmp_path, ".include pdk/top.lib", "pdk")
    deck = from_outside(tmp_path, ".include pdk/top.lib", "pdk", "secret.lib")
    assert deck.text.splitlines() == ["r2 a 0 2", "r1 a 0 1", ".op"]


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/secret.lib", "r1 a 0 1\n")
    (tmp_path / "pdk").mkdir()
    (tmp_path / "pdk" / "plain.lib").symlink_to(tmp_path / "elsewhere" / "secret.lib")
    with pytest.raises(RefusedError, match=r"the file plain\.lib \(it leads to secret\.lib\) is refused"):
        from_outside(tmp_path, ".include pdk/plain.lib", "pdk")
    assert from_outside(tmp_path, ".include pdk/plain.lib", "pdk", "elsewhere/secret.lib").text


VA = """`include "disciplines.vams"
`include "{part}"
module halves(a, b);
  inout a, b;
  electrical a, b;
  parameter real r = 1k from (0:inf);
  analog I(a, b) <+ V(a, b) / `HALF(r);
endmodule
"""


@pytest.mark.usefixtures("results")
def test_verilog_a_from_outside_is_named_with_its_includes(tmp_path: Path) -> None:
    write(tmp_path, "va/halves.va", VA.format(part="half.inc"))
    write(tmp_path, "va/half.inc", "`define HALF(x) (0.5*(x))\n")
    text = ".control\npre_osdi va/halves.osdi\n.endc\n.model h halves\nn1 a 0 h"
    with pytest.raises(RefusedError, match=r"theirs\.cir, line 3: the file halves\.va is refused"):
        from_outside(tmp_path, text)
    with pytest.raises(RefusedError, match=r"halves\.va:2: the file half\.inc is refused"):
        from_outside(tmp_path, text, "va/halves.va")
    deck = from_outside(tmp_path, text, "va")
    assert [model.module for model in deck.models] == ["halves"]
    with pytest.raises(RefusedError, match="the model type halves"):
        from_outside(tmp_path, ".model h halves\nn1 a 0 h", "va")


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("trick", ['`define X `include "half.inc"\n`X', '`define X \\\n`include "half.inc"'])
def test_a_verilog_a_include_that_cannot_be_followed_is_refused(tmp_path: Path, trick: str) -> None:
    write(tmp_path, "half.inc", "`define HALF(x) (x)\n")
    write(tmp_path, "halves.va", VA.format(part="half.inc").replace('`include "half.inc"', trick))
    with pytest.raises(RefusedError, match=r"halves\.va:\d: `include is refused unless it begins a line"):
        from_outside(tmp_path, ".control\npre_osdi halves.osdi\n.endc", "halves.va", "half.inc")


@pytest.mark.usefixtures("results")
def test_models_are_loaded_without_a_pre_osdi_line_where_they_are_given(tmp_path: Path) -> None:
    write(tmp_path, "va/halves.va", VA.format(part="half.inc"))
    write(tmp_path, "va/half.inc", "`define HALF(x) (0.5*(x))\n")
    path = write(tmp_path, "rc.cir", "title\n.model h halves\nv1 a 0 1\nn1 a 0 h\n.op\n")
    sources = [tmp_path / "va/halves.va", tmp_path / "va/half.inc"]
    read = read_netlist(path, permission=outside([path, *sources]), models=sources)
    assert [model.module for model in read.deck.models] == ["halves"]
    assert list(read.files) == [path, *sources]
    assert simulate(read.deck)["i(v1)"] == pytest.approx([-2e-3], rel=1e-6, abs=0.0)


def test_a_trusted_deck_keeps_its_commands_and_may_read_anything(tmp_path: Path) -> None:
    write(tmp_path, "other/a.lib", "r1 a 0 1\n")
    text = ".include other/a.lib\n.control\nset x = ( 1 2 ) $ two\necho $x;  echo ended\nrun\n.endc\n.op"
    deck = read_deck(write(tmp_path, "theirs.cir", f"title\n{text}\n"), permission=TRUSTED)
    assert deck.text.splitlines() == [
        "r1 a 0 1", ".control", "set x = ( 1 2 )", "echo $x", "run", ".endc", ".op",
    ]  # fmt: skip


def test_another_section_of_a_library_can_be_taken(tmp_path: Path) -> None:
    write(
        tmp_path,
        "m.lib",
        ".lib tt\n.param speed=1\n.lib m.lib rest\n.endl\n.lib ff\n.param speed=2\n.lib m.lib rest\n.endl\n"
        ".lib rest\nr1 a 0 {speed}\n.endl\n",
    )
    path = write(tmp_path, "main.cir", "title\n.lib 'm.lib' TT\n.op\n")
    assert library_lines(path) == [(tmp_path / "m.lib", "tt")]
    fast = read_netlist(path, sections={(tmp_path / "m.lib", "tt"): "ff"}).deck
    assert fast.text.splitlines() == [".param speed=2", "r1 a 0 {speed}", ".op"]


# Kept decks


@pytest.mark.usefixtures("results")
def test_a_kept_deck_is_read_back_as_it_was(tmp_path: Path) -> None:
    deck = read_deck(netlists_folder() / "mtj_write.cir")
    path = deck.keep(tmp_path)
    again = kept_deck(path, deck.digest, name="other")
    assert (again.text, again.models, again.name) == (deck.text, deck.models, "other")
    path.write_text(path.read_text().replace("v_write=0.5", "v_write=0.6"))
    with pytest.raises(DeckError, match=r"was changed after it was kept"):
        kept_deck(path, deck.digest, name="other")
    path.write_text("title\n.op\n")
    with pytest.raises(DeckError, match=r"is no deck that was kept whole"):
        kept_deck(path, deck.digest, name="other")
    path.unlink()
    with pytest.raises(DeckError, match=r"cannot read netlist .*: No such file"):
        kept_deck(path, deck.digest, name="other")


def test_a_kept_deck_of_a_model_that_is_gone_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "k.cir",
        "* x\n.control\npre_osdi " + str(tmp_path / "gone-1234" / "model.osdi") + "\n.endc\n.op\n.end\n",
    )
    with pytest.raises(DeckError, match=r"a model of it is gone: gone-1234"):
        kept_deck(path, "0" * 64, name="x")


def test_a_line_of_nothing_to_see_is_left_to_ngspice(tmp_path: Path) -> None:
    assert make_deck("r1 a 0 1\n\u00a0\n.op", folder=tmp_path, name="odd").lines[1] == "\u00a0"


def test_a_kept_deck_with_an_odd_character_is_read_back(tmp_path: Path) -> None:
    deck = make_deck('r1 a 0 1\n.title x\n.param s="a\u2028b\x85"\n.op', folder=tmp_path, name="odd")
    assert deck.lines == ("r1 a 0 1", '.param s="a\u2028b\x85"', ".op")
    assert kept_deck(deck.keep(tmp_path), deck.digest, name="odd") == deck


# Bare ngspice

TT = ".lib tt\nrl b 0 1k\n.endl\n"


@pytest.mark.parametrize(
    "lines",
    [
        # What ends a line: a line feed and nothing else.
        b"* page\x0crl b 0 1k",
        b"* the load \x85\nrl b 0 1k\n* note\x85rm b 0 1k",
        "* note\u2028rl b 0 1k",
        "* note\x0b\x1c\x1d\x1erl b 0 1k",
        b"* note\rrl b 0 1k",
        b"rl b 0\r\n+ 1k\r\n",
        # What is space, and what a line may begin with.
        b"rl b\x0c0\x0b1k",
        b"\x0crl b 0 1k",
        "rl b\u00a00 1k",
        "rl b 0\n \x0c\n\x0c+ 1k",
        # Where comments begin.
        "rl b 0 1k\nm1 b a 0 0 nm w=1u l=1u\n.model nm nmos (level=1, vto=0.3,$ threshold\n"
        "+ kp=200u lambda=0.2)",
        ".param q=1k,$ my resistor\n+ s=2k\nrl b 0 {q}\nrm b 0 {s}",
        "rl b 0 1k\t$ the load\nrm\tb\t0\t1k//another",
        "$ rl b 0 1k\n  // rl b 0 1k\n# rl b 0 1k\nrm b 0 1k",
        ".param q='1000 + 500' $ don't\nrl b 0 {q}",
        # What a + continues.
        "rl b 0\n; a comment\n+ 1k",
        "rl b 0\n// a comment\n\n* another\n+ 1k",
        "rl b 0\n.title this\n+ 1k",
        "rl b 0\n.end\n+ 1k\nrm b 0 1k",
        # Two backslashes.
        "rl b 0 1k ; as in C:\\\\\ntc1=1e-3",
        "rl b 0 \\\\  \n\n1k",
        "* as in C:\\\\\nrl b 0 1k",
        ".title as in C:\\\\\nrl b 0 1k",
    ],
)
def test_a_netlist_is_read_as_bare_ngspice_reads_it(
    tmp_path: Path, ngspice_program: str, lines: str | bytes
) -> None:
    path = loaded(tmp_path, lines)
    by_hand = bare_measures(ngspice_program, path)
    assert set(by_hand) == {"vb"}
    assert bare_measures(ngspice_program, read_deck(path).keep(tmp_path / "kept")) == by_hand


@pytest.mark.parametrize(
    ("line", "library"),
    [
        (".lib m.lib tt", TT + ".lib tt\nrm b 0 1k\n.endl\n"),
        (".lib m.lib tt", TT + ".lib TT\n.lib m.lib ff\n.endl\n.lib ff\nrm b 0 1k\n.endl\n"),
        (".lib m.lib tt", ".lib tt\nrl b 0 1k\n.endl ff\nrm b 0 2k\n.endl tt\n"),
        (".lib m.lib tt", ".lib tt\nrl b 0 1k\n.endlib\nrm b 0 2k\n.endl\n"),
        (".LIB 'm.lib' \"TT\"", ".lib tt\n.lib 'm.lib' 'ff'\n.endl\n.lib 'ff'\nrl b 0 1k\n.endl\n"),
        (".lib 'm.lib'tt", TT),
        (".lib 'm.lib' 'tt';this", TT),
        ('.include "m.lib";this', "rl b 0 1k\n"),
        ("rl b 0\n.inc m.lib", "+ 1k\n"),
    ],
)
def test_a_library_is_read_as_bare_ngspice_reads_it(
    tmp_path: Path, ngspice_program: str, line: str, library: str
) -> None:
    path = loaded(tmp_path, line, m=library)
    by_hand = bare_measures(ngspice_program, path)
    assert set(by_hand) == {"vb"}
    (tmp_path / "kept").mkdir()  # without the library
    assert bare_measures(ngspice_program, read_deck(path).keep(tmp_path / "kept")) == by_hand


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (".param q=1k,s=2k\nrl b 0 {q}", ".param q=3e3,s=2k\nrl b 0 {q}"),
        (".param q=1k,$ the load\n+ s=2k\nrl b 0 {q}", ".param q=3e3 s=2k\nrl b 0 {q}"),
        # Each definition is replaced; the last counts, whatever .if says.
        (".param q=1k\nrl b 0 {q}\n.param q=2k", ".param q=1k\nrl b 0 {q}\n.param q=3e3"),
        (
            ".param q=1k\n.if (1)\n.param q=2k\n.else\n.param q=4k\n.endif\nrl b 0 {q}",
            ".param q=1k\n.if (1)\n.param q=2k\n.else\n.param q=3e3\n.endif\nrl b 0 {q}",
        ),
    ],
)
def test_a_parameter_that_is_set_is_one_edited_by_hand(
    tmp_path: Path, ngspice_program: str, before: str, after: str
) -> None:
    deck = read_deck(loaded(tmp_path, before)).with_parameters(q=3e3)
    kept = bare_measures(ngspice_program, deck.keep(tmp_path / "kept"))
    assert kept == bare_measures(ngspice_program, loaded(tmp_path, after)) != {}


@pytest.mark.usefixtures("results")
def test_a_kept_deck_replays_under_bare_ngspice_with_the_same_numbers(
    tmp_path: Path, ngspice_program: str
) -> None:
    write(tmp_path, "rc.cir", RC)
    for deck in (read_deck(tmp_path / "rc.cir"), read_deck(netlists_folder() / "mtj_write.cir")):
        kept = deck.keep(tmp_path / "kept")
        assert kept.name == f"{deck.digest[:12]}.cir"
        inside = simulate(deck).measures
        replayed = bare_measures(ngspice_program, kept)
        assert set(replayed) == set(inside) != set()
        for name, value in inside.items():
            assert replayed[name] == pytest.approx(value, rel=1e-5, abs=0.0), name  # -b prints six figures


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("netlist", sorted(path.name for path in netlists_folder().glob("*.cir")))
def test_every_netlist_runs_by_itself(
    tmp_path: Path, compiled_models: Path, ngspice_program: str, netlist: str
) -> None:
    copy = tmp_path / "netlists"
    shutil.copytree(netlists_folder(), copy, ignore=shutil.ignore_patterns("*.osdi"))
    for source in copy.glob("devices/*.va"):
        library = compile_model(source, cache=compiled_models).library
        shutil.copy(library, source.with_suffix(".osdi"))
    replayed = bare_measures(ngspice_program, copy / netlist)
    inside = simulate(read_deck(netlists_folder() / netlist)).measures
    assert set(replayed) == set(inside) != set()
    for name, value in inside.items():
        assert replayed[name] == pytest.approx(value, rel=1e-5, abs=0.0), name


def test_a_deck_is_its_text_and_models_not_its_name() -> None:
    assert Deck("r1 a 0 1", name="one") == Deck("r1 a 0 1", name="two")
    assert Deck("r1 a 0 1", name="one").digest == Deck("r1 a 0 1", name="two").digest
