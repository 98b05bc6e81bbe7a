"""Hostile input by the hundred thousand: formulas, specification files, claim sheets, journals, calls, command lines.

`python tests/fuzz.py --cases 100000` takes what is right and damages it at random. Whatever comes out must be accepted,
or refused by one clear message (`CrossnnError`, exit code 2): never a traceback, never longer than some seconds, never
more memory than allowed, and nothing that a text says may be executed. Every case is named by target, seed and number,
and can be repeated alone: `--target formula --seed 7 --only 1234`. test_fuzz.py does a sample in every test run.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import random
import re
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from crossnn.catalogue.load import FILES, load_catalogue, read_text
from crossnn.claims.sheet import sheet_of
from crossnn.claims.statement import Statement
from crossnn.cli import COMMANDS, main
from crossnn.errors import CrossnnError
from crossnn.formula.grammar import parse, parse_assignment
from crossnn.formula.graph import Graph, record
from crossnn.identify.calls import parse_call
from crossnn.parity.buildable import refuse_unbuildable
from crossnn.report.build import write_report
from crossnn.runs import journal

LIMIT = 10.0
"""Seconds that one case may take; what a machine under load needs for the slowest is a tenth of it."""
MEMORY = 3 * 2**30
"""Bytes that may come to what the process has at its start."""
REPORTS = Path(__file__).parents[1] / "reports"
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "os.remove")
"""Audit events that no text may cause."""

TOKENS = (
    "__import__('os').system('true')", "().__class__.__bases__[0].__subclasses__()", "lambda: 0", "[x for x in (1,)]",
    "(yield)", "f'{x}'", "x if y else z if t else w", "x := 3", "*x", "**x", "print(x)", "exec('1')", "x.T", "x[0]",
    "9" * 400, "1e999", "-1e-999", "0x1F", "1_000", "1j", "nan", "inf", "None", "True", "...", "'", '"', '"""', "\\",
    "#", ";", "\n", "\r", "\t", "\0", "\u2028", "\ufeff", "é", "\U0001d499", "\ufb01", "(" * 50, ")" * 50,
    "[" * 3000, "-" * 500,
    "~", "@", "%", "//", "<<", "&", "|", "^", "!=", "is", "in", "not", "and", "or", "==", "<", "<=", "=", "+", "*",
    "**", "/", ",", ".", ":", "sum(x)", "exp(", "where(", "axis=-1", "axis=99", "axis=(0, 0)", "shape=(10**9, 10**9)",
    "broadcast(x, shape=(1000000, 1000000))", "windows(x, size=(2,))", "x**x**x**x**x", "9**9**9**9", "grad(x)",
    "<script>alert(1)</script>", "${x}", "%s", "{x}", "../../etc/passwd", "/dev/zero", "kind", "formula", "inf*0",
    "units",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**40, 0.0, -0.0, 1e308, 1e-320, float("inf"), float("nan"), True, False,
    "", " ", "x", "1/0", "exp(x)", [], [1], [[1, 2], [3]], ["x"] * 3, {}, {"a": 1}, {"use": "adam"}, [{}], "units",
    "\0", "<script>alert(1)</script>", "a" * 5000, [0] * 3000, "x + " * 300 + "x", "(" * 300, None,
)  # fmt: skip
SCRIPT = "<script>alert(1)</script>"


@cache
def formulas() -> tuple[str, ...]:
    """Every formula of the catalogue, and assignments."""
    rows = load_catalogue().rows.values()
    found = [text for row in rows for _, text in row.texts()]
    return (*found, *(line for row in rows for line in (*getattr(row, "update", ()), *getattr(row, "let", ()))))


@cache
def tables() -> tuple[str, ...]:
    """Every row of the specifications as a TOML text of its own."""
    found: list[str] = []
    for stem in FILES:
        text = resources.files("crossnn.specs").joinpath(f"{stem}.toml").read_text("utf-8")
        names = tomllib.loads(text)
        parts = re.split(r"(?m)^(?=\[)", text)[1:]
        for name in names:
            own = [one for one in parts if re.match(rf"\[{re.escape(name)}[\].]", one)]
            found.append("".join(own))
    return tuple(filter(None, found))


@cache
def claims() -> tuple[str, ...]:
    text = resources.files("crossnn.specs").joinpath("lectures.toml").read_text("utf-8")
    return tuple("[[claim]]" + part for part in text.split("[[claim]]")[1:])


@cache
def lines() -> tuple[str, ...]:
    """Lines of journals, of every kind of record: the first of each and some more."""
    found: list[str] = []
    for file in sorted(REPORTS.rglob("results.jsonl")):
        seen: dict[str, int] = {}
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                kind = line[11:25]
                seen[kind] = seen.get(kind, 0) + 1
                if seen[kind] <= 20:
                    found.append(line)
    return tuple(found)


def mutated(text: str, chance: random.Random) -> str:
    """One to four random damages."""
    for _ in range(chance.randint(1, 4)):
        here, there = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        there = min(there, here + chance.choice((1, 3, 12, 80)))
        match chance.randrange(8):
            case 0:
                text = text[:here] + text[there:]
            case 1:
                text = text[:there] + text[here:there] * chance.choice((1, 2, 40)) + text[there:]
            case 2 | 3:
                text = text[:here] + chance.choice(TOKENS) + text[here:]
            case 4:
                words = re.split(r"(\W)", text)
                one, other = (chance.randrange(len(words)) for _ in range(2))
                words[one], words[other] = words[other], words[one]
                text = "".join(words)
            case 5:
                text = re.sub(r"\d+", lambda _: chance.choice(("0", "-1", "9" * 30, "1e400", "3")), text, count=1)
            case 6:
                text = text[:here] + chr(chance.choice((0, 9, 127, 233, 8232, 0x1D465, 65279))) + text[there:]
            case _:
                text = text[: chance.randrange(len(text) + 1)]
    return text


def with_value(tree: Any, chance: random.Random) -> Any:
    """A tree of JSON or TOML with one value, or key, exchanged."""
    if isinstance(tree, dict) and tree and chance.random() < 0.85:
        key = chance.choice(list(tree))
        if chance.random() < 0.1:
            return {**{name: value for name, value in tree.items() if name != key}, chance.choice(TOKENS): tree[key]}
        if chance.random() < 0.1:
            return {name: value for name, value in tree.items() if name != key}
        return {**tree, key: with_value(tree[key], chance)}
    if isinstance(tree, list) and tree and chance.random() < 0.7:
        place = chance.randrange(len(tree))
        return [*tree[:place], with_value(tree[place], chance), *tree[place + 1 :]]
    if isinstance(tree, str) and chance.random() < 0.4:
        return mutated(tree, chance)
    return chance.choice(VALUES)


def inside(table: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A table with one value exchanged somewhere inside."""
    found = with_value(table, chance)
    return found if isinstance(found, dict) else table


def as_toml(value: Any) -> str:
    """A value as TOML; there is no null."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {as_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, str | bool | int) or value is None:
        return json.dumps(value or "" if value is None else value)
    return {float("inf"): "inf"}.get(value, "nan" if value != value else repr(value))


# Targets: each takes a source of chance and a folder, and raises CrossnnError or nothing. -----------------------------


def formula(chance: random.Random, folder: Path) -> None:
    text = chance.choice(formulas())
    text = (
        re.sub(r"\b[a-z]\w*\b", lambda one: chance.choice((one[0], one[0], "x")), text, count=1)
        if (chance.random() < 0.3)
        else mutated(text, chance)
    )
    found = parse_assignment(text) if chance.random() < 0.3 else parse(text)
    if len(found.names) <= 30:
        Graph.trace(
            lambda **names: record(found, names, next(iter(names.values())).tape),
            {name: chance.choice(((), (3,), (2, 3))) for name in found.names or {"x"}},
        )


def specification(chance: random.Random, folder: Path) -> None:
    text = chance.choice(tables())
    if chance.random() < 0.5:
        text = mutated(text, chance)
    else:
        damaged = inside(tomllib.loads(text), chance)
        text = "\n".join(f"{json.dumps(name)} = {as_toml(one)}" for name, one in damaged.items())
    rows = read_text(text, "own.toml")
    refuse_unbuildable([row for row in rows.values() if row.kind != "question"], load_catalogue())


def sheet(chance: random.Random, folder: Path) -> None:
    text = chance.choice(claims())
    if chance.random() < 0.5:
        text = mutated(text, chance)
    else:
        (table,) = tomllib.loads(text)["claim"]
        damaged = {"claim": [inside(table, chance)]}
        text = "\n".join(f"{name} = {as_toml(one)}" for name, one in damaged.items())
    for claim in sheet_of(text, "own.toml"):
        if claim.kind not in ("same_as", "converges"):
            Statement(claim)


def results(chance: random.Random, folder: Path) -> None:
    """A journal with damaged lines; what is read as a run must also become a page, in which nothing is executed."""
    chosen = [chance.choice(lines()) for _ in range(chance.randint(1, 6))]
    place = chance.randrange(len(chosen))
    if chance.random() < 0.3:
        chosen[place] = mutated(chosen[place], chance)
    else:
        chosen[place] = json.dumps(with_value(json.loads(chosen[place]), chance)) + "\n"
    data = "".join(chosen).encode("utf-8", "surrogatepass")
    contents = journal.parse(data)
    if contents.entries and chance.random() < 0.2:
        (folder / journal.NAME).write_bytes(data)
        _, page = write_report(folder)
        if SCRIPT in page.read_text("utf-8"):
            raise AssertionError("the page has a script of the journal's")


def call(chance: random.Random, folder: Path) -> None:
    parse_call(mutated(chance.choice(CALLS), chance))


CALLS = (
    "torch.optim.NAdam(lr=0.01)", "optax.chain(optax.scale_by_adam(), optax.scale(-1e-3))", "jax.nn.silu",
    "keras.losses.Huber(delta=2.0, reduction='sum')", "torch.optim.Adam(betas=(0.8, 0.99), amsgrad=True)", "mine:f",
)  # fmt: skip
CHEAP = ("list", "show", "report", "compare", "verify")
WORDS = (
    "adam", "softplus", "lstm", "mlp", "digits-mlp", "no-such", "--help", "--json", "-", "--knob", "eps_place=inside",
    "--knob=", "--backend", "numpy", "nope", "--seeds", "0", "-1", "1e9", "--dtype", "float16", "--timeout", "nan",
    "--mode", "all", "--batch", "--threads", "--phase", "--out", "/proc/none", "own.toml", "missing.toml", ".", "..",
    "/dev/null", "--gradient", "--graph", "--latex", "--at", "x=1", "--numbers", "--derivation", "lectures", "losses",
    "", " ", "\u2028", "--", "--explain", "*", "a" * 3000, "../own.toml", "--version", "--html", "-h",
)  # fmt: skip


def command(chance: random.Random, folder: Path) -> None:
    """Any command with words that make no sense together; what would start frameworks is given an unknown one."""
    name = chance.choice(list(COMMANDS))
    words = [chance.choice(WORDS) for _ in range(chance.randint(0, 5))]
    if name not in CHEAP:
        words += ["--backend", "no-such-backend"] if chance.random() < 0.8 else ["--no-such-option"]
    (folder / "own.toml").write_text(mutated(chance.choice(claims()), chance), encoding="utf-8", errors="replace")
    with contextlib.chdir(folder):
        done = CliRunner().invoke(main, [name, *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code not in (0, 1, 2, 3):
        raise AssertionError(f"exit code {done.exit_code}: {name} {words}")
    if "Traceback (most recent call last)" in done.output:
        raise AssertionError(f"a traceback: {name} {words}")


TARGETS: dict[str, tuple[Callable[[random.Random, Path], None], int]] = {
    "formula": (formula, 50), "specification": (specification, 20), "sheet": (sheet, 15), "results": (results, 10),
    "call": (call, 4), "command": (command, 1),
}  # fmt: skip
"""Target -> (what is done, its share of the cases in percent)."""


@dataclass
class Tally:
    """Cases by target and outcome, and what must not be."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    slowest: dict[str, tuple[float, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(sum(one.values()) for one in self.counts.values())


class SlowError(Exception):
    """A case took longer than it may."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise SlowError(f"longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in FORBIDDEN and not str(arguments[0]).startswith(tempfile.gettempdir()):
        raise PermissionError(f"{event} {arguments!r:.200}")


def fuzz(target: str, cases: Sequence[int], seed: int, tally: Tally) -> None:
    """Run these cases of a target."""
    global _watching
    action, _ = TARGETS[target]
    counts = tally.counts.setdefault(target, {"accepted": 0, "refused": 0})
    with tempfile.TemporaryDirectory() as folder:
        for number in cases:
            began = time.perf_counter()
            try:
                _watching = True
                with bounded(LIMIT):
                    action(random.Random(f"{target} {seed} {number}"), Path(folder))
                counts["accepted"] += 1
            except CrossnnError as error:
                counts["refused"] += 1
                if not str(error).strip():
                    tally.problems.append(f"{target} {seed} {number}: refused without a word")
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                counts["failed"] = counts.get("failed", 0) + 1
                tally.problems.append(f"{target} {seed} {number}: {type(error).__name__}: {str(error)[:200]}")
            finally:
                _watching = False
            seconds = time.perf_counter() - began
            if seconds > tally.slowest.get(target, (0.0, 0))[0]:
                tally.slowest[target] = (seconds, number)


def limit_memory() -> None:
    """What the process has now, and some more."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main_fuzz() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=list(TARGETS), action="append")
    parser.add_argument("--only", type=int, help="one case, by its number")
    given = parser.parse_args()
    faulthandler.enable()
    sys.addaudithook(_audit)
    limit_memory()
    tally, began = Tally(), time.monotonic()
    for target in given.target or TARGETS:
        share = 100 if given.target else TARGETS[target][1]
        cases = [given.only] if given.only is not None else range(given.cases * share // 100)
        fuzz(target, cases, given.seed, tally)
        found, (seconds, number) = tally.counts[target], tally.slowest[target]
        listed = ", ".join(f"{count} {outcome}" for outcome, count in found.items())
        print(f"{target}: {listed}; the slowest took {seconds:.2f} s (case {number})", flush=True)
    for problem in tally.problems[:30]:
        print(problem)
    print(f"{tally.total} cases, {len(tally.problems)} problems. {time.monotonic() - began:.0f} s.")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main_fuzz())
