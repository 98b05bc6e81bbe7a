"""The same call with numbers at which each makes a difference: what follows from which setting is read off there.

At its defaults an optimizer may hide what it does: an epsilon of 1e-16, an average that starts after a million steps.
What is off stays off, or another formula would be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossnn.adapter import Adapter, Opened
from crossnn.errors import CrossnnError
from crossnn.identify import around
from crossnn.identify.calls import Call, parse_call
from crossnn.identify.names import KNOWN
from crossnn.identify.own import is_own

SIZE = "min_dim_size_to_factor"
_SMALL = ("weight_decay", "wd", "weight_decay_rate", "lambd", "l1", "l2", "l1_regularization_strength",
          "l2_regularization_strength")  # fmt: skip


def made_visible(adapter: Adapter, opened: Opened) -> Opened | None:
    """The call opened again with visible numbers; None where it has none, or refuses them."""
    if is_own(opened.native.call):
        return None
    try:
        call = parse_call(opened.native.call)
    except CrossnnError:  # an expression of calls, which an adapter binds
        return None
    if any("[" in name for name in list(opened.settings)[: len(call.arguments)]):  # optax.chain and its like
        changed: Any = _nested(call)
    else:
        moved = {name: _visible(name, value, opened.settings) for name, value in opened.settings.items()}
        moved = {name: value for name, value in moved.items() if value != opened.settings[name]}
        changed = _with(opened, moved) if moved else call
    if changed == call:
        return None
    try:
        return around.opened(adapter, str(changed), opened.kind)
    except CrossnnError:
        return None


def small_enough(adapter: Adapter, opened: Opened) -> tuple[Opened, str]:
    """The call opened for the small matrices of this search, where it treats small ones in another way; and a note
    that says so."""
    least = opened.settings.get(SIZE)
    if is_own(opened.native.call) or not isinstance(least, int) or least <= 2:
        return opened, ""
    other = adapter.opened(str(_with(opened, {SIZE: 1})))
    return other, f"matrices of at least {least} by {least}, seen on small ones with {SIZE}=1; smaller ones: unfactored"


def _with(opened: Opened, moved: Mapping[str, Any]) -> Call:
    """The call with other settings, all by name."""
    call = parse_call(opened.native.call)
    names = list(opened.settings)[: len(call.arguments)]
    return Call(call.name, (), {**dict(zip(names, call.arguments, strict=True)), **call.keywords, **moved})


def _nested(call: Call) -> Call:
    """The numbers that nested calls set by name."""
    keywords = {name: _visible(name, value, call.keywords) for name, value in call.keywords.items()}
    return Call(
        call.name,
        tuple(_nested(one) if isinstance(one, Call) and one.called else one for one in call.arguments),
        keywords,
        call.called,
    )


def _visible(name: str, value: Any, settings: Mapping[str, Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_visible(f"{name}[{place}]", one, settings) for place, one in enumerate(value))
    if isinstance(value, Call):
        return _nested(value)
    if value is None and name in ("eps[0]", "eps[1]"):
        return 1e-3 * (1 + len(_epsilons(settings)))
    off = isinstance(value, bool) or not isinstance(value, int | float) or value == 0
    if off or name not in KNOWN:
        return value
    if name.startswith(("eps", "e")) and "eps" in name:
        return 1e-3 * (1 + sorted(_epsilons(settings)).index(abs(value)))
    if name == "t0":
        return 2.0
    if name in ("step_sizes[0]", "min_step_size", "step_sizes[1]", "max_step_size"):
        rate = settings.get("lr", settings.get("learning_rate")) or 0.01
        return (0.8 if name in ("step_sizes[0]", "min_step_size") else 1.25) * 1.7 * rate
    if name in _SMALL:
        return 0.13 + value
    if name == "threshold":
        return 1.2 * value
    return 1 - 1.7 * (1 - value) if 0.5 < value < 1 else 1.7 * value


def _epsilons(settings: Mapping[str, Any]) -> set[float]:
    found: set[float] = set()
    for name, value in settings.items():
        each = value if isinstance(value, tuple) else (value,)
        if name.startswith("eps"):
            found |= {abs(one) for one in each if isinstance(one, int | float) and one}
    return found
