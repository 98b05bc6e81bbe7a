"""What the arguments of a function or class are called, and what a call sets them to."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Any

from crossnn.errors import BackendError, choices, unknown
from crossnn.identify.calls import Call


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
