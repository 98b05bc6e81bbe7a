"""A run folder as a report: all of it comes from `results.jsonl` and `machine.json`; nothing is typed by hand.

Measurements that are made by another command (times, questions, accuracy) may lie in folders of their own; a report can
join them, with their machine and command.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from crossnn.errors import CrossnnError
from crossnn.report.differences import failure_blocks, kink_blocks, known_blocks, not_run_blocks
from crossnn.report.document import Block, Code, Fallback, Figure, Heading, Table, Text, to_markdown
from crossnn.report.evidence import evidence
from crossnn.report.front import first_screen
from crossnn.report.html import render
from crossnn.report.questions import LEGEND as QUESTIONS
from crossnn.report.questions import answers_sentence, question_blocks
from crossnn.report.speed import speed_blocks
from crossnn.report.summary import columns, counts, matrices, nothing_ran, sentence
from crossnn.report.timing import LEGEND as TIMING
from crossnn.report.timing import timing_blocks
from crossnn.report.training import training_blocks
from crossnn.runs import journal, machine
from crossnn.runs.cell import ORACLE, Answer, Record, Training
from crossnn.runs.findings import Accuracy, Convention, Finding, Mutants
from crossnn.runs.timed import Ceiling, Prepared, Visit
from crossnn.runs.whole import write_whole
from crossnn.timing.results import WIDTH, Contest, contests, measured
from crossnn.training.verdict import judge_curves

T = TypeVar("T")
TITLE = "crossnn: one formula, many interpreters"


@dataclass(frozen=True)
class Run:
    """What a run folder holds."""

    records: Sequence[Record]
    trainings: Sequence[Training]
    machine: Mapping[str, Any]
    note: str = ""
    contests: Sequence[Contest] = ()
    timings: Sequence[Prepared | Visit] = ()
    ceilings: Sequence[Ceiling] = ()
    answers: Sequence[Answer] = ()
    findings: Sequence[Finding] = ()
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The machine records of the folders that were joined, by name."""


def read_run(folder: Path, beside: Sequence[Path] = ()) -> Run:
    """The run in a folder, with the measurements of those beside it: times, questions, accuracy, conventions. Verdicts
    and trainings are those of the first alone. What several measured is that of the last of them."""
    run = _read(folder)
    for other in beside:
        more = _read(other)
        run = replace(
            run,
            contests=[*run.contests, *more.contests],
            timings=[*run.timings, *more.timings],
            ceilings=[*run.ceilings, *more.ceilings],
            answers=_last(run.answers, more.answers, lambda one: (one.spec, one.backend)),
            findings=_last(run.findings, more.findings, _measured_of),
            beside={**run.beside, other.name: more.machine},
            note=" ".join(part for part in (run.note, more.note) if part),
        )
    return run


def _last(earlier: Sequence[T], later: Sequence[T], key: Callable[[T], Hashable]) -> list[T]:
    """All of both; of what both measured, the later."""
    again = {key(one) for one in later}
    return [*(one for one in earlier if key(one) not in again), *later]


def _measured_of(one: Finding) -> Hashable:
    match one:
        case Mutants():
            return Mutants, one.spec
        case Convention():
            return Convention, one.spec, one.concept, one.backend
        case Accuracy():
            what = (one.spec, one.implementation, one.call, one.quantity, one.case, one.target)
            return Accuracy, what, one.backend, one.mode, one.dtype, one.device


def _read(folder: Path) -> Run:
    contents = journal.read(folder)
    trainings, curves = judge_curves(contents.trainings)
    every = [record for entry in contents.entries for record in entry.records]
    ceilings = [record for record in every if isinstance(record, Ceiling)]
    return Run(
        [*contents.records, *curves], trainings, machine.read(folder), contents.dropped,
        contests(*measured(contents.entries), ceilings), [one for one in every if isinstance(one, Prepared | Visit)],
        ceilings, [one for one in every if isinstance(one, Answer)],
        [one for one in every if isinstance(one, Accuracy | Mutants | Convention)],
    )  # fmt: skip


def render_markdown(folder: Path, beside: Sequence[Path] = ()) -> str:
    return to_markdown(blocks(read_run(folder, beside)))


def render_html(folder: Path, beside: Sequence[Path] = ()) -> str:
    return page(read_run(folder, beside))


def page(run: Run) -> str:
    return _page(run, blocks(run))


def _page(run: Run, content: Sequence[Block]) -> str:
    judged = [record for record in run.records if record.kind != "question"]
    return render(content, TITLE, evidence(judged, run.findings, run.trainings) if judged else None)


def write_report(folder: Path, beside: Sequence[Path] = ()) -> list[Path]:
    """`report.md` with its figures, and `report.html`, which needs no other file; the paths of these two."""
    run = read_run(folder, beside)
    content = blocks(run)
    files = {block.file: block.svg + "\n" for block in content if isinstance(block, Figure)}
    files |= {"report.md": to_markdown(content), "report.html": _page(run, content)}
    try:
        for name, text in files.items():
            write_whole(folder / name, text)
    except OSError as error:
        raise CrossnnError(
            f"cannot write the report to {folder}: {error.strerror}; the results are in {folder / journal.NAME}: "
            f"make room or rights, then 'crossnn report {folder}'"
        ) from error
    return [folder / "report.md", folder / "report.html"]


MEASURED: tuple[tuple[type[Finding], str, str], ...] = (
    (Convention, "crossnn.report.conventions", "convention_blocks"),
    (Accuracy, "crossnn.report.atlas", "atlas_blocks"),
    (Mutants, "crossnn.report.power", "power_blocks"),
)
"""Findings that have a section of their own, and the function that writes it; imported only where there are any."""


def blocks(run: Run) -> list[Block]:
    """The report, in reading order: the first screen, verdicts, differences, what was found about functions and
    frameworks, trainings, questions, times, what is missing, how to repeat it."""
    judged = [record for record in run.records if record.kind != "question"]
    content: list[Block] = [Heading(1, TITLE)]
    content.append(first_screen(run.records, run.trainings, run.contests, run.findings))
    content += [*(Text(line) for line in _outcome(run)), Text(_header(run.machine))]
    if run.note:
        content.append(Text(run.note))
    if judged:
        content += [Heading(2, "Verdicts"), Text(LEGEND)]
        tables: list[Heading | Text | Table] = []
        for (kind, dtype), table in matrices(judged).items():
            tables += [Heading(3, f"{kind or 'other'}, {dtype}"), table]
        content.append(Fallback(tables))
    differences = [*failure_blocks(run.records), *known_blocks(run.records), *kink_blocks(run.records)]
    content += [Heading(2, "Differences"), *differences] if differences else []
    content += _found(run.findings)
    content += (
        [Heading(2, "Training"), Text(TRAINING), *training_blocks(run.trainings, run.records)] if run.trainings else []
    )
    if run.answers:
        content += [Heading(2, "Questions"), Text(QUESTIONS), *question_blocks(run.answers)]
    if run.contests:
        content += [Heading(2, "Timing"), *speed_blocks(run.contests), Text(TIMING)]
        content += timing_blocks(run.contests, WIDTH)
    content += not_run_blocks(run.records)
    return [*content, *_machine_blocks(run)]


def _found(findings: Sequence[Finding]) -> list[Block]:
    """The sections on conventions, accuracy and the power of the checks, where these were measured. A function gives
    its blocks with or without the heading of its section."""
    content: list[Block] = []
    for kind, module, name in MEASURED:
        mine = [one for one in findings if isinstance(one, kind)]
        if mine:
            try:
                written: list[Block] = getattr(importlib.import_module(module), name)(mine)
            except ModuleNotFoundError:
                written = [Text(f"{len(mine)} records in results.jsonl, which this version of crossnn cannot show.")]
            headed = written and isinstance(written[0], Heading) and written[0].level == 2
            content += written if headed else [Heading(2, SECTIONS[kind.__name__]), *written]
    return content


SECTIONS = {"Convention": "Conventions", "Accuracy": "Accuracy", "Mutants": "Planted mistakes"}


def _outcome(run: Run) -> list[str]:
    """What a reader wants to know first."""
    questions = [answers_sentence(run.answers)] if run.answers else []
    if questions and nothing_ran(run.records) and not run.trainings:
        asked = ", ".join(dict.fromkeys(one.backend for one in run.answers))
        return (
            [*questions, sentence(run.records), f"Asked of {asked}."]
            if run.records
            else [*questions, f"Asked of {asked}."]
        )
    failed = counts(record for record in run.records if record.failed)
    listed = ", ".join(f"{number} {verdict}" for verdict, number in failed.items())
    if nothing_ran(run.records):
        first = "Nothing ran: no backend produced a result."
    elif failed:
        first = f"Not as expected: {listed}; see Differences."
    else:
        first = "As expected: every difference is rounding, a registered one, or a convention."
    ran = columns(record for record in run.records if record.verdict != "NOT-RUN" and record.backend != ORACLE)
    modes: dict[str, list[str]] = {}
    for backend, mode in ran:
        modes.setdefault(backend, []).append(mode)
    where = "; ".join(
        f"{backend}: {', '.join(filter(None, found)) or 'first mode'}" for backend, found in modes.items()
    )
    ran_on = f"Ran on {where}." if where else "Ran on no backend."
    return [f"{first} {sentence(run.records)}", *questions, ran_on]


LEGEND = (
    "Every cell shows the worst verdict of all quantities judged there, and r: the largest error in units of the "
    "rounding that this computation cannot avoid. EQUAL means r <= 64 everywhere. Rows marked (native) are the "
    "framework's own implementation, the others are our formula run by the framework; oracle is the formula against "
    "its definition in arbitrary precision. An empty cell was not run: not asked for, no implementation there, or a "
    "mode that compiles for seconds per formula, which is judged on trainings only ('crossnn check --mode all' judges "
    "it on everything)."
)
TRAINING = (
    "All backends start from the same parameters and see the same batches. Losses and metrics are those after the last "
    "epoch; the first step includes compilation; curve r is the largest difference between this loss curve and the "
    "reference's, in units of the noise scale. One run, not a benchmark: the seconds show orders of magnitude."
)


def _header(record: Mapping[str, Any]) -> str:
    date, version = record.get("date", "unknown date"), record.get("crossnn", "unknown version")
    cores = record.get("cores") or {}
    place = f"{record.get('processor', 'unknown processor')}, {cores.get('usable', '?')} cores"
    packages = record.get("packages") or {}
    listed = ", ".join(f"{name} {number}" for name, number in packages.items())
    return (
        f"Generated by crossnn {version} from a run of {date} on {place}; {record.get('python', 'Python')}; {listed}."
    )


def _machine_blocks(run: Run) -> list[Block]:
    if not run.machine:
        return [Heading(2, "Machine"), Text("This run folder has no machine.json.")]
    rows = [[name, _flat(value)] for name, value in run.machine.items() if name != "command"]
    facts = {f"{t.backend} {t.mode} {t.dtype}": _flat(t.facts) for t in run.trainings if t.facts}
    rows += [[f"started: {name}", text] for name, text in facts.items()]
    for folder, record in run.beside.items():
        rows += [[f"{folder}: {name}", _flat(value)] for name, value in record.items()
                 if name != "command" and value != run.machine.get(name)]  # fmt: skip
    commands = [str(one.get("command", "crossnn run")) for one in (run.machine, *run.beside.values())]
    joined = "".join(f" --with RUN/{folder}" for folder in run.beside)
    return [
        Heading(2, "Machine"),
        Table(["", ""], rows),
        Heading(2, "Again"),
        Text("These commands made the results, and the last one this report of them:"),
        Code("\n".join([*dict.fromkeys(commands), f"crossnn report RUN{joined}"])),
    ]


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_flat(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_flat(item) for item in value) or "none"
    return "none" if value is None else str(value)
