"""Every record is in the report, text is only ever text, and the page needs nothing from elsewhere."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from crossnn.cli import main
from crossnn.errors import CrossnnError
from crossnn.report import build, chart, summary
from crossnn.report.differences import alike, failures, not_run_rows
from crossnn.report.document import Code, Heading, Table, Text, to_html, to_markdown
from crossnn.runs import machine
from crossnn.runs.cell import Cell, Done, Record, Training, Worst
from crossnn.runs.journal import Journal

HOSTILE = "<script>alert(1)</script> | a*b*c `x` [y](javascript:z) &amp; \"'"


def record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "spec": "tanh", "kind": "activation", "backend": "torch", "implementation": "formula", "mode": "eager",
        "dtype": "float64", "device": "cpu", "quantity": "value", "verdict": "EQUAL", "r": 3.14, "digits": 15.9,
    }  # fmt: skip
    return Record(**{**fields, **changes})


def training(**changes: Any) -> Training:
    fields: dict[str, Any] = {
        "spec": "xor", "backend": "torch", "mode": "eager", "dtype": "float64", "device": "cpu", "seed": 0,
        "spec_sha": "a", "loss": (0.7, 0.1, 0.001), "held_out_loss": (0.8, 0.2, 0.05),
        "metrics": {"accuracy": (0.5, 0.75, 0.9375)}, "first_step_seconds": 1.5, "step_seconds": 0.00123,
        "seconds": 2.5, "steps": 30, "curve_r": 7.5, "facts": {"versions": {"torch": "2"}},
    }  # fmt: skip
    return Training(**{**fields, **changes})


NOISE = (1.0, 1.0, 1.0)
ALL = [
    record(),
    record(quantity="gradient", verdict="KINK", r=None, case="x = 0", worst=Worst((0,), "0..1", "0.5")),
    record(backend="jax", mode="jit", quantity="gradient", verdict="KINK", case="x = 0", worst=Worst((0,), "", "1.0")),
    record(spec="adam", kind="optimizer", implementation="native", verdict="FORMULA", r=5e8, digits=0.3,
           quantity="update[3].v", worst=Worst((0, 2), "1.25", "2.5"), call="torch.optim.Adam", message="departs"),
    record(spec="adam", kind="optimizer", backend="tensorflow", mode="xla", verdict="KNOWN", known="keras-epsilon-hat"),
    record(spec="mse", kind="loss", dtype="float32", verdict="ERROR", r=None, message=HOSTILE),
    record(spec="mae", kind="loss", verdict="NOT-RUN", r=None, backend="tensorflow", mode="xla", message="no such op"),
    record(spec="huber", kind="loss", verdict="ROUNDING", r=80.0),
    record(spec=HOSTILE, verdict="ILL-CONDITIONED", r=1e308, message=HOSTILE),
    record(spec="elu", implementation="native", verdict="ACCURACY", r=math.inf, dtype="float32"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Journal(tmp_path) as book:
        for number, one in enumerate(ALL):
            cell = Cell(task="check", spec=one.spec, backend=one.backend, seed=number)
            book.write(Done(cell=cell, status="ok"), [one])
        cell = Cell(task="train", spec="xor", backend="torch")
        trainings = [
            training(),
            training(backend="numpy"),
            training(
                backend="oracle", mode="exact", loss=(0.7, 0.1, 0.001 - 7.5 * 2**-53), noise=NOISE, held_out_noise=NOISE
            ),
            training(spec=HOSTILE, backend="<b>", curve_r=None),
        ]
        book.write(Done(cell=cell, status="ok"), trainings)
    machine.write(tmp_path, {"crossnn": "0.1.0", "command": "crossnn run <x>", "packages": {"torch": "2"}})
    return tmp_path


def test_every_record_is_in_the_report(folder: Path) -> None:
    text = build.render_markdown(folder)
    for line in (
        "13 quantities judged: 1 ERROR, 1 FORMULA, 1 ACCURACY, 1 KNOWN, 1 ILL-CONDITIONED, 1 ROUNDING, 5 EQUAL, 2 KINK",
        r"\| tanh +\| EQUAL 3.1 \+KINK +\| KINK ",
        r"\| adam \(native\) +\| FORMULA 5e\+08 ",
        r"\| adam +\|[ |]+ KNOWN keras-epsilon-hat ",
        r"\| FORMULA +\| adam \(native\) +\| update\\\[3\\\].v +\| torch eager float64 cpu seed 0 +\| \\\[0, 2\\\] +"
        r"\| 1.25 +\| 2.5 +\| 0.3 +\| 5e\+08 +\| torch.optim.Adam - departs",
        r"\| keras-epsilon-hat +\| adam +\| tensorflow",
        r"\| tanh +\| gradient +\| x = 0 +\| 0.5 +\| 1.0 +\|",
        r"\| tensorflow +\| formula +\| no such op +\| 1 +\| mae",
        r"\| huber +\| ROUNDING 80",
        r"\| elu \(native\) +\| ACCURACY",
        r"\| torch +\| eager +\| float64 +\| 0 +\| 0.001 +\| 0.05 +\| 0.9375 +\| 1.5 +\| 1.23 +\| 2.5 +\| 30 +\| 7.5",
        r"Largest difference from the reference: 7.5 times the noise scale of this training \(",
        r"!\[Training loss of xor, float64, seed 0: 3 curves\]\(loss-xor.svg\)",
        "crossnn run <x>",
    ):
        assert re.search(line, text), line


def test_a_report_is_written_with_its_figures(folder: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(folder / "report.md"), str(folder / "report.html")]
    svg = (folder / "loss-xor.svg").read_text()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "numpy eager" in svg
    assert all(path.parent == folder for path in folder.rglob("*.svg"))
    assert CliRunner().invoke(main, ["report", str(folder), "--print"]).output == (folder / "report.md").read_text()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_hostile_text_stays_text(folder: Path) -> None:
    page = build.render_html(folder)
    tags = Tags()
    tags.feed(page)
    names = {name for name, _ in tags.found}
    assert not names & {"script", "link", "img", "iframe", "object", "a", "b"}
    assert not any(
        name in ("src", "href") or name.startswith("on") for _, attributes in tags.found for name in attributes
    )
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert HOSTILE in tags.text
    markdown = build.render_markdown(folder)
    outside = markdown.replace("crossnn run <x>", "")
    assert "<" not in outside
    assert not re.search(r"(?<!\\)\]\(javascript", outside)


def test_markdown_tables_keep_their_columns() -> None:
    text = to_markdown([Heading(1, "a|b"), Table(["x", "two\nlines"], [[HOSTILE, "line\nbreak"]]), Code("```\n``` x")])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert "````\n```\n``` x\n````" in text


def test_numbers_that_look_like_others_are_not_rewritten() -> None:
    for text in (
        to_markdown([Table(["sha"], [["1e5"], ["0012"]])]),
        to_html([Table(["sha"], [["1e5"], ["0012"]])], ""),
    ):
        assert "1e5" in text
        assert "0012" in text


def test_an_empty_run_says_so(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    text = build.render_markdown(tmp_path)
    assert "No quantity was judged." in text
    assert "no machine.json" in text
    with pytest.raises(CrossnnError, match="is not a run folder"):
        build.render_markdown(tmp_path / "elsewhere")


def test_a_damaged_machine_record_is_a_message(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    for damaged in ("{", "[]"):
        (tmp_path / machine.NAME).write_text(damaged)
        with pytest.raises(CrossnnError, match=r"machine\.json"):
            build.render_markdown(tmp_path)


@pytest.mark.parametrize(
    "curve",
    [
        (1.0,), (1.0, 1.0), (1e-9, 1e9), (math.nan, math.inf, 1.0), (0.0, -1.0, 5.0), (None, 2.0, None, 3.0),
        tuple(range(1, 400)),
    ],
)  # fmt: skip
def test_charts_are_valid_whatever_the_curve(curve: tuple[float | None, ...]) -> None:
    svg = chart.line_chart({("jax", "jit"): curve, ("mine", "<eager>"): curve}, across="epoch", up="loss")
    ElementTree.fromstring(svg)
    assert not re.search(r"nan|inf", svg)
    assert "mine &lt;eager&gt;" in svg


def test_a_curve_without_numbers_is_no_chart() -> None:
    assert chart.line_chart({("jax", "jit"): (math.nan,)}, across="epoch", up="loss") == ""


def test_the_worst_verdict_is_shown_and_nothing_is_hidden() -> None:
    cell = summary.verdict_cell
    assert cell([record(r=1.0), record(r=60.0)]) == "EQUAL 60"
    assert cell([record(r=1.0), record(verdict="ERROR", r=None), record(verdict="FORMULA")]) == "ERROR"
    assert cell([record(r=None), record(verdict="NOT-RUN")]) == "EQUAL +NOT-RUN"
    assert cell([record(verdict="NOT-RUN")]) == "NOT-RUN"
    assert summary.nothing_ran([record(verdict="NOT-RUN")])
    assert summary.nothing_ran([])
    assert not summary.nothing_ran([record()])


def test_failures_read_from_the_first_to_depart() -> None:
    first = record(verdict="FORMULA", quantity="update", r=1e3, message="first")
    after = record(verdict="FORMULA", quantity="state.v", r=1e9, message="after update")
    other = record(verdict="FORMULA", spec="elu", r=1e5)
    equal = record()
    assert failures([equal, other, first, after]) == [first, after, other]
    assert alike([first, after, first]) == [[first, first], [after]]


def test_reasons_that_differ_by_a_name_are_one_reason() -> None:
    missing = [
        record(
            spec=spec, implementation="native", verdict="NOT-RUN", message=f"torch has no native {spec}: formula runs"
        )
        for spec in ("l1", "mae", "add")
    ]
    assert not_run_rows(missing) == [["torch", "native", "torch has no native ...: formula runs", "3", "add, l1, mae"]]
    assert not_run_rows(missing[:1])[0][2] == "torch has no native l1: formula runs"
    assert summary.matrix([*missing, record(spec="l1")]).rows == [["l1", "EQUAL 3.1"]]


def test_text_blocks_are_one_line() -> None:
    assert to_markdown([Text("a\n# b")]) == "a # b\n"
