"""The answer for a schedule: the nearest candidates before the oracle."""

from __future__ import annotations

from crossnn.adapter import Adapter, Opened
from crossnn.identify.answer import agrees, answer_of, free_knobs
from crossnn.identify.result import Identified
from crossnn.identify.schedule_curve import observe
from crossnn.identify.schedule_judged import Judged
from crossnn.identify.schedules import Fit, fits

TRIED, NEAR, MOSTLY = 6, 4.0, 0.9
"""So many are judged where nothing matches to all digits, but nearly and up to the end: a registered
difference may be all."""


def identify_schedule(adapter: Adapter, opened: Opened) -> Identified:
    curve = observe(opened)
    found = fits(curve)
    same = [fit for fit in found if fit.same]
    near = [fit for fit in found if not fit.same and fit.digits >= NEAR and fit.until > MOSTLY]
    tried = [Judged(adapter, opened, fit, curve) for fit in [*same[:TRIED], *near[:TRIED]]]
    matched = next(filter(agrees, tried), None)
    judged = matched or next((one for one in tried if one.fit is found[0]), Judged(adapter, opened, found[0], curve))
    equal: list[Fit] = same if matched is not None else []
    if matched is not None and not judged.fit.same:
        equal = [fit for fit in near if abs(fit.digits - judged.fit.digits) < 1e-9]
    notes = [f"seen at {len(curve.t)} counts of steps already taken, from 0 to {int(curve.t[-1])}"]
    if curve.ended:
        notes.append(f"it gives no rate after {int(curve.t[-1])} steps: what comes then is not compared")
    return answer_of(
        judged, matched is not None, curve.settings, judged.fit.sources, equal, [judged.fit],
        undetermined=tuple(free_knobs(judged.fit, [one for one in equal if one.values == judged.fit.values])),
        notes=tuple(notes),
    )  # fmt: skip
