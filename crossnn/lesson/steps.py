"""The steps of the lesson, as data: what is asked of the backends, and how the answers are judged and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossnn.errors import CrossnnError, choices
from crossnn.lesson import shown_basic, shown_behaviour, shown_cost, shown_symbolic, shown_training
from crossnn.lesson.measure import ALONE
from crossnn.lesson.page import Html, box, details, heading, page, prose, table
from crossnn.lesson.texts import Texts
from crossnn.lesson.verdicts import Verdict

ByDtype = Mapping[str, Mapping[str, Any]]
"""dtype -> backend -> what a step measured."""
Shown = tuple[Verdict, list[Html]]


@dataclass(frozen=True)
class Step:
    """`dtypes`: in which it is measured. `backends`: those that are asked; all of the catalogue's, where none is named.
    `show` judges the answers and shows them."""

    name: str
    show: Callable[[Texts, ByDtype], Shown]
    dtypes: tuple[str, ...] = ("float64",)
    backends: tuple[str, ...] = ()

    def asks(self, backend: str) -> bool:
        return backend in self.backends if self.backends else backend not in ALONE


STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        Step("L0", shown_basic.both_give),
        Step("L1", shown_basic.operations),
        Step("L2", shown_basic.executions),
        Step("L3", shown_basic.graphs),
        Step("L4", shown_basic.derivatives),
        Step("L5", shown_cost.speed, ("float32",)),
        Step("L6", shown_cost.memory, ("float32",)),
        Step("L7", shown_behaviour.error_location),
        Step("L8", shown_behaviour.rewritten),
        Step("L9", shown_behaviour.branching),
        Step("L10", shown_training.training, ("float64", "float32")),
        Step("L11", shown_training.mistakes, ("float64", "float32"), ("numpy",)),
        Step("L12", shown_symbolic.symbolic, backends=tuple(ALONE)),
    )
}


def chosen(names: Sequence[str]) -> list[Step]:
    """The steps of these names, in the lesson's order; all of them, where none is named."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise CrossnnError(f"--steps {choices(unknown)}: no such step; the steps are {', '.join(STEPS)}")
    return [step for name, step in STEPS.items() if not names or name in names]


@dataclass(frozen=True)
class Lesson:
    """Everything measured: step -> dtype -> backend -> answer; and the machine record."""

    measured: Mapping[str, ByDtype]
    machine: Mapping[str, Any]


def render(lesson: Lesson, language: str) -> tuple[Html, dict[str, Verdict]]:
    """The page, and the verdict on each step."""
    say = Texts(language)
    body = [prose(say("ui.introduction")), table([say("ui.what"), say("ui.found")], _machine(say, lesson.machine))]
    if left_out := _left_out(lesson):
        body.append(prose(say("ui.left_out", who=", ".join(f"`{one}`" for one in left_out))))
    verdicts: dict[str, Verdict] = {}
    rows: list[list[str]] = []
    sections: list[Html] = []
    contents: list[tuple[str, str]] = []
    for step in (STEPS[name] for name in lesson.measured):
        title = f"{step.name} · {say(f'{step.name}.title')}"
        verdict, inner = _section(say, step, lesson.measured[step.name])
        verdicts[step.name] = verdict
        contents.append((step.name, title))
        rows.append([title, say(f"ui.{verdict.kind}"), sentence(say, step.name, verdict)])
        sections += [heading(2, title, step.name), *inner]
    body += [heading(2, say("ui.summary")), table([say("ui.step"), say("ui.verdict"), say("ui.why")], rows)]
    return page(say("ui.title"), language, [*body, *sections], contents), verdicts


def _section(say: Texts, step: Step, answers: ByDtype) -> tuple[Verdict, list[Html]]:
    name = step.name
    verdict, shown = step.show(say, answers)
    return verdict, [
        f'<div class="claim">{prose(say(f"{name}.claim"))}</div>',
        prose(say(f"{name}.how")),
        *shown,
        *_absent(say, answers),
        box(verdict.kind, say(f"ui.{verdict.kind}"), sentence(say, name, verdict)),
        f'<div class="question">{prose(say("ui.question") + " " + say(f"{name}.question"))}'
        f"{details(say('ui.answer'), prose(say(f'{name}.answer')))}</div>",
    ]


def sentence(say: Texts, name: str, verdict: Verdict) -> str:
    """Why the verdict is what it is; long lists of cases are shortened."""
    if verdict.kind == "none":
        return say("ui.nothing")
    values = verdict.values
    for key, cases in (("good", verdict.good), ("bad", verdict.bad)):
        if len(cases) > MOST_NAMED:
            named = ", ".join(f"`{one}`" for one in cases[:MOST_NAMED])
            values[key] = say("ui.more", named=named, number=len(cases) - MOST_NAMED)
        else:
            values[key] = ", ".join(f"`{one}`" for one in cases)
    return say(f"{name}.{verdict.kind}", **values)


MOST_NAMED = 6


def _absent(say: Texts, answers: ByDtype) -> list[Html]:
    """What could not be measured, and why; equal reasons in all dtypes once."""
    found: dict[tuple[str, str], None] = {}
    for by_backend in answers.values():
        for backend, one in by_backend.items():
            if "absent" in one:
                found[backend, one["absent"]] = None
            else:
                for mode, inner in one.get("modes", {}).items():
                    if isinstance(inner, Mapping) and "absent" in inner:
                        found[f"{backend} {mode}", inner["absent"]] = None
    return [prose(say("ui.absent", who=f"`{who}`", why=why)) for who, why in found]


def _left_out(lesson: Lesson) -> list[str]:
    """The modes that were not run because they compile for long."""
    found: dict[str, None] = {}
    for answers in lesson.measured.values():
        for by_backend in answers.values():
            for backend, one in by_backend.items():
                found.update(dict.fromkeys(f"{backend} {mode}" for mode in one.get("left_out", ())))
    return list(found)


def _machine(say: Texts, machine: Mapping[str, Any]) -> list[list[str]]:
    packages = ", ".join(f"{name} {version}" for name, version in machine.get("packages", {}).items())
    cores = machine.get("cores") or {}
    return [
        [say("ui.processor"), f"{machine.get('processor', '')}; {say('ui.cores', number=cores.get('usable', '?'))}"],
        [say("ui.system"), f"{machine.get('system', '')}, {machine.get('python', '')}"],
        [say("ui.packages"), packages],
        [say("ui.date"), str(machine.get("date", ""))],
    ]
