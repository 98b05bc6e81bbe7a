"""A specification shown from Python: `crossnn.show`, and what it returns."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossnn.catalogue.example import SHOWABLE, example
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.report.document import Block, Code, Heading, to_markdown


@dataclass(frozen=True, repr=False)
class Shown:
    """What `crossnn show` prints, in parts: the description, LaTeX, and the code of every backend that was named."""

    row: Row
    text: str
    latex: tuple[str, ...] = ()
    code: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Shown: {self.row.name} ({self.row.kind})>"

    def __str__(self) -> str:
        return "\n\n".join([self.text, *self.code.values()])

    def to_markdown(self) -> str:
        blocks: list[Block] = [Heading(1, f"{self.row.name} ({self.row.kind})"), Code(self.text)]
        for name, text in self.code.items():
            blocks += [Heading(2, name), Code(text)]
        return to_markdown(blocks)

    def to_json(self) -> str:
        parts = {"name": self.row.name, "kind": self.row.kind, "file": self.row.file, "text": self.text}
        return json.dumps({**parts, "latex": list(self.latex), "code": dict(self.code)}, indent=1)

    def _repr_html_(self) -> str:
        """A notebook sets the formulas between double dollars."""
        formulas = "".join(f"<p>$${html.escape(line)}$$</p>" for line in self.latex)
        code = "".join(f"<p>{html.escape(name)}</p><pre>{html.escape(text)}</pre>" for name, text in self.code.items())
        return f"{formulas}<pre>{html.escape(self.text)}</pre>{code}"


def show(
    name: str,
    backends: Iterable[str] = (),
    *,
    gradient: bool = False,
    graph: bool = False,
    knobs: Mapping[str, Any] | None = None,
    files: Iterable[str] = (),
) -> Shown:
    """What this specification is: formula, LaTeX, code; with `backends`, exactly what each of them runs.

    >>> from crossnn import show
    >>> show("softplus")
    <Shown: softplus (activation)>
    >>> print(show("softplus", gradient=True).latex[1])
    f'(x) = \\frac{1}{1 + \\mathrm{e}^{-x}}
    """
    from crossnn.cli.printed import latex_lines
    from crossnn.cli.show import backend_code, parts_of

    row = load_catalogue([files] if isinstance(files, str) else list(files)).find(name)
    given = dict(knobs or {})
    named = [backends] if isinstance(backends, str) else list(backends)
    if row.kind not in SHOWABLE and not (given or named or gradient or graph):
        return Shown(row, "\n\n".join(parts_of(row, {})))
    one = example(row, given)
    text = "\n\n".join(parts_of(row, given, gradient=gradient, graph=graph))
    code = {backend: "\n\n".join(backend_code(one, backend, gradient)) for backend in named}
    return Shown(row, text, tuple(latex_lines(row, one.knobs)), code)
