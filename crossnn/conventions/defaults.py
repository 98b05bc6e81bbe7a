"""What an activation, a loss or an optimizer of a framework computes if nothing else is said: identified, not read in a
manual."""

from __future__ import annotations

import re
from collections.abc import Mapping

from crossnn.adapter import Adapter
from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.conventions.found import Found
from crossnn.conventions.suffered import suffered
from crossnn.errors import CrossnnError
from crossnn.identify.result import Identified
from crossnn.identify.search import identify
from crossnn.parity.overlay import calls

SAID: Mapping[str, str] = {"momentum": "0.9", "weight_decay": "0.01", "eps_root": "1e-8", "decay_rate": "0.9"}
"""Arguments without which a call is another row's, such as `torch.optim.SGD(momentum=)`, and what is said for them."""


def activation(adapter: Adapter, spec: str) -> list[Found]:
    return _identified(adapter, spec)


def loss(adapter: Adapter, spec: str) -> list[Found]:
    return _identified(adapter, spec)


def optimizer(adapter: Adapter, spec: str) -> list[Found]:
    return _identified(adapter, spec)


def _identified(adapter: Adapter, spec: str) -> list[Found]:
    """One answer for each call of the framework that computes the row, where it is this row that it computes by
    default; answers that are equal are one, by the call that comes first."""
    row = load_catalogue().find(spec)
    if not any(settings(row, {})) and row.kind != "loss":
        return []  # nothing can differ
    found: dict[str, Found] = {}
    for text in dict.fromkeys(_default(call) for call in calls(adapter, row)):
        try:
            one = identify(adapter, adapter.opened(text))
        except CrossnnError:
            continue  # a call that is made of others, or takes what nobody says by default
        same = one.spec == spec or any(other.spec == spec and other.everywhere for other in one.others)
        if one.matched and same:
            answer = _found(row, text, one)
            found.setdefault(answer.answer, answer)
    return [*found.values()]


def _default(call: str) -> str:
    """The call with nothing said but what makes it the call that it is."""
    return re.sub(r"(\w+)=(?=[,)])", lambda one: f"{one[1]}={SAID.get(one[1], '0.5')}", call)


def _found(row: Row, text: str, one: Identified) -> Found:
    said = {name: value for name, value in one.settings.items() if one.spec == row.name}
    answer = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in said.items()
    )
    known = f"; apart from {', '.join(one.known)}" if one.known else ""
    evidence = f"identified as {one.spec}"
    return Found((answer or "as the specification") + known, evidence, dict(said), 0.0, suffered(row, said), text)
