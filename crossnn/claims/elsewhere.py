"""`grad(w + rho*v)` in an update rule: the gradient at another point than w, as Nesterov's method wants it.

The grammar of formulas has no functions that are not primitives; so each such call becomes a name, whose value is
recorded when the point is known.
"""

from __future__ import annotations

import ast

from crossnn.errors import FormulaError
from crossnn.formula.limits import check_text, python_tree, shorten

CALL = "grad"


def without_gradients(line: str) -> tuple[str, dict[str, str]]:
    """The line with a name in the place of each `grad(...)`, and the point of each name as text."""
    if f"{CALL}(" not in line:
        return line, {}
    check_text(line)
    target, equals, body = line.partition("=")
    try:
        tree = python_tree(body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return line, {}  # the grammar will say what is wrong with it
    points: dict[str, str] = {}

    class Calls(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            if not (isinstance(node.func, ast.Name) and node.func.id == CALL):
                return node
            if len(node.args) != 1 or node.keywords:
                raise FormulaError(f"in {shorten(line)!r}: grad takes one point, as in grad(w + rho*v)")
            name = f"gradient_{len(points) + 1}"
            points[name] = ast.unparse(node.args[0])
            return ast.Name(name, ast.Load())

    try:
        return f"{target}{equals} {ast.unparse(Calls().visit(tree))}", points
    except RecursionError:
        return line, {}  # as above
