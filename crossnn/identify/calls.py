"""Calls as text: `torch.optim.NAdam(lr=0.01)` read without evaluating it, and written back with other numbers.

What may be named is what an adapter lists: public names of its framework's own modules. What may be given is a literal
or another call of the same kind. Nothing else is looked up, and nothing is evaluated but such calls themselves.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from crossnn.errors import BackendError, unknown
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
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {_text(one)}' for name, one in value.items())}}}"
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
        case ast.Dict(keys=keys, values=values) if all(isinstance(one, ast.Constant) for one in keys):
            given = {one.value: value for one, value in zip(keys, values, strict=True) if isinstance(one, ast.Constant)}
            return {name: _value(value, text, depth + 1) for name, value in given.items()}
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


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with tuples taken apart (`betas[0]`) and calls too (`adam.b1`), by names that no two share."""
    found: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, tuple | list):
            for place, one in enumerate(value):
                add(f"{name}[{place}]", one)
        elif isinstance(value, dict):
            for key, one in value.items():
                add(str(key) if isinstance(key, str) else f"{name}[{key}]", one)
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
