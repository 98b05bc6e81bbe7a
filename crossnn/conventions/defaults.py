"""What an activation, a loss or an optimizer of a framework computes if nothing else is said: identified, not read in a
manual."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from crossnn.adapter import Adapter
from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer, Row
from crossnn.conventions.found import Found
from crossnn.conventions.suffered import suffered
from crossnn.errors import CrossnnError
from crossnn.identify.result import Identified
from crossnn.identify.search import identify
from crossnn.parity.overlay import calls

SAID: Mapping[str, str] = {"momentum": "0.9", "weight_decay": "0.01", "eps_root": "1e-8"}
"""Arguments without which a call is another row's, such as `torch.optim.SGD(momentum=)`, and what is said for them.
Calls with further arguments to be said have no default."""
REDUCES = ("mean", "sum", "batch_mean", "sum_of_means")
"""Reductions that make one number of a batch."""
RATE = "learning_rate="
SAYS = "reduction: "
"""How a note of what was identified begins that names the reduction."""


def identified(adapter: Adapter, spec: str) -> list[Found]:
    """One answer for each function or class of the framework that computes the row in some setting, unless by default
    it computes another row; answers that are equal are one, by the call that comes first."""
    row = load_catalogue().find(spec)
    if not any(settings(row, {})) and row.kind != "loss":
        return []  # nothing can differ
    found: dict[str, Found] = {}
    for number, (name, said) in enumerate(_defaults(calls(adapter, row))):
        ways = [*([(name, False)] if name != said else []), (said, True)]
        if isinstance(row, Optimizer):  # optax has no learning rate by default
            ways.append((_with_rate(said, row.params["lr"]), True))
        answers: list[Found] = []
        for call, equals in ways:
            answer = _answer(adapter, call, row, equals)
            answers += [answer] if answer is not None else []
            if answer is not None and answer.settled:
                break
        if answers and (answers[-1].settled or number == 0):
            found.setdefault(answers[-1].answer, answers[-1])
    return [*found.values()]


def _answer(adapter: Adapter, call: str, row: Row, equals: bool) -> Found | None:
    """What the call computes; None where it is another row (with `equals`, one that is not the same formula), or made
    of other calls, or takes what nobody says by default."""
    try:
        one = identify(adapter, adapter.opened(call))
    except CrossnnError:
        return None
    if not one.matched:
        return Found("other than in any setting of the row", f"nearest is {one.spec}", call=call)
    others = [other.spec for other in one.others if other.everywhere and equals]
    return _found(row, call, one) if row.name in (one.spec, *others) else None


def _with_rate(call: str, rate: float) -> str:
    name, _, rest = call.partition("(")
    return f"{name}({RATE}{rate:g}{', ' + rest if rest else ')'}"


def _defaults(every: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The first call of each function or class: by its name alone, and with what makes it the call that it is."""
    seen: set[str] = set()
    for call in every:
        name = call.partition("(")[0]
        said = re.sub(r"(\w+)=(?=[,)])", lambda one: f"{one[1]}={SAID.get(one[1], '?')}", call)
        if name not in seen and "?" not in said:
            seen.add(name)
            yield name, said


def _found(row: Row, text: str, one: Identified) -> Found:
    said: dict[str, float | bool | str] = dict(one.settings) if one.spec == row.name else {}
    if RATE in text:
        said.pop("lr", None)  # which was ours
    if row.kind == "loss":
        said["reduction"] = _reduction(one)
    shown = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in said.items()]
    known = f"; apart from {', '.join(one.known)}" if one.known else ""
    answer = (", ".join(shown) or "as the specification") + known
    left = said if said.get("reduction") in REDUCES else {**said, "reduction": "mean"}  # as its user would
    return Found(answer, f"identified as {one.spec}", said, 0.0, suffered(row, left), text)


def _reduction(one: Identified) -> str:
    """How a loss makes one number of a batch, by our name; none where it does not."""
    return next((note.removeprefix(SAYS) for note in one.notes if note.startswith(SAYS)), "none")
