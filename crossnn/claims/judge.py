"""From a claim to its verdict: VERIFIED, REFUTED, UNSAFE or UNDECIDED, with everything that a reader must know."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from crossnn.claims.descent import Run, lower_ends, runs
from crossnn.claims.digits import wrong_digits
from crossnn.claims.holds import where_it_holds
from crossnn.claims.rounded import only_rounded
from crossnn.claims.search import Found, search
from crossnn.claims.sheet import Claim
from crossnn.claims.statement import Statement
from crossnn.claims.truth import KINK, Outcome
from crossnn.claims.unsafe import Unsafe, unsafe
from crossnn.claims.updates import SameAs
from crossnn.errors import CrossnnError

ClaimVerdict = Literal["VERIFIED", "REFUTED", "UNSAFE", "UNDECIDED"]
VERDICTS: Mapping[ClaimVerdict, str] = {
    "VERIFIED": "both sides agree to 22 digits at every point that was tried (printed numbers: in all their digits)",
    "REFUTED": "there is a counterexample, or shapes do not fit",
    "UNSAFE": "right, but as printed it overflows, cancels or gives NaN in float64 or float32",
    "UNDECIDED": "it could not be judged, for the reason given",
}


class Counterexample(msgspec.Struct, frozen=True):
    """Inputs with simple numbers, what is claimed there and what is true; `label` is what of the claim fails, at the
    element `index`. `confirmed` says how the true value was found a second time."""

    inputs: dict[str, Any]
    claimed: str
    true: str
    label: str = ""
    index: tuple[int, ...] = ()
    confirmed: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a claim. `holds_when` are parts of the domain in which a refuted claim holds; `points`
    is at how many points both sides were compared; `unsafe` says from which input on floats fail."""

    id: str
    says: str
    claim: str
    kind: str
    verdict: ClaimVerdict
    reason: str = ""
    counterexample: Counterexample | None = None
    holds_when: tuple[str, ...] = ()
    unsafe: tuple[str, ...] = ()
    points: int = 0
    skipped: int = 0
    source: str = ""
    where: tuple[str, ...] = ()
    seconds: float = 0.0


def judge(claim: Claim) -> Finding:
    """The verdict on one claim. A claim that cannot be recorded at all is UNDECIDED, with the reason."""
    began = time.perf_counter()
    try:
        found = _JUDGES[claim.kind](claim)
    except CrossnnError as error:
        found = {"verdict": "UNDECIDED", "reason": str(error).removeprefix(f"{claim.id}: ")}
    except (ArithmeticError, MemoryError, RecursionError) as error:
        found = {"verdict": "UNDECIDED", "reason": f"its numbers are too large to be computed ({type(error).__name__})"}
    return Finding(
        id=claim.id, says=claim.says, claim=claim.text, kind=claim.kind, source=claim.source,
        where=claim.conditions, seconds=time.perf_counter() - began, **found,
    )  # fmt: skip


def _compared(claim: Claim) -> dict[str, Any]:
    """Claims that are two expressions beside each other."""
    statement = Statement(claim)
    return _searched(statement, search(statement))


def _searched(statement: Statement, found: Found) -> dict[str, Any]:
    if found.misfit:
        return {"verdict": "REFUTED", "reason": f"shapes do not fit: {found.misfit}; {found.fits}"}
    counts = found.counts
    tried = {"points": counts["holds"] + counts["fails"] + counts["undefined"],
             "skipped": counts["nothing"] + counts["undecided"]}  # fmt: skip
    if found.failure is None:
        if not counts["holds"]:
            return {"verdict": "UNDECIDED", "reason": _nothing_said(statement, found), **tried}
        return {**_in_floats(statement, found), "reason": _kinks(found), **tried}
    assert found.trial is not None
    if type(statement) is Statement and len(found.tried) == 1:
        rounded = only_rounded(statement, found.trial, found.failing)
        if rounded:
            return {"verdict": "VERIFIED", "reason": f"in the digits that are printed of {rounded}", **tried}
    return {
        "verdict": "REFUTED",
        "counterexample": _counterexample(found.failure, found.trial.sizes),
        "reason": "one side is undefined where the other is not" if found.failure.says == "undefined" else "",
        "holds_when": tuple(where_it_holds(statement, found.trial.reading)) if type(statement) is Statement else (),
        **tried,
    }


def _in_floats(statement: Statement, found: Found) -> dict[str, Any]:
    """A claim that holds: does it, in floating point?"""
    if statement.claim.kind not in ("equal", "derivative", "gradient"):
        return {"verdict": "VERIFIED"}
    failures: Sequence[Unsafe] = unsafe(statement, found.tried[0][0], found.outcomes)
    if not failures:
        return {"verdict": "VERIFIED"}
    return {"verdict": "UNSAFE", "unsafe": tuple(one.words for one in failures)}


def _kinks(found: Found) -> str:
    """Where a derivative was not judged because there is none."""
    at = {tuple(sorted((name, number(float(value))) for name, value in one.point.items() if np.shape(value) == ()))
          for one in found.outcomes if one.confirmed == KINK}  # fmt: skip
    names = sorted({name for point in at for name, _ in point})
    fixed = [f"{name} = {values.pop()}" for name in names if len(values := {dict(point)[name] for point in at}) == 1]
    if not at:
        return ""
    return f"at {fixed[0] if fixed else 'kinks'} there is no derivative: not judged there"


def _nothing_said(statement: Statement, found: Found) -> str:
    if not found.outcomes:
        return f"no point was found in the stated domain ({', '.join(statement.claim.conditions)})"
    if found.counts["undecided"]:
        return "the two sides could not be told apart or shown equal at any precision that was tried"
    return "neither side is defined at any point that was tried"


def _counterexample(one: Outcome, sizes: Mapping[str, int]) -> Counterexample:
    inputs = {**sizes, **{name: _plain(value) for name, value in one.point.items()}}
    return Counterexample(inputs, number(one.left), number(one.right), one.label, one.index, one.confirmed)


def _plain(value: Any) -> Any:
    whole = np.asarray(value, float)
    return float(whole) if whole.shape == () else whole.tolist()


def number(value: float) -> str:
    """A number as a reader wants it: short if it is short."""
    if np.isnan(value):
        return "undefined"
    text = f"{value:.12g}"
    return text if float(text) == value else f"{value:.10g}"


def _printed(claim: Claim) -> dict[str, Any]:
    wrong = wrong_digits(Statement(claim))
    if not wrong:
        return {"verdict": "VERIFIED", "points": 1}
    first = wrong[0]
    reason = f"{len(wrong)} printed numbers are wrong" if len(wrong) > 1 else ""
    if first.cut:
        reason = "the digits are cut off, not rounded"
    example = Counterexample({}, first.printed, f"{first.right} ({first.value})", claim.expression, first.index)
    return {"verdict": "REFUTED", "counterexample": example, "reason": reason, "points": 1}


def _same_as(claim: Claim) -> dict[str, Any]:
    statement = SameAs(claim)
    found = _searched(statement, search(statement))
    if found["verdict"] == "REFUTED" and not claim.knobs:
        others = _other_conventions(statement)
        if others:
            found["reason"] = f"it is {claim.same_as} with {others}"
    return found


def _other_conventions(statement: SameAs) -> str:
    """The conventions in which the rule would be the named one."""
    from crossnn.catalogue.build import default_knobs, knob_choices

    default = default_knobs(statement.row)
    for knobs in knob_choices(statement.row):
        changed = {name: value for name, value in knobs.items() if value != default[name]}
        if not 0 < len(changed) <= 2:
            continue
        try:
            other = SameAs(msgspec.structs.replace(statement.claim, knobs=changed))
            if search(other).failure is None:
                return " and ".join(f"{name} = {value}" for name, value in changed.items())
        except CrossnnError:
            continue
    return ""


def _converges(claim: Claim) -> dict[str, Any]:
    found, customary = runs(claim)
    if not found:
        return {"verdict": "UNDECIDED", "reason": "no hyper-parameters were found in the stated range"}
    chosen = ", ".join(f"{name} = {value:g}" for name, value in customary.items())
    reason = f"with {chosen}, for nothing is said of them" if chosen else ""
    if not chosen and any(low is None for low in lower_ends(claim)):
        reason = "a learning rate is positive"
    failed = [one for one in found if not one.converged]
    if not failed:
        return {"verdict": "VERIFIED", "points": len(found), "reason": reason}
    first = failed[0]
    inputs = {**first.hyper, "start": first.start}
    example = Counterexample(inputs, "the minimum", f"{number(first.end)} after {first.steps} steps", "where it ends")
    holds = _converging(found)
    return {
        "verdict": "REFUTED",
        "counterexample": example,
        "points": len(found),
        "reason": reason,
        "holds_when": holds,
    }


def _converging(found: Sequence[Run]) -> tuple[str, ...]:
    """The range of the one hyper-parameter in which every run ended at the minimum, as far as it was tried."""
    if len(found[0].hyper) != 1:
        return ()
    (name,) = found[0].hyper
    by_value: dict[float, bool] = {}
    for one in found:
        value = one.hyper[name]
        by_value[value] = by_value.get(value, True) and one.converged
    good = sorted(value for value, converged in by_value.items() if converged)
    bad = sorted(value for value, converged in by_value.items() if not converged)
    if not good or any(good[0] < value < good[-1] for value in bad):
        return ()
    return (f"{name} from {good[0]:.3g} to {good[-1]:.3g}, as far as it was tried",)


_JUDGES: Mapping[str, Callable[[Claim], dict[str, Any]]] = {
    "derivative": _compared,
    "gradient": _compared,
    "equal": _compared,
    "order": _compared,
    "printed": _printed,
    "same_as": _same_as,
    "converges": _converges,
}
