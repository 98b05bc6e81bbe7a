"""What compiled NumPy looks at before it runs a plan again: do the arguments fit, and may they be overwritten?

This runs at every call, and would take longer than a small layer if it walked through the arguments; so it is one
expression, printed and compiled like the plan itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.formula.graph import map_tree

Tree = Any
_MISFITS = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Guard:
    """Compares arguments with those that a plan was made for. Donated arrays must be the same arrays as in the last
    call, which were found to lie in memory of their own, and no other argument may be a view of them."""

    def __init__(self, arguments: Sequence[Tree], donated: int) -> None:
        self.donated = donated
        self.scope: dict[str, Any] = {"misfits": _MISFITS, "owners": frozenset(), "type": type, "len": len, "id": id}
        self.count = 0
        conditions: list[str] = []
        for number, tree in enumerate(arguments):
            self.compare(tree, f"a{number}", number < donated, conditions)
        heads = "".join(f"a{number}, " for number in range(len(arguments)))
        tests = " and ".join(conditions) or "True"
        text = f"""def fits(*arguments):
    try:
        {heads or "[]"} = arguments
        return {tests}
    except misfits:
        return False
"""
        exec(compile(text, "<crossnn guard>", "exec"), self.scope)
        self.fits: Callable[..., bool] = self.scope["fits"]

    def compare(self, tree: Tree, text: str, donated: bool, conditions: list[str]) -> None:
        """What must be true of this argument, or this part of one."""
        if isinstance(tree, Mapping | tuple | list):
            conditions.append(f"len({text}) == {len(tree)}")
            for key, inner in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
                self.compare(inner, f"{text}[{key!r}]", donated, conditions)
        elif donated and isinstance(tree, np.ndarray) and tree.shape:
            conditions.append(f"{text} is given{self.count}")
            self.scope[f"given{self.count}"] = None
            self.count += 1
        elif isinstance(tree, np.ndarray | np.generic):
            name = f"type_{tree.dtype.name}"
            self.scope[name] = tree.dtype
            conditions.append(f"(one := {text}).shape == {tree.shape} and one.dtype is {name}")
            if self.donated and isinstance(tree, np.ndarray) and tree.shape:
                conditions.append("id(one if one.base is None else one.base) not in owners")
        else:
            self.scope[f"type_{type(tree).__name__}"] = type(tree)
            conditions.append(f"type({text}) is type_{type(tree).__name__}")

    def separated(self, arguments: Sequence[Tree]) -> list[Tree]:
        """The arguments, with copies of what cannot be overwritten, or would be together with something else."""
        given: list[np.ndarray] = []
        owners: set[int] = set()

        def donate(one: Any) -> Any:
            if not isinstance(one, np.ndarray) or one.shape == ():
                return one
            if _owner(one) in owners or not (one.flags.c_contiguous and one.flags.writeable and one.flags.aligned):
                one = np.array(one, order="C")
            given.append(one)
            owners.add(_owner(one))
            return one

        def keep(one: Any) -> Any:
            return np.array(one) if isinstance(one, np.ndarray) and _owner(one) in owners else one

        first = [map_tree(donate, tree) for tree in arguments[: self.donated]]
        self.scope["owners"] = frozenset(owners)
        self.scope.update({f"given{number}": one for number, one in enumerate(given)})
        return [*first, *(map_tree(keep, tree) for tree in arguments[self.donated :])]


def _owner(array: np.ndarray) -> int:
    """Whose memory it is: views of one array have one owner."""
    return id(array if array.base is None else array.base)
