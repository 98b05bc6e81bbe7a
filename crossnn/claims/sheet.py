"""A sheet of claims as a file: `[[claim]]` tables become frozen rows, or one paragraph that names every bad one.

    formula + derivative      a function of x and its derivative; in the derivative, f is the function's own value
    formula + gradient        a single number, and its gradient with respect to each variable, matrices included
    equal                     two or more expressions that are the same everywhere in the domain
    order                     two or more expressions, each of which never exceeds the next
    expression + printed      a number, a list or a table of numbers, right in every printed digit
    update + same_as          an update rule that is an optimizer of the catalogue
    update + converges        an update rule that finds the minimum of a function of x

Nothing here knows what is true.
"""

from __future__ import annotations

import ast
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from crossnn.claims.elsewhere import without_gradients
from crossnn.claims.notation import read, read_line
from crossnn.errors import FormulaError, SpecError, UnknownNameError, choices
from crossnn.formula.grammar import Formula
from crossnn.formula.limits import python_tree

Kind = Literal["derivative", "gradient", "equal", "order", "printed", "same_as", "converges"]
KINDS: Mapping[Kind, tuple[str, str]] = {
    "derivative": ("formula", "derivative"),
    "gradient": ("formula", "gradient"),
    "equal": ("equal", ""),
    "order": ("order", ""),
    "printed": ("expression", "printed"),
    "same_as": ("update", "same_as"),
    "converges": ("update", "converges"),
}
"""Kind -> the key of what is claimed about, and that of what is claimed of it."""
MAX_BYTES = 1_000_000
MAX_CLAIMS = 2000
MAX_AXES = 4
MAX_ELEMENTS = 4096


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One claim as printed. `where` are conditions that all must hold; `let` are names for sub-expressions; `shapes`
    gives matrices their lengths, by name (any length) or number; `params` fixes hyper-parameters of an update, or
    restricts them, as `"0 < lr < 2"` does; `state` is where other names of an update begin: 0, a number, or the
    parameter, `"w"`."""

    id: str
    says: str = ""
    source: str = ""
    where: str | list[str] = []
    shapes: dict[str, list[str | int]] = {}
    let: list[str] = []
    wrt: str = ""
    formula: str = ""
    derivative: str = ""
    gradient: dict[str, str] = {}
    equal: list[str] = []
    order: list[str] = []
    expression: str = ""
    printed: str | float | int | list[Any] = ""
    update: list[str] = []
    same_as: str = ""
    converges: str = ""
    knobs: dict[str, str | bool] = {}
    params: dict[str, float | int | str] = {}
    state: dict[str, float | int | Literal["w", "x"]] = {}

    @property
    def kind(self) -> Kind:
        found = [kind for kind, keys in KINDS.items() if all(_given(self, key) for key in keys if key)]
        if len(found) != 1:
            allowed = "; ".join(" + ".join(key for key in keys if key) for keys in KINDS.values())
            what = f"claims {' and '.join(found)} at once" if found else "claims nothing"
            raise SpecError(f"it {what}; a claim has exactly one of: {allowed}")
        return found[0]

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions of the domain, each one comparison: `0 < x < 1` is two."""
        listed = [self.where] if isinstance(self.where, str) else self.where
        return tuple(part for text in listed for part in split_chain(text))

    @property
    def text(self) -> str:
        """What is claimed, on one line, as it stands in the file."""
        match self.kind:
            case "derivative":
                return f"({self.formula})' = {self.derivative}"
            case "gradient":
                return "; ".join(f"d({self.formula})/d{name} = {text}" for name, text in self.gradient.items())
            case "equal":
                return " = ".join(self.equal)
            case "order":
                return " <= ".join(self.order)
            case "printed":
                return f"{self.expression} = {self.printed}"
            case "same_as":
                chosen = ", ".join(f"{name} = {value}" for name, value in self.knobs.items())
                return f"{'; '.join(self.update)} is {self.same_as}" + (f" ({chosen})" if chosen else "")
        return f"{'; '.join(self.update)} finds the minimum of {self.converges}"


def split_chain(text: str) -> list[str]:
    """`0 < x < 1` as `0 < x` and `x < 1`; conditions joined by a comma or `and` apart."""
    found: list[str] = []
    for whole in text.replace(" and ", ",").split(",") if text.count("(") == 0 else text.split(" and "):
        parts = _comparisons(whole.strip())
        found += [f"{left} {sign} {right}" for left, sign, right in parts] if parts else [whole.strip()]
    return found


def _comparisons(text: str) -> list[tuple[str, str, str]]:
    """The comparisons of a chain, from left to right; nothing where there is no chain."""
    try:
        tree = python_tree(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    if not isinstance(tree, ast.Compare):
        return []
    signs = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
    sides = [ast.get_source_segment(text, one) or "" for one in (tree.left, *tree.comparators)]
    operators = [signs.get(type(one), "") for one in tree.ops]
    return list(zip(sides, operators, sides[1:], strict=False)) if all(operators) else []


def _given(claim: Claim, key: str) -> bool:
    return getattr(claim, key) not in ("", [], {})


def read_sheet(file: str) -> list[Claim]:
    """The claims of a file, in order; SpecError where it is no sheet."""
    path = Path(file)
    if path.is_dir():
        raise SpecError(f"{file}: a folder; give the TOML file of a sheet")
    if path.stat().st_size > MAX_BYTES:
        raise SpecError(f"{file}: {path.stat().st_size} bytes; a sheet has at most {MAX_BYTES}")
    try:
        return sheet_of(path.read_bytes().decode("utf-8"), file)
    except UnicodeDecodeError as error:
        raise SpecError(f"{file}: not UTF-8 text (byte {error.start}); TOML files are UTF-8") from None


def sheet_of(text: str, file: str) -> list[Claim]:
    """The claims of a TOML text; `file` is named in messages."""
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{file}: not valid TOML: {error or type(error).__name__}") from None
    listed = tables.get("claim")
    if set(tables) != {"claim"} or not isinstance(listed, list) or not listed:
        others = choices(set(tables) - {"claim"})
        raise SpecError(
            f"{file}: a sheet is [[claim]] tables, each with id, says and what is claimed"
            + (f"; it also has {others}" if others else "; it has none")
        )
    if len(listed) > MAX_CLAIMS:
        raise SpecError(f"{file}: {len(listed)} claims; a sheet has at most {MAX_CLAIMS}")
    from crossnn.claims.sound import check_sound

    claims, bad = [], []
    for number, table in enumerate(listed, 1):
        try:
            claims.append(_claim(table))
            check_sound(claims[-1])
        except (SpecError, FormulaError, UnknownNameError) as error:
            named = table.get("id") if isinstance(table, dict) else None
            bad.append(f"claim {number}{f' ({named})' if isinstance(named, str) else ''}: {error}")
    if bad:
        raise SpecError("\n".join(f"{file}: {line}" for line in bad))
    twice = sorted({one.id for one in claims if sum(other.id == one.id for other in claims) > 1})
    if twice:
        raise SpecError(f"{file}: the id {choices(twice)} stands more than once; ids are unique")
    return claims


def _claim(table: Any) -> Claim:
    """A checked claim: its keys, its kind, and the grammar of all its texts."""
    try:
        claim = msgspec.convert(table, Claim)
    except msgspec.ValidationError as error:
        fields = choices(Claim.__struct_fields__)
        raise SpecError(f"{error}. Keys of a claim: {fields}") from None
    if not claim.id.strip():
        raise SpecError("its id is empty; an id is a short name such as S2-46")
    kind = claim.kind
    for text in texts(claim):
        read(text)
    for line in (*claim.let, *(() if kind not in ("same_as", "converges") else claim.update)):
        assignment(line)
    for name, lengths in claim.shapes.items():
        read(name)
        if math.prod(one if isinstance(one, int) else 4 for one in lengths) > MAX_ELEMENTS:
            raise SpecError(f"shapes: {name} {lengths} has too many elements; at most {MAX_ELEMENTS}")
        if len(lengths) > MAX_AXES:
            raise SpecError(f"shapes: {name} has {len(lengths)} axes; at most {MAX_AXES}")
        for length in lengths:
            if isinstance(length, int) and not 1 <= length <= 64:
                raise SpecError(f"shapes: {name} has the length {length}; a length is a name or a number from 1 to 64")
            if isinstance(length, str) and not length.isidentifier():
                raise SpecError(f"shapes: {name} has the length {length!r}; a length is a name or a number")
    for key, least in (("equal", 2), ("order", 2)):
        if 0 < len(getattr(claim, key)) < least:
            raise SpecError(f"{key} has one expression; at least {least} are compared")
    return claim


def texts(claim: Claim) -> Sequence[str]:
    """Every text of a claim that must be a formula of the grammar."""
    single = [claim.formula, claim.derivative, claim.expression, claim.converges]
    many = [*claim.conditions, *claim.equal, *claim.order, *claim.gradient.values()]
    restrictions = [part for value in claim.params.values() if isinstance(value, str) for part in split_chain(value)]
    return [text for text in (*single, *many, *restrictions) if text]


def assignment(line: str) -> Formula:
    """One line `name = formula`, in which `grad(...)` is the gradient at another point."""
    return read_line(without_gradients(line)[0])
