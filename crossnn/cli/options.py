"""The options that `check` and `run` share, and what they select."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from crossnn import registry
from crossnn.errors import BackendError, CrossnnError, SpecError, choices, unknown
from crossnn.runs.cell import Implementation

DTYPES = ("float64", "float32")
MEASURED_DTYPES = ("float64", "float32", "bfloat16", "tf32")
LONGEST_SIDE = 1_000_000_000
LONGEST = 7 * 24 * 3600.0
"""The largest --timeout: a week."""
ALL_MODES = "all"
IMPLEMENTATIONS: tuple[Implementation, ...] = ("formula", "native")

F = TypeVar("F", bound=Callable[..., Any])


def comma_list(
    allowed: Sequence[str] = (),
) -> Callable[[click.Context, click.Parameter, Sequence[str]], tuple[str, ...]]:
    """`--backend numpy,torch` and `--backend numpy --backend torch`: one flat list without repetition."""

    def flat(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
        items = [item.strip() for value in values for item in value.split(",")]
        for item in items:
            if not item:
                raise click.BadParameter(f"an empty name in {', '.join(values)!r}", ctx, param)
            if allowed and item not in allowed:
                raise click.BadParameter(unknown(str(param.name), item, allowed), ctx, param)
        return tuple(dict.fromkeys(items))

    return flat


def _seconds(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0 < value <= LONGEST:  # so written, NaN is refused too
        raise click.BadParameter(f"{value:g} is not in the range 0<x<={LONGEST:g} (a week)", ctx, param)
    return value


def lengths(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[int, ...]:
    """`--batch 1,32,256`: whole numbers from 1 on, in the order given."""
    found = []
    for item in (item.strip() for value in values for item in value.split(",")):
        if not item.isascii() or not item.isdigit() or not 1 <= int(item[:12]) <= LONGEST_SIDE:
            raise click.BadParameter(f"{item!r} is no whole number from 1 to {LONGEST_SIDE:,}", ctx, param)
        found.append(int(item))
    return tuple(found)


def parse_setting(text: str) -> tuple[str, float | bool | str]:
    """`NAME=VALUE` of --knob."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name or not value:
        raise SpecError(f"--knob {text!r}: write NAME=VALUE, such as --knob eps_place=inside")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    try:
        return name, float(value)
    except ValueError:
        return name, value


def where_it_runs(dtypes: Sequence[str], said: str) -> Callable[[F], F]:
    """The options that say on what the work runs."""

    def decorate(command: F) -> F:
        for option in reversed(
            (
                click.option("--backend", multiple=True, callback=comma_list(), metavar="NAME", help="numpy, torch, "
                             "tensorflow, jax, or your own package.module:Adapter; repeatable. Default: all "
                             "installed."),
                click.option("--mode", multiple=True, callback=comma_list(), metavar="NAME", help="eager, compiled, "
                             "graph, xla, jit ..., or all; repeatable. Default: all, but check leaves out the slow "
                             "ones."),
                click.option("--dtype", multiple=True, callback=comma_list(dtypes), metavar="NAME", help=said),
                click.option("--device", multiple=True, callback=comma_list(), metavar="NAME", help="Default: cpu."),
                click.option("--implementation", multiple=True, callback=comma_list(IMPLEMENTATIONS), metavar="NAME",
                             help="formula (ours, run by the framework), native (the framework's own). Default: "
                             "both."),
            )
        ):  # fmt: skip
            command = option(command)
        return command

    return decorate


json_option = click.option("--json", "json_file", metavar="FILE", help="Write every record as one JSON document; - is "
                           "standard output.")  # fmt: skip


def selection(command: F) -> F:
    """The options that say where and how the work of `check` and `run` is done."""
    for option in reversed(
        (
            where_it_runs(DTYPES, "float64, float32. Default: both; trainings in float64."),
            click.option("--seeds", type=click.IntRange(1, 10_000), default=1, metavar="N",
                         help="Repeat with seeds 0 to N-1."),
            click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, metavar="N",
                         help="Backends at work at the same time."),
            click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, metavar="N",
                         help="Threads of each backend."),
            click.option("--timeout", type=float, callback=_seconds, default=600.0, show_default=True,
                         metavar="S", help="Seconds after which a cell is given up."),
            json_option,
        )
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True)
class Selection:
    """What the options select. `missing`: backends that nobody asked for by name and that are not installed."""

    backends: tuple[str, ...]
    missing: dict[str, str]
    modes: tuple[str, ...] | None
    dtypes: tuple[str, ...]
    dtypes_given: bool
    devices: tuple[str, ...]
    implementations: tuple[Implementation, ...]
    seeds: tuple[int, ...]
    jobs: int
    threads: int
    timeout: float
    json_file: str | None


def find_own_adapters(backends: Sequence[str]) -> None:
    """Let a user's own adapter be found where the command is called; last, so that no file there shadows a package."""
    if any(":" in name for name in backends) and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def frameworks_here(backends: Sequence[str]) -> None:
    """What frameworks are told before they are imported, where they run in this very process."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    find_own_adapters(backends)


def select(options: dict[str, Any]) -> Selection:
    """Options as click hands them over; a backend asked for by name must be here."""
    asked, modes, dtypes = options["backend"], options["mode"], options["dtype"]
    missing = {}
    find_own_adapters(asked)
    for name in asked or tuple(registry.backends()):
        if ":" in name and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", name):
            raise BackendError(f"backend {name!r}: your own adapter is named as package.module:Class")
        backend = registry.find(name)
        if backend.missing:
            reason = f"needs {', '.join(backend.missing)}, not installed here: {backend.hint}"
            if asked:
                raise BackendError(f"backend {name!r} {reason}")
            missing[name] = reason
    backends = asked or tuple(registry.backends())
    _check_modes(backends, modes)
    json_file = options["json_file"]
    if json_file not in (None, "-"):
        _writable(json_file)
    return Selection(
        backends,
        missing,
        modes or None,
        dtypes or DTYPES,
        bool(dtypes),
        options["device"] or ("cpu",),
        options["implementation"] or IMPLEMENTATIONS,
        tuple(range(options["seeds"])),
        options["jobs"],
        options["threads"],
        options["timeout"],
        json_file,
    )


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of specifications, and files of them."""
    files = [argument for argument in arguments if argument.endswith(".toml") or os.sep in argument]
    return [argument for argument in arguments if argument not in files], files


def _check_modes(backends: Sequence[str], modes: Sequence[str]) -> None:
    """A mode must exist in one of the backends; those of an adapter that is not registered are not known here."""
    known: list[str] = [ALL_MODES]
    for name in backends:
        own = registry.find(name).modes
        if not own:
            return
        known += own
    for mode in modes:
        if mode not in known:
            raise BackendError(unknown("mode", mode, dict.fromkeys(known), f"Backends: {choices(backends)}."))


def write_json(file: str, document: Any) -> None:
    """One JSON document; `-` is standard output."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    if file == "-":
        sys.stdout.write(text.decode())
        return
    try:
        with open(file, "wb") as stream:
            stream.write(text)
    except OSError as error:
        raise CrossnnError(f"--json {file}: cannot be written ({error.strerror}); choose another file") from error


def _writable(file: str) -> None:
    """Found out before an hour of work, not after."""
    try:
        with open(file, "a", encoding="utf-8"):
            pass
    except OSError as error:
        raise CrossnnError(f"--json {file}: cannot be written ({error.strerror}); choose another file") from error
