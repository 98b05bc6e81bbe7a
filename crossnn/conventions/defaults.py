"""What an activation, a loss or an optimizer of a framework computes if nothing else is said: identified, not read in a
manual."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from crossnn.adapter import Adapter, Opened
from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer, Row
from crossnn.conventions.found import Found
from crossnn.conventions.suffered import suffered
from crossnn.errors import BackendError, CrossnnError
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


def activation(adapter: Adapter, spec: str) -> list[Found]:
    return _identified(adapter, spec)


def loss(adapter: Adapter, spec: str) -> list[Found]:
    return _identified(adapter, spec)


def optimizer(adapter: Adapter, spec: str) -> list[Found]:
    return _identified(adapter, spec)


def _identified(adapter: Adapter, spec: str) -> list[Found]:
    """One answer for each function or class of the framework that computes the row in some setting, unless by default
    it computes another row; answers that are equal are one, by the call that comes first."""
    row = load_catalogue().find(spec)
    if not any(settings(row, {})) and row.kind != "loss":
        return []  # nothing can differ
    found: dict[str, Found] = {}
    for number, call in enumerate(_defaults(calls(adapter, row))):
        try:
            text, opened = _opened(adapter, call, row)
            one = identify(adapter, opened)
        except CrossnnError:
            continue  # a call that is made of others, or takes what nobody says by default
        same = one.spec == spec or any(other.spec == spec and other.everywhere for other in one.others)
        if same and one.matched:
            answer = _found(row, text, one)
        elif number == 0 and not one.matched:
            answer = Found("other than in any setting of the row", f"nearest is {one.spec}", call=text)
        else:
            continue
        found.setdefault(answer.answer, answer)
    return [*found.values()]


def _opened(adapter: Adapter, call: str, row: Row) -> tuple[str, Opened]:
    """The call opened; with a learning rate where it has no default, as in optax."""
    try:
        return call, adapter.opened(call)
    except BackendError:
        if not isinstance(row, Optimizer):
            raise
    name, _, rest = call.partition("(")
    said = f"{name}({RATE}{row.params['lr']:g}{', ' + rest if rest else ')'}"
    return said, adapter.opened(said)


def _defaults(every: Iterable[str]) -> Iterator[str]:
    """The first call of each function or class, with nothing said but what makes it the call that it is."""
    seen: set[str] = set()
    for call in every:
        name = call.partition("(")[0]
        said = re.sub(r"(\w+)=(?=[,)])", lambda one: f"{one[1]}={SAID.get(one[1], '?')}", call)
        if name not in seen and "?" not in said:
            seen.add(name)
            yield said


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
