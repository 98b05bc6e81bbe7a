"""What an edit that mends a port is called, by what stands there: the field's word for it, not how it was found.

An edit has a name of its table ("missing term"); a rule here has a better one where identifiers, called functions,
keywords or neighbours tell what the place is about ("bias twice"). The first rule that fits counts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from crossnn.causes.source_places import Parents, calls_around, hint_of, inlined, last_name, names_in

DRAWN = ("uniform", "rand", "bernoulli", "binomial", "mask", "keep", "drop")
STATES = ("state", "hidden", "carry", "cell", "init", "start", "memory", "accumulator")
MASKS = ("mask", "causal", "softmax", "attention", "scores", "inf")
WINDOWS = ("reshape", "window", "unfold", "pool", "patch", "strided")
FILLED = ("full", "full_like", "new_full", "fill", "zeros", "zeros_like", "new_zeros", "ones", "ones_like")
SIGMOIDS = ("sigmoid", "expit", "logistic", "exp")


@dataclass(frozen=True)
class Site:
    """An edited site: what stood there, what stands there now, what is around; whether the port or the reference was
    edited."""

    before: ast.AST
    after: ast.AST | None
    parents: Parents
    port: bool

    @cached_property
    def statement(self) -> ast.AST:
        up = self.before
        while not isinstance(up, ast.stmt) and id(up) in self.parents:
            up = self.parents[id(up)]
        return up

    @cached_property
    def function(self) -> ast.AST:
        up = self.before
        while id(up) in self.parents and not isinstance(up, ast.FunctionDef):
            up = self.parents[id(up)]
        return up

    @cached_property
    def calls(self) -> list[str]:
        return list(calls_around(self.before, self.parents))

    @cached_property
    def hint(self) -> str:
        return hint_of(self.before, self.parents)

    def around(self, kind: type[ast.AST]) -> ast.AST | None:
        up: ast.AST | None = self.before
        while up is not None and not isinstance(up, kind):
            up = self.parents.get(id(up))
        return up


def words(node: ast.AST) -> set[str]:
    """Identifiers and keys, and the words that they are made of."""
    keys = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    found = {one.lower() for one in names_in(node) | {key for key in keys if key.isidentifier()}}
    return found | {part for one in found for part in re.split(r"[_\d]+", one) if part}


def speaks(node: ast.AST, parts: Sequence[str]) -> bool:
    return any(part in word for word in words(node) for part in parts)


def _bias(site: Site) -> str | None:
    """The term left out is called a bias, or stands where a call takes one."""
    node, kept = site.before, site.after
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add | ast.Sub) or kept is None:
        return None
    term = node.right if ast.unparse(kept) == ast.unparse(node.left) else node.left
    text = ast.unparse(term)
    if len(names_in(term)) > 3 or not (words(term) & {"bias", "beta", "b"} or text in _bias_arguments(site.function)):
        return None
    if not site.port:
        return "missing bias"
    layer = text.removesuffix(".bias")
    inside = layer != text and any(
        isinstance(one, ast.Call) and ast.unparse(one.func) == layer for one in ast.walk(kept)
    )
    return "bias twice" if inside or ast.unparse(site.function).count(text) > 1 else "extra bias"


def _bias_arguments(root: ast.AST) -> set[str]:
    found = set()
    for call in (one for one in ast.walk(root) if isinstance(one, ast.Call)):
        called = last_name(call.func).lower()
        if ("linear" in called or "conv" in called) and len(call.args) > 2:
            found.add(ast.unparse(call.args[2]))
        found |= {ast.unparse(one) for one in call.args[1:2] if called == "bias_add"}
        found |= {ast.unparse(one.value) for one in call.keywords if one.arg == "bias"}
    return found


def _extra(name: str) -> Callable[[Site], str | None]:
    """What mends the port by being left out is one too many."""
    return lambda site: name if site.port else None


def _state(site: Site) -> str | None:
    """zeros_like(state) where the state is meant; what an accumulator starts from."""
    node = site.before
    called = [last_name(node.func)] if isinstance(node, ast.Call) else []
    started = set(called) & set(FILLED) or (isinstance(node, ast.Constant) and set(site.calls[:1]) & set(FILLED))
    if any(part in site.hint.lower() for part in ("init", "accumulator")):
        return "initial state"
    known = speaks(node, STATES) or any(part in site.hint.lower() for part in STATES) or "scan" in site.calls
    return "initial state" if started and (known or _carried(site)) else None


def _carried(site: Site) -> bool:
    """Whether what is assigned here is assigned again, as states are."""
    targets = getattr(site.statement, "targets", [])
    names = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    stored = [one.id for one in ast.walk(site.function) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    return any(stored.count(name) > 1 for name in names)


def _dropout_scale(site: Site) -> str | None:
    """h/0.7 of where(uniform >= 0.3, h/0.7, 0): the condition is about other names than the value, or drawn."""
    call = site.around(ast.Call)
    while isinstance(call, ast.Call) and last_name(call.func) != "where":
        call = site.parents.get(id(call))
        while call is not None and not isinstance(call, ast.Call):
            call = site.parents.get(id(call))
    if not isinstance(call, ast.Call) or len(call.args) != 3 or any(one is site.before for one in call.args[:1]):
        return None
    condition, value = call.args[:2]
    drawn = not names_in(condition) & names_in(value) and (speaks(condition, DRAWN) or _shares(condition, value))
    scaled = isinstance(site.before, ast.BinOp | ast.Constant)
    return "dropout scale" if drawn and scaled else None


def _shares(condition: ast.AST, value: ast.AST) -> bool:
    """Whether a number of one, or 1 less it, is a number of the other: the share that is kept."""
    one, other = (_floats(node) for node in (condition, value))
    return any(abs(a - b) < 1e-12 or abs(1 - a - b) < 1e-12 for a in one for b in other)


def _floats(node: ast.AST) -> set[float]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, float)}


def _swish(site: Site) -> str | None:
    """c of h*sigmoid(c*h): the same name is multiplied by the sigmoid."""
    if not any(name in SIGMOIDS for name in site.calls):
        return None
    names = names_in(site.before) or names_in(site.parents.get(id(site.before), site.before))
    up: ast.AST | None = site.before
    squashed = False
    while up is not None and not isinstance(up, ast.stmt):
        squashed |= isinstance(up, ast.Call) and last_name(up.func) in SIGMOIDS
        around = site.parents.get(id(up))
        if squashed and isinstance(around, ast.BinOp) and isinstance(around.op, ast.Mult | ast.Div):
            other = around.left if around.right is up else around.right
            if names_in(other) and names_in(other) <= names:
                return "the beta of a swish"
        up = around
    return None


def _mask(site: Site) -> str | None:
    """A number of tril, triu, or of a comparison of places in a function that speaks of masks."""
    if any(name in ("tril", "triu", "tri", "band_part") for name in site.calls):
        return "off-by-one mask"
    compared = site.around(ast.Compare) is not None
    return "off-by-one mask" if compared and speaks(site.statement, MASKS) else None


def _pooling(site: Site) -> str | None:
    """Maximum and mean of windows."""
    ways = {last_name(getattr(one, "func", one)) for one in (site.before, site.after) if one is not None}
    other = any("max" in one or "min" in one for one in ways)
    subjects = [one for one in ast.walk(site.before) if isinstance(one, ast.Name)]
    made = [inlined(one, site.before, site.parents) for one in subjects]
    return "pooling" if other and any(speaks(one, WINDOWS) for one in (site.before, *made)) else None


def _setting(site: Site) -> str | None:
    named = re.fullmatch(r"[A-Za-z_]\w*", site.hint)
    return f"setting {site.hint}" if named else None


RULES: Sequence[tuple[Sequence[str], Callable[[Site], str | None]]] = (
    (("missing term", "missing bias"), _bias),
    (("missing term",), _extra("extra term")),
    (("missing step", "constant", "factor"), _state),
    (("missing step",), _extra("extra step")),
    (("activation slope", "factor", "constant"), _dropout_scale),
    (("off-by-one step",), _mask),
    (("reduction",), _pooling),
    (("another setting",), _setting),
)
"""The names that a rule refines, and the rule, which has a better one or None."""


def named(cause: str, site: Site) -> str:
    for causes, rule in RULES:
        if cause in causes and (better := rule(site)) is not None:
            return better
    return cause


def meaning(cause: str, site: Site) -> str:
    """What a message adds where the name says less than is known."""
    known = _swish(site) if cause in ("activation slope", "factor", "constant") else None
    return f": {known}" if known else ""
