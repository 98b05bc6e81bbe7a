"""Every record is in the report, text is only ever text, and the page needs nothing from elsewhere."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from crossnn.atlas.figure import figure as accuracy_figure
from crossnn.cli import main
from crossnn.errors import CrossnnError
from crossnn.pictures.series import series
from crossnn.report import build, chart, front, speed, summary
from crossnn.report.atlas import atlas_blocks
from crossnn.report.described import changed, descriptions
from crossnn.report.differences import alike, failures, known_blocks, not_run_rows
from crossnn.report.document import Block, Cards, Code, Figure, Heading, Table, Text, to_html, to_markdown
from crossnn.report.html import arranged
from crossnn.report.own import chosen_lines, comparison, resolved, settings_of
from crossnn.report.questions import question_blocks
from crossnn.report.subjects import inaccuracy
from crossnn.runs import machine
from crossnn.runs.cell import Answer, Cell, Done, Point, Record, Timed, Training, Worst
from crossnn.runs.findings import Accuracy, Convention
from crossnn.runs.journal import Journal
from crossnn.runs.timed import Prepared, Visit, at_round, identity
from crossnn.runs.wire import Result
from crossnn.timing.results import Contest

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
    names = [name for name, _ in tags.found]
    assert not {*names} & {"img", "iframe", "object", "b", "base", "form"}
    assert names.count("script") == 2  # the data and the script
    assert not any(name == "src" or name.startswith("on") for _, attributes in tags.found for name in attributes)
    links = {attributes["href"] or "" for _, attributes in tags.found if "href" in attributes}
    assert {link for link in links if not link.startswith("#")} == {"data:,"}
    assert not re.search(r"https?://|@import|url\((?!#)", page.replace("http://www.w3.org/2000/svg", ""))
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


def test_a_known_difference_is_one_row() -> None:
    known = [
        record(spec=spec, dtype=dtype, verdict="KNOWN", known="slope", message="cause", r=1e308)
        for spec in ("elu", "celu") for dtype in ("float64", "float32")
    ]  # fmt: skip
    (table,) = (block for block in known_blocks(known) if isinstance(block, Table))
    assert list(map(list, table.rows)) == [
        ["slope", "celu, elu", "torch", "float32, float64", "cause", "value", "4", "unbounded"]
    ]


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


def test_the_page_holds_the_evidence_of_every_record(folder: Path) -> None:
    (letters,) = re.findall(r'id="data">([A-Za-z0-9+/=]+)<', build.render_html(folder))
    data = json.loads(zlib.decompress(base64.b64decode(letters)))
    found = []
    place = 0
    for spec, implementation, head, dtype, device, seed, count in data["cells"]:
        for number in range(place, place + count):
            fields = ("quantity", "expected", "actual", "known", "message", "call")
            found.append((
                data["specs"][spec]["name"], data["implementations"][implementation], *data["heads"][head],
                data["dtypes"][dtype], data["devices"][device], seed, data["verdicts"][data["verdict"][number]][0],
                *(data["texts"][data[name][number]] for name in fields),
            ))  # fmt: skip
        place += count
    records = build.read_run(folder).records
    assert sorted(found) == sorted(
        (
            one.spec, one.implementation, one.backend, one.mode, one.dtype, one.device, one.seed, one.verdict,
            one.quantity, one.worst.expected if one.worst else "", one.worst.actual if one.worst else "",
            one.known or "", one.message, one.call,
        )
        for one in records
    )  # fmt: skip


def own(backend: str, case: str) -> Record:
    return record(backend=backend, implementation="native", case=case, call=f"{backend}.Adam")


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        (
            {"torch": ["eps_place=outside eps=0.1"], "tensorflow": ["eps_place=hat eps=0.1"]},
            "Not the same formula: eps_place is outside in torch.Adam, hat in tensorflow.Adam.",
        ),
        ({"torch": ["p=a", "p=b"], "jax": ["p=b"]}, "Other settings: p is a or b in torch.Adam, b in jax.Adam."),
        ({"torch": ["p=a beta=0.9"], "jax": ["p=a beta=0.5"]}, "Same formula in all of them"),
        ({"torch": ["p=a"], "jax": ["p=a"]}, "Same formula in all of them: torch.Adam, jax.Adam, equal up to"),
        ({"torch": ["p=a"]}, ""),
    ],
)  # fmt: skip
def test_own_implementations_are_compared_by_their_settings(cases: dict[str, list[str]], said: str) -> None:
    records = [own(backend, case) for backend, several in cases.items() for case in several]
    found = comparison(records)
    assert len(found) == bool(said)
    assert not said or found[0].startswith(said)


def convention(call: str, backend: str, difference: float | None = None, **settings: float | str) -> Convention:
    return Convention(
        concept="adam", asks="", spec="adam", kind="optimizer", backend=backend, call=call, settings={**settings},
        answer=str(settings), scenario="100 steps", difference=difference,
    )  # fmt: skip


def test_variants_say_nothing_about_the_usual_call() -> None:
    records = [
        own("torch", "place=out"), own("tensorflow", "place=hat"), own("jax", "place=out"),
        record(backend="torch", implementation="native", case="place=hat", call="torch.Sparse"),
        record(backend="jax", implementation="native", case="place=in", call="jax.Adam(root=)"),
    ]  # fmt: skip
    assert comparison(records) == [
        "Not the same formula: place is out in torch.Adam, hat in tensorflow.Adam, out in jax.Adam."
    ]
    assert chosen_lines('w = a if place == "out" else b', records).splitlines() == [
        "torch.Adam and jax.Adam:", "  w = a", "tensorflow.Adam, torch.Sparse and jax.Adam(root=):", "  w = b",
    ]  # fmt: skip


def test_defaults_that_differ_are_named() -> None:
    records = [own("torch", "default"), own("jax", "default")]
    apart = [
        convention("torch.Adam", "torch", 0.0, eps=1e-8, beta=0.9),
        convention("jax.Adam(learning_rate=0.001)", "jax", 0.25, eps=1e-7, beta=0.9),
    ]
    said = comparison(records, apart)
    assert said == [
        "Same formula, other defaults: eps is 1e-08 in torch.Adam, 1e-07 in jax.Adam.",
        "A port that keeps the specification's defaults departs by 0.25 from jax.Adam (100 steps).",
    ]
    alike = [convention("torch.Adam", "torch", 0.5, eps=1e-8), convention("jax.Adam", "jax", 0.5, eps=1e-8)]
    assert comparison(records, alike)[0].startswith("Same formula in all of them")


def test_conventions_to_know_set_frameworks_apart() -> None:
    def points(*findings: Convention) -> list[str]:
        found = front.first_screen([record()], (), (), findings).cards
        return [point.more for card in found if card.title == "What should I know?" for point in card.points]

    apart = (convention("torch.Adam", "torch", 0.0, eps=1e-8), convention("jax.Adam", "jax", 0.25, eps=1e-7))
    assert points(*apart) == [
        ": eps is 1e-08 in torch.Adam, 1e-07 in jax.Adam. A port that keeps the specification's defaults is off by "
        "0 % from torch, 25 % from jax (100 steps)."
    ]
    assert points(convention("torch.Adam", "torch", 3.0, eps=1.0), convention("jax.Adam", "jax", 3.0, eps=1.0)) == []
    assert points(apart[0], convention("jax.Adam(amsgrad=True)", "jax", 3.0, eps=1e-7)) == []


def accuracy(backend: str, largest: float, call: str = "", **changes: Any) -> Accuracy:
    fields: dict[str, Any] = {
        "spec": "softplus", "kind": "activation", "spec_sha": "", "backend": backend, "mode": "eager",
        "implementation": "native" if call else "formula", "call": call, "dtype": "float32", "device": "cpu",
        "quantity": "gradient", "largest": largest, "at": -18.0, "axis": "magnitude",
    }  # fmt: skip
    return Accuracy(**{**fields, **changes})


def test_the_largest_error_is_named_for_all_settings() -> None:
    zero = (("zero", -84.0, -19.0), ("zero", -18.0, -18.0))
    ours = [accuracy(backend, 2e6, regions=zero) for backend in ("torch", "jax")]
    own = [accuracy("jax", 8.0, "jax.nn.softplus", case="beta=2"), accuracy("torch", 1800.0, "torch.softplus")]
    assert inaccuracy([*ours, own[0]]) == [
        "float32 gradient, largest errors of all settings. our formula: torch and jax alike, 2e+06 spacings at -18, "
        "zero from -84 to -19; zero at -18; the frameworks' own functions: jax.nn.softplus (jax eager), 8 spacings "
        "at -18."
    ]
    assert "torch.softplus (torch eager), 1,800 spacings" in inaccuracy([*ours, *own])[0]
    fine = [accuracy("torch", 1.5), accuracy("jax", 3.5, "jax.f")]
    assert inaccuracy(fine) == ["float32 gradient: at most 3.5 spacings everywhere, in all."]


def test_a_line_is_shown_with_the_settings_that_decide_it() -> None:
    line = 'w = w - (a/(b + eps) if place == "hat" else a if correct else c)'
    assert resolved(line, {"place": "hat"}) == "w = w - (a/(b + eps))"
    assert resolved(line, {"place": "outside", "correct": True}) == "w = w - (a)"
    assert resolved(line, {"place": "outside", "correct": False}) == "w = w - (c)"
    for undecided in (line, "w = w - lr*g", "layers: dense, softmax", "not a formula ="):
        assert resolved(undecided, {}) == undecided


def test_settings_are_read_from_a_case() -> None:
    assert settings_of("place=hat kernel=(3, 3) eps=0.1") == {"place": "hat", "kernel": "(3, 3)", "eps": "0.1"}
    assert settings_of("at y=-800") == {"y": "-800"}
    assert settings_of("unbiased=True inference") == {"unbiased": "True"}
    assert settings_of("inference") == {}


def cards(records: list[Record], **others: Any) -> list[str]:
    given = {"trainings": (), "contests": (), "findings": (), **others}
    return [card.title + " " + card.text for card in front.first_screen(records, **given).cards]


def test_the_first_screen_says_whether_they_agree() -> None:
    known = record(verdict="KNOWN", known="a-difference", implementation="native", worst=Worst((0,), "1.0", "1.5"))
    assert cards([record()] * 3)[0].startswith("Do they agree? Yes. 100.0 % of 3 results equal the exact ones")
    some = cards([record()] * 3 + [known])
    assert "Yes, but for what is known. 75.0 % of 4" in some[0]
    assert "1 depart for 1 registered reasons; none fails" in some[0]
    assert "Not everywhere. 75.0 % of 4" in cards([record()] * 3 + [record(verdict="ERROR")])[0]
    assert cards([record(verdict="NOT-RUN")]) == []
    assert cards([record(backend="oracle")]) == []


def test_what_should_be_known_is_what_departs_most() -> None:
    def known(name: str, backend: str, expected: str, actual: str) -> Record:
        return record(
            spec=name, backend=backend, verdict="KNOWN", known=name, implementation="native", call=f"{backend}.{name}",
            message=f"cause of {name} [reference]", worst=Worst((0,), expected, actual),
        )  # fmt: skip

    records = [
        known("tiny", "torch", "1e-300", "0"), known("large", "torch", "1", "1.5"), known("nan", "jax", "0", "nan"),
        known("relative", "jax", "1e6", "1000001"), known("other", "tensorflow", "2", "2.25"),
    ]  # fmt: skip
    (card,) = (one for one in front.first_screen(records, (), (), ()).cards if one.title == "What should I know?")
    assert [point.text for point in card.points] == [
        "jax.nan, float64", "torch.large, float64", "tensorflow.other, float64",
    ]  # fmt: skip
    assert card.points[1].more == ": cause of large. Exact: 1, computed: 1.5 (value)."
    assert card.points[1].link == "spec=large&backend=torch&mode=eager&dtype=float64&implementation=native"


def timing(folder: Path, times: dict[tuple[str, str], float], batches: tuple[int, ...] = (64,)) -> None:
    """A run of timings without noise: microseconds at batch 64, proportional to the batch."""
    with Journal(folder) as book:
        for batch in batches:
            for number, ((backend, mode), each) in enumerate(times.items()):
                cell = Cell(
                    task="time", spec="net", backend=backend, mode=mode, dtype="float32",
                    timed=Timed(phase="step", batch=batch),
                )  # fmt: skip
                who = identity(cell, "experiment")
                answers: list[tuple[Cell, Result]] = [
                    (cell, Prepared(**who, verdict="EQUAL", first_seconds=1.0 + number, flops=1e4, least_bytes=10))
                ]
                answers += [
                    (at_round(cell, turn), Visit(**who, round=turn, process=0, samples=(each * batch / 64,) * 3))
                    for turn in range(1, 6)
                ]
                for asked, answer in answers:
                    book.write(Done(cell=asked, status="ok"), [answer])


TIMES = {("torch", "eager"): 300.0, ("torch", "compiled"): 100.0, ("jax", "jit"): 150.0, ("numpy", "eager"): 1000.0}


def contests(folder: Path) -> list[Contest]:
    return list(build.read_run(folder).contests)


def test_who_is_fastest_and_by_how_much(tmp_path: Path) -> None:
    timing(tmp_path, TIMES)
    rows = speed.overview_rows(contests(tmp_path))
    assert rows == [
        ["net step, batch 64", "torch compiled", "100 us", "jax jit", "1.50 (1.50 to 1.50)", "numpy eager",
         "10.00 (10.00 to 10.00)"]
    ]  # fmt: skip
    card = front.first_screen((), (), contests(tmp_path), ()).cards[0]
    assert card.title == "Who is fast?"
    assert card.text == "net: torch."


def test_who_cannot_be_told_apart_ties(tmp_path: Path) -> None:
    timing(tmp_path, {("torch", "eager"): 100.0, ("jax", "jit"): 100.2})
    assert speed.overview_rows(contests(tmp_path))[0][4] == "1.00 (1.00 to 1.00), a tie"
    assert "net: torch or jax (a tie)" in front.first_screen((), (), contests(tmp_path), ()).cards[0].text


def test_the_fastest_is_that_of_paired_rounds(tmp_path: Path) -> None:
    """A median may be the shorter of two where most rounds say the opposite."""
    rounds = {"torch": (10.0, 20.0, 30.0, 40.0, 50.0), "jax": (9.9, 19.8, 30.5, 39.6, 49.5)}
    with Journal(tmp_path) as book:
        for backend, times in rounds.items():
            cell = Cell(task="time", spec="net", backend=backend, mode="eager", dtype="float32",
                        timed=Timed(phase="step", batch=64))  # fmt: skip
            who = identity(cell, "experiment")
            prepared = Prepared(**who, verdict="EQUAL", first_seconds=1.0, flops=1e4, least_bytes=10)
            book.write(Done(cell=cell, status="ok"), [prepared])
            for turn, each in enumerate(times, 1):
                visit = Visit(**who, round=turn, process=0, samples=(each,) * 3)
                book.write(Done(cell=at_round(cell, turn), status="ok"), [visit])
    (contest,) = contests(tmp_path)
    assert contest.standings[0].measured.prepared.backend == "torch"
    row = speed.overview_rows([contest])[0]
    assert (row[1], row[3]) == ("jax eager", "torch eager")
    assert row[4].startswith("1.01 (")
    assert row[4].endswith(", a tie")
    (card,) = front.first_screen((), (), [contest], ()).cards
    assert "net: jax or torch (a tie)" in card.text
    assert "Noisy: intervals up to 133 % wide." in card.note


def test_times_are_drawn_with_what_repeats_them(tmp_path: Path) -> None:
    timing(tmp_path, TIMES, (32, 64))
    found = [block for block in build.blocks(build.read_run(tmp_path)) if isinstance(block, Figure)]
    assert [figure.file for figure in found] == [
        "time-net-step-32-float32-cpu.svg", "total-net-step-32-float32-cpu.svg",
        "time-net-step-64-float32-cpu.svg", "total-net-step-64-float32-cpu.svg", "batch-net-step-32-float32-cpu.svg",
    ]  # fmt: skip
    for figure in found:
        ElementTree.fromstring(figure.svg)
        assert not re.search(r"nan|inf\b", figure.svg)
    assert found[2].again == "crossnn time net --phase step --batch 64 --dtype float32"
    assert found[4].again == "crossnn time net --phase step --batch 32,64 --dtype float32"
    assert "1.50 (1.50 to 1.50)" in found[2].svg


def test_without_a_longer_first_call_nothing_is_repaid(tmp_path: Path) -> None:
    timing(tmp_path, {("torch", "eager"): 100.0, ("jax", "jit"): 150.0})
    assert [speed.total_chart(one) for one in contests(tmp_path)] == [""]


LOOK = re.compile(r'<path d="M[\d.]+ [\d.]+h34" (fill="none"[^>]*)/>\n?(?:<path d="M[\d.]+ [-\d.]+([^"]*)" ([^>]*)/>)?')


def looks(svg: str) -> list[tuple[str, str, bool]]:
    """Dashes, marker and whether it is hollow, of each line of a legend: all but the colour."""
    found = []
    for stroke, marker, inside in LOOK.findall(svg):
        dash = re.search(r'stroke-dasharray="([^"]*)"', stroke)
        found.append((dash.group(1) if dash else "", marker, 'class="ground"' in inside))
    return found


def test_curves_are_told_apart_without_colour(tmp_path: Path) -> None:
    """And look the same in every chart: of times, and of losses."""
    modes = {
        ("numpy", "eager"): 1000.0, ("numpy", "compiled"): 400.0, ("torch", "eager"): 300.0,
        ("torch", "compiled"): 100.0, ("tensorflow", "eager"): 500.0, ("tensorflow", "graph"): 160.0,
        ("tensorflow", "xla"): 170.0, ("jax", "eager"): 700.0, ("jax", "jit"): 150.0, ("mine", "eager"): 90.0,
    }  # fmt: skip
    timing(tmp_path, modes)
    (contest,) = contests(tmp_path)
    total = speed.total_chart(contest)
    of_times = dict(zip(re.findall(r">([a-z]+ [a-z]+)</text>", total), looks(total), strict=True))
    assert set(of_times) == {" ".join(who) for who in modes}
    assert len(set(of_times.values())) == len(modes)
    losses = chart.line_chart({who: [2.0, 1.0] for who in modes}, across="epoch", up="loss")
    assert dict(zip(map(" ".join, modes), looks(losses), strict=True)) == of_times


@pytest.mark.parametrize("copies", [2, 4])
def test_further_ways_of_one_mode_look_different(copies: int) -> None:
    names = [("torch", f"compiled (native: way {number})") for number in range(copies)]
    found = series([("torch", "compiled"), *names])
    assert len({(one.dash, one.marker, one.hollow) for one in found}) == copies + 1


def test_timed_networks_are_described_as_they_are_specified() -> None:
    def timed(spec: str, batch: int, sha: str = "") -> Prepared:
        cell = Cell(task="time", spec=spec, backend="torch", mode="eager", dtype="float32",
                    timed=Timed(phase="step", batch=batch))  # fmt: skip
        return Prepared(**{**identity(cell, "experiment"), "spec_sha": sha}, verdict="EQUAL")

    lines = descriptions([timed("time-mlp", 64), timed("time-mlp", 8), timed("softplus", 8), timed("no-such", 1)])
    counted = 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10
    assert lines == {
        "time-mlp": "input 784 > dense 512 > relu > dense 512 > relu > dense 10; "
        f"{counted:,} parameters; categorical_crossentropy_logits; adam, lr 0.001; batch 8, 64"
    }
    assert changed([timed("time-mlp", 64)]) == ""
    assert "time-mlp or a part of it has changed" in changed([timed("time-mlp", 64, "of another day")])


@pytest.mark.parametrize(
    ("regions", "largest", "said"),
    [
        ((), (1.0, 3.0), "most accurate torch formula, 1 ulp"),
        ((), (20.0, 300.0), "none stays within 4 ulp: torch formula has 20 ulp"),
        ((("NaN", 1e30, 3e38),), (1.0, 3.0), "none is right everywhere: torch formula has 1 ulp at -18, NaN 1e+30"),
        ((), (2.0, 2.0), "gradient: all alike, 2 ulp at -18."),
    ],
)
def test_no_function_is_called_the_best_that_fails_somewhere(
    regions: tuple[tuple[str, float, float], ...], largest: tuple[float, float], said: str
) -> None:
    found = [
        accuracy(backend, size, regions=regions, curve=(size,) * 8)
        for backend, size in zip(("torch", "jax"), largest, strict=True)
    ]
    (drawn,) = (one for one in atlas_blocks([*found, accuracy("numpy", 9.0, curve=(9.0,) * 8, quantity="value")])
                if isinstance(one, Figure))  # fmt: skip
    assert said in drawn.caption
    assert "best" not in drawn.caption


def test_an_accident_anywhere_outweighs_a_small_error() -> None:
    curve = (1.0,) * 8
    fails = accuracy("torch", 1.0, curve=curve, regions=(("overflow", 1e30, 3e38),))
    (drawn,) = (one for one in atlas_blocks([fails, accuracy("jax", 3.0, curve=curve)]) if isinstance(one, Figure))
    assert "most accurate jax formula, 3 ulp" in drawn.caption


def test_pictures_of_accuracy_have_titled_axes() -> None:
    drawn = accuracy_figure([accuracy("torch", 9.0, curve=(9.0,) * 8)], "softplus")
    words = [one.text for one in ElementTree.fromstring(drawn).iter() if one.tag.endswith("text")]
    assert words.count("input x, by sign and magnitude") == 2
    assert " ".join(one for one in words if one in ("error in units of", "float spacing (ulp)")) == (
        "error in units of float spacing (ulp)"
    )


def test_a_run_without_a_finished_cell_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").touch()
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 3
    assert "holds no finished cell" in result.output
    assert (tmp_path / "report.html").exists()


def test_runs_beside_are_joined(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "times"
    timing(other, TIMES)
    machine.write(other, {"command": "crossnn time net", "processor": "another"})
    result = CliRunner().invoke(main, ["report", str(folder), "--with", str(other)])
    assert result.exit_code == 0, result.output
    text = (folder / "report.md").read_text()
    assert "torch compiled" in text
    assert "crossnn run <x>\ncrossnn time net\ncrossnn report RUN --with RUN/times" in text
    assert re.search(r"times: processor +\| another", text)
    assert "13 quantities judged" in text
    missing = CliRunner().invoke(main, ["report", str(folder), "--with", str(tmp_path / "nowhere")])
    assert missing.exit_code == 2
    assert "is not a run folder" in missing.output


def test_a_question_of_several_runs_is_that_of_the_last(tmp_path: Path) -> None:
    for name, python in (("one", 1e-3), ("two", 25.8e-6), ("three", 2e-3)):
        points = tuple(Point(at={"size": size}, numbers={"python": (python,) * 3, "numpy": (1e-6,) * 3}, holds=3, of=3)
                       for size in (10.0, 20.0))  # fmt: skip
        with Journal(tmp_path / name) as book:
            for backend in ("numpy", "torch")[: 1 if name == "two" else 2]:
                one = Answer(
                    spec="numpy-is-faster", spec_sha="", backend=backend, says="", source="", exact=False,
                    rule=("10*numpy < python",), by=(), most=0.9, verdict="holds", when="", points=points, seconds=1.0,
                )  # fmt: skip
                book.write(Done(cell=Cell(task="question", spec=one.spec, backend=backend), status="ok"), [one])
    run = build.read_run(tmp_path / "one", [tmp_path / "three", tmp_path / "two"])
    (table,) = [block for block in question_blocks(run.answers) if isinstance(block, Table)][1:]
    places = [(row[0], row[1]) for row in table.rows]
    assert sorted(places) == sorted({*places})
    assert {row[0]: row[2] for row in table.rows} == {"numpy": "25.8 us", "torch": "2 ms"}


def test_findings_without_a_section_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MEASURED", ((Accuracy, "crossnn.report.nowhere", "blocks"),))
    with Journal(folder, resume=True) as book:
        one = Accuracy(
            spec="tanh", kind="activation", spec_sha="", backend="torch", implementation="native", mode="eager",
            dtype="float32", device="cpu", quantity="value",
        )  # fmt: skip
        book.write(Done(cell=Cell(task="atlas", spec="tanh", backend="torch"), status="ok"), [one])
    text = build.render_markdown(folder)
    assert "## Accuracy\n\n1 records in results.jsonl, which this version of crossnn cannot show." in text


def test_sections_have_names_of_their_own() -> None:
    blocks: list[Block] = [Heading(1, "a"), Text("b"), Heading(2, "Top"), Heading(3, "Top"), Heading(3, "<&>"),
                           Heading(2, "data"), Heading(2, "Top")]  # fmt: skip
    head, sections = arranged(blocks)
    assert (head.title, head.blocks) == ("a", [Text("b")])
    names = [section.anchor for section in sections] + [part.anchor for one in sections for part in one.parts]
    assert len({*names, "top", "data"}) == len(names) + 2
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


def test_pictures_on_one_page_do_not_share_names() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><style>.a{}</style><clipPath id="c"/><g clip-path="url(#c)"/></svg>'
    page = to_html([Figure("a.svg", svg, "one"), Figure("b.svg", svg, "two", "again <1>")], "")
    assert re.findall(r'clipPath id="([^"]+)"', page) == re.findall(r"url\(#([^)]+)\)", page) == ["f1-c", "f2-c"]
    assert page.count("<style>.a{}</style>") == 1
    assert "Again: <code>again &lt;1&gt;</code>" in page


def test_cards_are_lists_in_markdown(folder: Path) -> None:
    content = build.blocks(build.read_run(folder))
    assert isinstance(content[1], Cards)
    text = to_markdown(content[1:2])
    assert "**Do they agree?**\n\nNot everywhere." in text
    assert re.search(r"^- elu \(native\): ACCURACY in 1 quantities, first on torch eager$", text, re.MULTILINE)
