"""Calls as text: `torch.optim.NAdam(lr=0.01)` read without evaluating it, and written back with other numbers.

What may be named is what an adapter lists: public names of its framework's own modules. What may be given is a literal
or another call of the same kind. Nothing else is looked up, and nothing is evaluated but such calls themselves.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from crossnn.errors import BackendError, choices, unknown
from crossnn.formula.limits import python_tree

LONGEST, DEEPEST = 2000, 8
"""So many characters a call may have, and so many calls inside each other."""
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SAID = "write a dotted name with literal arguments or none, such as torch.optim.NAdam(lr=0.01)"


@dataclass(frozen=True)
class Call:
    """A dotted name and what it is called with; `called` is false where only the name was written. Arguments are
    literals, tuples of them, or calls."""

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    called: bool = True

    def __str__(self) -> str:
        if not self.called:
            return self.name
        inner = [*map(_text, self.arguments), *(f"{name}={_text(value)}" for name, value in self.keywords.items())]
        return f"{self.name}({', '.join(inner)})"

    def named(self, **keywords: Any) -> Call:
        """The same call with these keywords set."""
        return Call(self.name, self.arguments, {**self.keywords, **keywords})


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))}{',' if len(value) == 1 else ''})"
    return str(value) if isinstance(value, Call) else repr(value)


def parse_call(text: str) -> Call:
    """The call that a text is; refuses everything else."""
    if len(text) > LONGEST:
        raise BackendError(f"a call of {len(text):,} characters; up to {LONGEST:,} are allowed")
    try:
        tree = python_tree(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BackendError(f"{text[:80]!r} is no call: {_SAID}") from None
    found = _value(tree, text, 0)
    if not isinstance(found, Call):
        raise BackendError(f"{text[:80]!r} names nothing: {_SAID}")
    return found


def _value(node: ast.expr, text: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise BackendError(f"{text[:80]!r}: more than {DEEPEST} calls inside each other")
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return tuple(_value(part, text, depth + 1) for part in parts)
        case ast.Name() | ast.Attribute():
            return Call(_dotted(node, text), called=False)
        case ast.Call(func=function, args=arguments, keywords=keywords) if all(one.arg for one in keywords):
            return Call(
                _dotted(function, text),
                tuple(_value(one, text, depth + 1) for one in arguments),
                {str(one.arg): _value(one.value, text, depth + 1) for one in keywords},
            )
    part = ast.get_source_segment(text.strip(), node) or text
    raise BackendError(f"{part[:60]!r} in {text[:80]!r} is neither a literal nor a call: {_SAID}")


def _dotted(node: ast.expr, text: str) -> str:
    name = ast.unparse(node)
    if not _PATH.fullmatch(name):
        raise BackendError(f"{name[:60]!r} in {text[:80]!r} is no dotted name: {_SAID}")
    if any(part.startswith("_") for part in name.split(".")):
        raise BackendError(f"{name[:60]!r}: names that start with an underscore are private, and are not opened")
    return name


def resolve(name: str, namespaces: Mapping[str, tuple[Any, tuple[str, ...]]]) -> Any:
    """What a dotted name is. `namespaces`: dotted path -> (the module, the names in it that may be used; none: all of
    its public ones but modules)."""
    path, _, last = name.rpartition(".")
    if path not in namespaces:
        raise BackendError(unknown("namespace", path or name, namespaces, f"{name!r} was asked for."))
    module, allowed = namespaces[path]
    known = allowed or tuple(one for one in dir(module) if not one.startswith("_"))
    found = getattr(module, last, None) if last in known else None
    if found is None or isinstance(found, ModuleType) or not callable(found):
        raise BackendError(
            unknown(f"name in {path}", last, [one for one in known if callable(getattr(module, one, 0))])
        )
    return found


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Its signature; that of a function written in C from the first line of its documentation. None where neither
    tells."""
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        pass
    name = getattr(function, "__name__", "")
    line = re.search(rf"^\s*(?:\w+\.)*{re.escape(name)}\(([^()]*(?:\([^()]*\)[^()]*)*)\)", function.__doc__ or "", re.M)
    if not line:
        return None
    scope: dict[str, Any] = {}
    try:
        tree = ast.parse(f"def f({line.group(1)}): pass").body[0]
        assert isinstance(tree, ast.FunctionDef)
    except SyntaxError:
        return None
    given = tree.args
    names = [one.arg for one in (*given.posonlyargs, *given.args)]
    defaults = [_literal(one) for one in given.defaults]
    scope.update(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        names.append(one.arg)
        if default is not None:
            scope[one.arg] = _literal(default)
    return inspect.Signature(
        [
            inspect.Parameter(one, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=scope[one])
            if one in scope
            else inspect.Parameter(one, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for one in sorted(names, key=lambda one: one in scope)
        ]
    )


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def bound(function: Callable[..., Any], call: Call, given: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """(every argument with a value, those that the call sets) by their names, for a function whose first `given`
    arguments come from elsewhere. Refuses arguments that it does not have."""
    signature = signature_of(function)
    if signature is None:
        if call.arguments:
            raise BackendError(f"{call.name} does not say what its arguments are called: give them by name")
        return dict(call.keywords), dict(call.keywords)
    parameters = list(signature.parameters.values())
    kinds = inspect.Parameter
    place = [one for one in parameters if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)][given:]
    several = next((one for one in parameters if one.kind is kinds.VAR_POSITIONAL), None)
    if len(call.arguments) > len(place) and several is None:
        raise BackendError(f"{call.name} takes {len(place)} arguments, and was given {len(call.arguments)}")
    own = {one.name: value for one, value in zip(place, call.arguments, strict=False)}
    if several is not None:
        own |= {f"{several.name}[{k}]": value for k, value in enumerate(call.arguments[len(place) :])}
    names = [one.name for one in parameters[given:] if one.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)]
    free = any(one.kind is kinds.VAR_KEYWORD for one in parameters)
    for name, value in call.keywords.items():
        if name in own:
            raise BackendError(f"{call.name}: {name} is given twice")
        if name not in names and not free:
            raise BackendError(f"{call.name}: {unknown('argument', name, names)}")
        own[name] = value
    defaults = {one.name: one.default for one in parameters[given:] if one.name in names}
    everything = {name: own.get(name, default) for name, default in defaults.items()}
    lacking = [name for name, value in everything.items() if value is kinds.empty]
    if lacking:
        raise BackendError(
            f"{call.name} needs {choices(lacking)}: give it a number, as in {call.name}({lacking[0]}=...)"
        )
    return {**everything, **own}, own


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with tuples taken apart (`betas[0]`) and calls too (`adam.b1`), by names that no two share."""
    found: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, tuple | list):
            for place, one in enumerate(value):
                add(f"{name}[{place}]", one)
        elif isinstance(value, Call):
            inner = value.name.rpartition(".")[2]
            for key, one in value.keywords.items():
                add(f"{inner}.{key}", one)
            for place, one in enumerate(value.arguments):
                add(f"{inner}[{place}]", one)
        elif isinstance(value, bool | int | float | str | None):
            found[name] = value

    for name, value in settings.items():
        add(name, value)
    return found
