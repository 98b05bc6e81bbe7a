"""The table of benchmark_layers.py as a report, with the causes of what costs more than the goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from crossnn.runs.machine import describe

Row = Mapping[str, Any]
GOAL = 1.15
VERSIONS = ("torch", "tensorflow", "keras", "jax")
CAUSES: Mapping[tuple[str, str, str], str] = {
    ("torch", "lstm", "torch.nn.LSTM"): (
        "torch.nn.LSTM is one oneDNN kernel forwards and one backwards (`aten::mkldnn_rnn_layer` in torch's "
        "profiler): it packs the weights once, and its gradient of the recurrent kernel is one product over all "
        "steps. The formula compiles to 98 small products a training step (64 `addmm`, 34 `mm`): one a step forwards, "
        "two backwards. torch.compile takes no recurrent module (pytorch#158007): torch.nn.LSTM runs eagerly."
    ),
    ("torch", "batch_norm", "torch.nn.functional.batch_norm"): (
        "Channels come last here: torch's own function on this layout is the row `channels_last`."
    ),
}
"""Why a ratio may be above the goal: (framework, layer, what it is compared with)."""


def table(rows: Sequence[Row]) -> str:
    shown = []
    for row in rows:
        ratio = f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        shown.append(
            [
                row["framework"], row["layer"], row["call"], row["mode"], f"{row['first_s']:.2f}",
                f"{row['ms']:.3f}", "" if row["call"] == "formula" else f"{row['against']}: {ratio}",
            ]
        )  # fmt: skip
    headers = ["framework", "layer", "what runs", "mode", "first call s", "ms", "formula / this"]
    return str(tabulate(shown, headers, tablefmt="github", disable_numparse=True))


def judged_by(rows: Sequence[Row], compiled: Mapping[str, Sequence[str]]) -> list[Row]:
    """For each framework, layer and compiled mode of the formula, the framework's own way that it is judged by: the
    fastest of that mode, else of the only one that there is."""
    found = []
    for framework, modes in compiled.items():
        for layer in dict.fromkeys(row["layer"] for row in rows):
            own = [row for row in rows if (row["framework"], row["layer"]) == (framework, layer)]
            own = [row for row in own if not row["call"].startswith("formula")]
            for mode in modes:
                same = [row for row in own if row["mode"] == mode] or [row for row in own if row["against"] == mode]
                found += [max(same, key=lambda row: float(row["ratio"]))] if same else []
    return found


def report(rows: Sequence[Row], compiled: Mapping[str, Sequence[str]], load: tuple[str, str]) -> str:
    """All measured ways, and why a ratio is above the goal. `load` is that before and after."""
    judged, about = judged_by(rows, compiled), describe()
    versions = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if name in VERSIONS)
    first, busy = rows[0], max(float(row["others"]) for row in rows)
    lines = [
        "# Layers as formulas, and the frameworks' own",
        "",
        f"Forward and backward (input and every parameter) in float32, {first['threads']} thread(s), {first['clock']} "
        f"time, median of {first['rounds']} rounds. A ratio is taken within each round; in brackets its 95 % "
        "interval. `formula again` is the formula timed twice: what that ratio is off from 1 is what this run cannot "
        "tell apart. The first call traces and compiles.",
        "",
        f"{about['processor']}; {versions}. Load {load[0]} before and {load[1]} after; other processes used up to "
        f"{busy:.1f} cores while a layer was measured.",
        "",
        f"**{sum(row['ratio'] <= GOAL for row in judged)} of {len(judged)} ratios to the fastest own way in the same "
        f"mode are at most {GOAL}.**",
        "",
        table(rows),
        "",
    ]
    for row in judged:
        if row["ratio"] > GOAL:
            cause = CAUSES.get((row["framework"], row["layer"].split()[0], row["call"]), "Not explained.")
            lines += [f"**{row['framework']}, {row['layer']}: {row['ratio']:.2f} times {row['call']}.** {cause}", ""]
    return "\n".join(lines)
