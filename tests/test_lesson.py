"""The lesson: verdicts by rules, two complete languages, a page that needs nothing, and real measurements."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.cli import main
from crossnn.lesson import agreement, texts, verdicts
from crossnn.lesson.bench import first_line
from crossnn.lesson.classroom import Classroom, answer_of
from crossnn.lesson.measure_control import located
from crossnn.lesson.mistakes import mistakes
from crossnn.lesson.page import inline, table
from crossnn.lesson.plots import Line, bars, log_lines
from crossnn.lesson.programs import BUGS, EXPRESSIONS, GRADIENTS, HAND, POINTS, network_arguments
from crossnn.lesson.shown_symbolic import gradient_truth
from crossnn.lesson.steps import STEPS, Lesson, render
from crossnn.lesson.texts import LANGUAGES, messages, placeholders

VOID = {"meta", "link", "br", "input", "path", "rect", "circle", "line"}
MISSING = {"absent": "needs torch, not installed here: pip install 'crossnn[torch]'"}
HOSTILE = "<b>&\"'"
Answer = dict[str, Any]


def call(operation: str, value: str | None) -> Answer:
    return {
        "operation": operation,
        "inputs": ["1", value],
        "seconds": 2e-6,
        "value": value,
        "type": "ndarray",
        "bytes": 80,
    }


def gradients(factor: float = 1.0) -> Answer:
    """The gradient of the network by plain NumPy, written out here, times a factor."""
    params, data = network_arguments()
    hidden = np.tanh(data["X"] @ params["W1"])
    error = hidden @ params["W2"] - data["y"]
    w1 = data["X"].T @ ((error @ params["W2"].T) * (1 - hidden**2))
    return {"gradients": {"W1": (factor * w1).tolist(), "W2": (factor * (hidden.T @ error)).tolist()}}


def point(size: int, length: int, eager: float, compiled: float) -> Answer:
    modes = {
        "eager": {"first": 1e-3, "median": eager, "samples": 5},
        "compiled": {"first": 0.1, "median": compiled, "samples": 5},
    }
    return {"size": size, "length": length, "modes": modes}


def phases(python: int, graphs: int | None) -> Answer:
    one = {"calls": 5, "python": python, "graphs": graphs}
    return {"phases": {"equal": one, "shape": one, "numbers": one}, "inside": "Tracer"}


def bug_modes(compiled: str) -> Answer:
    said = {"error": f"ValueError: {HOSTILE}", "frames": 3}
    other = {"result": "nan"} if compiled == "silent" else said
    return {"eager": {"outcome": "traceback", **said}, "compiled": {"outcome": compiled, **other}}


def bugs(compiled: str = "message") -> Answer:
    return {
        "bugs": {
            name: {"code": bug.code, "line": bug.line, "modes": bug_modes("silent" if name == "branch" else compiled)}
            for name, bug in BUGS.items()
        }
    }


def expressions(compiled: str = "0.0") -> Answer:
    plain = [{"value": ["0.0"] * len(one.x)} for one in EXPRESSIONS]
    return {"modes": {"eager": plain, "compiled": [{"value": [compiled] * len(one.x)} for one in EXPRESSIONS],
                      "slow": [{"absent": "no"} for _ in EXPRESSIONS]}}  # fmt: skip


def programs(right: bool = True) -> Answer:
    one = {"values": [1.0, 2.0], "right": True, "graphs": None}
    other = {"values": [1.0, 2.0], "right": right, "graphs": 2}
    refused = {"absent": f"TypeError: {HOSTILE}"}
    way = {"way": "cond", "code": "cond(...)", "values": [6.0, -4.0], "inside": ["cond"], "note": ""}
    code = {"code": "def program(x):\n    return x\n"}
    return {"programs": {"if": {**code, "modes": {"eager": one, "compiled": other}},
                         "while": {**code, "modes": {"eager": one, "compiled": refused}}}, "ways": [way]}  # fmt: skip


def trained(*, apart: float = 0.0, twins: bool = True) -> Answer:
    def one(shift: float) -> Answer:
        return {"losses": [2.0 + shift, 1.0 + shift], "params": {"1": [0.5 + shift], "2": [0.25 + shift]}}

    modes = {"eager": one(0.0), "compiled": one(apart)}
    return {"modes": {**modes, **({"twin 1": one(1e-15)} if twins else {})}}


def checked(verdict: str) -> Answer:
    checks = [{"quantity": "value", "verdict": verdict, "digits": 1.0, "expected": "1", "actual": HOSTILE}]
    return {"mistakes": [{**one, "checks": checks} for one in mistakes()]}


def vertex(key: str, operation: str) -> Answer:
    kind, inputs = ("input", []) if operation == "input" else ("operation", ["a"])
    return {"key": key, "operation": operation, "inputs": inputs, "kind": kind, "name": "", "shape": "10", "within": ""}


def view(stage: str, note: str = "", **operations: str) -> Answer:
    vertices = [vertex("a", "input"), *(vertex(key, name) for key, name in operations.items())]
    return {"engine": "jax jit", "stage": stage, "results": ["b"], "text": HOSTILE, "public": not note, "note": note,
            "vertices": vertices}  # fmt: skip


VIEWS = [
    view("recorded", b="mul", c="exp", d="mul"),
    view("half-way", b="mul", d="mul"),
    view("optimized", "printed by the compiler", b="mul"),
]

FAKES: Mapping[str, Answer] = {
    "L0": {
        "code": "def lecture(a, b): ...",
        "left_out": ["slow"],
        "modes": {"eager": {"values": ["3.0"] * 10}, "compiled": MISSING},
    },
    "L1": {"modes": {"eager": {"calls": [call("multiply", "2")] * 7}, "compiled": {"calls": [call("multiply", None)]}}},
    "L2": {"modes": {"eager": phases(5, None), "compiled": phases(1, 1)}},
    "L3": {"modes": {"eager": {"views": []}, "compiled": {"views": VIEWS}}},
    "L4": {"modes": {"eager": gradients(), "by hand": gradients(), "central differences": gradients(1 + 1e-10)}},
    "L5": {"points": [point(10, 2, 1e-6, 5e-6), point(1000, 2, 1e-3, 1e-4), point(10, 20, 1e-5, 1e-5)]},
    "L6": {"bytes": 100, "own_name": "tracemalloc", "modes": {"eager": {"peak": 300, "how": "VmHWM", "own": 200},
                                                             "compiled": {"peak": 100, "how": "VmHWM", "own": None}}},
    "L7": bugs(),
    "L8": expressions("1.0"),
    "L9": programs(False),
    "L10": trained(apart=1e-15),
    "L11": checked("FORMULA"),
    "L12": {
        "views": [VIEWS[0], VIEWS[2]],
        "gradients": [{"formula": text, "printed": f"Mul({HOSTILE})", "values": [0.0] * len(POINTS)}
                      for text in GRADIENTS],
        "expressions": [{"value": ["1.0"] * len(one.x), "printed": "Softplus(x)"} for one in EXPRESSIONS],
    },
}  # fmt: skip


def lesson_of(step: str, answer: Answer) -> Lesson:
    """One step, in which torch is missing and the others answer."""
    by_backend = (
        {"numpy": answer, "torch": MISSING}
        if step in ("L10", "L11")
        else {"numpy": answer, "torch": MISSING, "jax": answer}
    )
    return Lesson({step: dict.fromkeys(STEPS[step].dtypes, by_backend)}, {"processor": HOSTILE})


class Checker(HTMLParser):
    """Every tag is closed in order; nothing is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            assert name not in ("src", "srcset", "onclick", "onload"), tag
            assert name != "href" or (value or "").startswith(("#", "data:")), value
            if name == "id" and value:
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return None

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag


def assert_self_contained(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert not re.search(r"@import|url\(|https?://(?!www\.w3\.org/2000/svg)", page)
    assert "<b>&" not in page, "data was not escaped"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_shown_with_what_is_missing(step: str, language: str) -> None:
    page, found = render(lesson_of(step, FAKES[step]), language)
    assert_self_contained(page)
    assert list(found) == [step]
    assert found[step].kind in ("holds", "when", "not")
    assert messages(language)[f"{step}.title"].split("`")[0][:12] in page
    assert "crossnn[torch]" in page
    assert messages(language)[f"ui.{found[step].kind}"] in page


def test_what_was_left_out_is_named() -> None:
    page, _ = render(lesson_of("L0", FAKES["L0"]), "en")
    assert "<code>numpy slow</code>, <code>jax slow</code>" in page
    page, _ = render(lesson_of("L1", FAKES["L1"]), "en")
    assert "--compile" not in page


@pytest.mark.parametrize("step", [step for step in STEPS if step != "L3"])
def test_a_step_that_nothing_could_run_says_so(step: str) -> None:
    lesson = Lesson({step: {dtype: {"torch": MISSING} for dtype in STEPS[step].dtypes}}, {})
    page, found = render(lesson, "en")
    assert_self_contained(page)
    assert found[step].kind == "none"
    assert messages("en")["ui.nothing"] in page


def test_our_own_graph_is_shown_without_any_backend() -> None:
    page, found = render(Lesson({"L3": {"float64": {"torch": MISSING}}}, {}), "en")
    assert_self_contained(page)
    assert found["L3"] == verdicts.Verdict("holds", ("crossnn",))


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    english, others = messages("en"), [messages(language) for language in LANGUAGES[1:]]
    for other in others:
        assert other.keys() == english.keys()
        for key, text in english.items():
            assert placeholders(other[key]) == placeholders(text), key
            assert other[key].count("`") == text.count("`"), key
            assert other[key] != text or key in SAME, key


SAME: frozenset[str] = frozenset()
"""Texts that are the same in all languages."""


def test_every_text_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used = set()

    class Watched(dict[str, str]):
        def __getitem__(self, key: str) -> str:
            used.add(key)
            return super().__getitem__(key)

    monkeypatch.setattr(texts, "messages", lambda language: Watched(messages(language)))
    for step, answer in FAKES.items():
        render(lesson_of(step, answer), "en")
    for step, answer in MORE_FAKES:
        render(lesson_of(step, answer), "en")
    render(Lesson({"L0": {"float64": {}}, "L10": {"float64": {}}}, {}), "en")
    decided = {f"{step}.{kind}" for step in STEPS for kind in ("holds", "when", "not")} | {
        "ui.holds",
        "ui.when",
        "ui.not",
    }
    assert messages("en").keys() - used - decided == set()


MORE_FAKES: tuple[tuple[str, Answer], ...] = (
    ("L0", {"code": "", "modes": {"eager": {"values": ["3.0"]}, "compiled": {"values": ["2.0"]}}}),
    ("L7", bugs("traceback")),
    ("L7", bugs("nowhere")),
    ("L7", bugs("silent")),
    ("L8", expressions("2.0")),
)


def with_modes(**modes: Any) -> Mapping[str, Answer]:
    return {"numpy": {"modes": modes}}


def values(*numbers: str) -> Answer:
    return {"values": list(numbers)}


def used(resident: int | None, own: int | None = None) -> Answer:
    return {"peak": resident, "own": own, "how": "VmHWM"}


def trained_alike(answers: Mapping[str, Answer]) -> verdicts.Verdict:
    return agreement.train_alike({"float64": agreement.paths(answers)})


FORMULAS = [one.formula for one in EXPRESSIONS]
CASES: tuple[tuple[str, Callable[[], verdicts.Verdict], str], ...] = (
    ("L0 all three", lambda: verdicts.both_give(with_modes(eager=values("3.0"), jit=values("3.0", "3.0"))), "holds"),
    ("L0 one else", lambda: verdicts.both_give(with_modes(eager=values("3.0"), jit=values("3.0", "2.9"))), "when"),
    ("L0 none", lambda: verdicts.both_give(with_modes(eager=values("nan"))), "not"),
    ("L0 nobody", lambda: verdicts.both_give({"torch": MISSING}), "none"),
    ("L1 seven calls", lambda: verdicts.at_once(with_modes(eager={"calls": [call("add", "1")] * 7})), "holds"),
    ("L1 six calls", lambda: verdicts.at_once(with_modes(eager={"calls": [call("add", "1")] * 6})), "not"),
    ("L1 no value", lambda: verdicts.at_once(with_modes(eager={"calls": [call("add", None)] * 7})), "not"),
    ("L2 once", lambda: verdicts.first_the_graph(with_modes(eager=phases(5, None), jit=phases(1, 1))), "holds"),
    ("L2 always", lambda: verdicts.first_the_graph(with_modes(eager=phases(5, None), jit=phases(5, 1))), "not"),
    ("L2 some", lambda: verdicts.first_the_graph(with_modes(e=phases(5, 0), a=phases(1, 1), b=phases(5, 5))), "when"),
    ("L3 fewer", lambda: verdicts.found_unused({"jax": (7, 1, False)}), "holds"),
    ("L3 dead stays", lambda: verdicts.found_unused({"jax": (7, 1, True)}), "not"),
    ("L3 no fewer", lambda: verdicts.found_unused({"jax": (7, 1, False), "torch": (7, 7, False)}), "when"),
    ("L5 faster", lambda: verdicts.faster({"jax": {"points": [point(10, 2, 2.0, 1.0)]}}), "holds"),
    ("L5 within a tenth", lambda: verdicts.faster({"jax": {"points": [point(10, 2, 1.05, 1.0)]}}), "not"),
    ("L5 somewhere", lambda: verdicts.faster({"jax": {"points": [point(9, 2, 2, 1), point(10, 2, 1, 2)]}}), "when"),
    ("L6 less", lambda: verdicts.less_memory(with_modes(eager=used(300), jit=used(100))), "holds"),
    ("L6 hardly less", lambda: verdicts.less_memory(with_modes(eager=used(300), jit=used(None, 280))), "not"),
    ("L7 worse", lambda: verdicts.harder_to_find({"jax": bugs("message")}), "holds"),
    ("L7 as good", lambda: verdicts.harder_to_find({"jax": bugs("traceback")}), "not"),
    ("L7 both", lambda: verdicts.harder_to_find({"jax": bugs("silent"), "torch": bugs("traceback")}), "when"),
    ("L8 same", lambda: verdicts.same_numbers({"jax": expressions("0.0")}, FORMULAS), "holds"),
    ("L8 other", lambda: verdicts.same_numbers({"jax": expressions("1.0")}, FORMULAS), "not"),
    ("L8 both", lambda: verdicts.same_numbers({"a": expressions("1.0"), "b": expressions("0.0")}, FORMULAS), "when"),
    ("L9 refused", lambda: verdicts.cannot_follow_data({"jax": programs(False)}), "holds"),
    ("L9 one follows", lambda: verdicts.cannot_follow_data({"jax": programs(True)}), "when"),
    ("L10 beside", lambda: trained_alike({"numpy": trained(apart=1e-15)}), "holds"),
    ("L10 far", lambda: trained_alike({"numpy": trained(apart=1e-9)}), "not"),
    ("L10 no reference", lambda: trained_alike({"jax": trained()}), "none"),
    ("L11 found", lambda: verdicts.mistakes_found({"float64": checked("FORMULA")}), "holds"),
    ("L11 in float32", lambda: verdicts.mistakes_found({"a": checked("EQUAL"), "b": checked("ACCURACY")}), "holds"),
    ("L11 missed", lambda: verdicts.mistakes_found({"float64": checked("EQUAL")}), "not"),
)  # fmt: skip


@pytest.mark.parametrize(("what", "rule", "kind"), CASES, ids=[what for what, _, _ in CASES])
def test_verdicts_follow_from_numbers(what: str, rule: Callable[[], verdicts.Verdict], kind: str) -> None:
    assert rule().kind == kind


def test_a_verdict_names_its_cases() -> None:
    assert verdicts.decide([("a", True), ("b", False)]) == verdicts.Verdict("when", ("a",), ("b",))
    assert verdicts.decide([("a", True), ("b", False)]).values == {
        "good": "a", "bad": "b", "holding": 1, "failing": 1, "cases": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("factor", "name", "agrees"),
    [
        (1.0, "eager", True),
        (1 + 1e-12, "eager", False),
        (1 + 1e-9, "central differences", True),
        (1 + 1e-6, "central differences", False),
        (-1.0, "by hand", False),
    ],
)
def test_gradients_are_judged_by_the_rule_and_approximations_by_their_error(
    factor: float, name: str, agrees: bool
) -> None:
    found = agreement.judged_gradients(with_modes(**{name: gradients(factor)}), agreement.network_truth())
    assert agreement.derivatives_agree(found).kind == ("holds" if agrees else "not")
    assert set(HAND) == set(gradients()["gradients"])


@pytest.mark.parametrize(
    ("eager", "compiled", "calls"), [(2e-3, 1e-3, 99), (1e-3, 1e-3, None), (1e-3, 2e-3, None), (1.0, 0.5, 1)]
)
def test_break_even_counts_the_calls_that_repay_a_first_call(eager: float, compiled: float, calls: int | None) -> None:
    (found,) = verdicts.ratios({"jax": {"points": [point(10, 2, eager, compiled)]}})
    assert found.break_even == calls


def guilty_line_three() -> None:
    """An error whose frames this file has, at whatever line it stands."""
    raise ValueError("nothing named")


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ('File "/x/student.py", line 3, in model', "message"),
        ("at /x/student.py:3", "message"),
        ('File "/x/student.py", line 4', "nowhere"),
        ("something failed", "nowhere"),
        ("in: return np.log(h)  ", "message"),
    ],
)
def test_an_error_is_located_by_its_message(said: str, where: str) -> None:
    bug = BUGS["log"].__class__("def model(x):\n    h = x\n    return np.log(h)\n", 3, ())
    assert located(ValueError(said), "/x/student.py", bug) == where


def test_an_error_is_located_by_its_frames() -> None:
    bug = BUGS["log"].__class__("def model(x):\n    h = x - 1\n    return h.nothing\n", 3, ())
    scope: dict[str, Any] = {}
    exec(compile(bug.code, "/x/student.py", "exec"), scope)
    with pytest.raises(AttributeError) as caught:
        scope["model"](2.0)
    assert located(caught.value, "/x/student.py", bug) == "traceback"
    wrapped = RuntimeError("lost")
    wrapped.__cause__ = caught.value
    assert located(wrapped, "/x/student.py", bug) == "traceback"
    assert located(caught.value, "/x/other.py", bug) == "nowhere"


def test_messages_say_nothing_of_folders() -> None:
    error = RuntimeError("kernel, /tmp/one/two.three/main.cpp:20, on /job:localhost/task:0, 1/2/3")
    assert first_line(error) == "RuntimeError: kernel, .../main.cpp:20, on /job:localhost/task:0, 1/2/3"


def test_charts_draw_what_is_positive_and_nothing_from_nothing() -> None:
    assert log_lines([Line("a", "jax", [(1.0, 0.0)])], across="x", up="y") == ""
    assert bars([], title="x") == ""
    svg = log_lines([Line(HOSTILE, "jax", [(1, 1e-3), (10, 1.0), (100, 0.0)])], across="x", up="y")
    assert svg.count("L") >= 1
    assert "<b>" not in svg
    drawn = bars([("a", "mine", 2.0, "two"), ("b", "mine", 1.0, "one")], title="t", mark=(1.0, "m"))
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn)]
    assert widths[0] == pytest.approx(2 * widths[1])


def test_text_is_escaped_and_backticks_are_code() -> None:
    assert inline("a < b: `x < y`") == "a &lt; b: <code>x &lt; y</code>"
    assert "<b>" not in table([HOSTILE], [[HOSTILE]])


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"records": []}', b'{"records": [{"record": "check", "message": "boom"}]}', b"nonsense"]
)
def test_an_answer_that_is_none_is_a_reason(line: bytes) -> None:
    assert answer_of(line)["absent"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--json", "no/such.json", "--steps", "L0", "--out", os.devnull], "--json no/such.json: cannot be written"),
        (["--steps", "L99"], "the steps are L0, L1"),
        (["--lang", "xx"], "'en', 'ru'"),
        (
            ["--out", "no/such/folder/x.html", "--steps", "L0"],
            "--out no/such/folder/x.html: cannot be written (No such file or directory)",
        ),
        (["--backend", "nothing", "--steps", "L0"], "unknown backend 'nothing'"),
    ],
)
def test_wrong_usage_is_a_message(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["lesson", *arguments])
    assert done.exit_code == 2, done.output
    assert says in done.output
    assert list(tmp_path.iterdir()) == []


def test_gradients_of_the_symbolic_step_are_known_to_many_digits() -> None:
    truth = gradient_truth("sum(tanh(x))")
    assert truth == pytest.approx(1 / np.cosh(POINTS) ** 2, rel=1e-14)
    assert verdicts.near([1.0, np.nan], np.array([1.0 + 1e-15, np.nan]))
    assert not verdicts.near([0.0], np.array([7e-35]))


@pytest.mark.slow
def test_pytensor_where_it_is_installed() -> None:
    pytest.importorskip("pytensor", reason="pytensor is not installed: pip install 'crossnn[pytensor]'")
    with Classroom(["pytensor"], {}) as room:
        found = room.ask("L12", "pytensor")
    assert found["expressions"][2]["printed"] == "Softplus(x)"
    assert found["gradients"][0]["printed"] == "Mul([2.], x)"
    assert found["expressions"][0] == {"value": ["1.0"], "printed": found["expressions"][0]["printed"]}


@pytest.mark.slow
def test_the_whole_lesson_with_numpy_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["lesson", "--backend", "numpy", "--lang", "ru", "--json", "numbers.json"])
    assert done.exit_code == 0, done.output
    page = Path("lesson.ru.html").read_text("utf-8")
    assert_self_contained(page)
    found = json.loads(Path("numbers.json").read_text("utf-8"))
    kinds = {name: one["kind"] for name, one in found["verdicts"].items()}
    assert list(kinds) == [step for step in STEPS if step != "L12"]
    assert "L12: left out, it needs pytensor" in done.output
    assert "none" not in kinds.values()
    certain = {name: kinds[name] for name in ("L0", "L1", "L2", "L3", "L4", "L10", "L11")}
    assert set(certain.values()) == {"holds"}, certain
    assert "params" not in found["measured"]["L10"]["float64"]["numpy"]["modes"]["eager"]


@pytest.mark.slow
def test_a_lost_child_costs_one_answer() -> None:
    with Classroom(["numpy"], {"torch": MISSING["absent"]}) as room:
        assert room.ask("L0", "torch") == MISSING
        assert "KeyError" in room.ask("L99", "numpy")["absent"]
        room._children["numpy"].kill()
        assert "process ended" in room.ask("L0", "numpy")["absent"]
        assert "absent" not in room.ask("L0", "numpy")
        room.seconds = 1e-3
        assert "no answer within" in room.ask("L10", "numpy")["absent"]


@pytest.mark.slow
def test_an_adapter_of_ones_own_misses_the_steps_that_need_demonstrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    backend = "example_adapter:TapeAdapter"
    with Classroom([backend], {}) as room:
        found = {step: room.ask(step, backend) for step in ("L0", "L1", "L2", "L4", "L7")}
    assert [step for step, answer in found.items() if "absent" in answer] == ["L2", "L7"]
    assert "has no demonstrations" in found["L2"]["absent"]
    assert verdicts.both_give({backend: found["L0"]}).kind == "holds"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "tensorflow", "jax"])
def test_what_a_framework_shows(backend: str, require: Callable[[str], None]) -> None:
    require(backend)
    with Classroom([backend], {}) as room:
        found = {step: room.ask(step, backend) for step in ("L0", "L1", "L2", "L4", "L7", "L8", "L9")}
    for step, answer in found.items():
        assert "absent" not in answer, f"{step}: {answer}"
    answers = {step: {backend: answer} for step, answer in found.items()}
    assert verdicts.both_give(answers["L0"]).kind == "holds"
    assert verdicts.at_once(answers["L1"]).kind == "holds"
    eager = next(iter(found["L2"]["modes"].values()))
    assert eager["phases"]["equal"]["python"] == 5
    judged = agreement.judged_gradients(answers["L4"], agreement.network_truth())
    assert agreement.derivatives_agree(judged).kind == "holds"
    shape = next(iter(found["L7"]["bugs"]["shape"]["modes"].values()))
    assert shape["outcome"] == "traceback"
    plain = next(iter(found["L8"]["modes"].values()))
    assert plain[0] == {"value": ["0.0"]}, "1 + 1e20 is 1e20 in float64"
    assert all(next(iter(one["modes"].values()))["right"] for one in found["L9"]["programs"].values())
    assert found["L9"]["ways"]
