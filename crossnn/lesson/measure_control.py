"""Steps L7 and L9: where an error is reported, and what becomes of decisions that the data makes.

The programs are written to a file, as a student's would be: AutoGraph reads the source, and a traceback names a line.
"""

from __future__ import annotations

import importlib.util
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crossnn.lesson.bench import Bench, attempt, first_line
from crossnn.lesson.programs import BRANCH_POINTS, BRANCH_VALUES, BRANCHES, BUGS, Bug

FILE = "student"


def error_location(bench: Bench) -> dict[str, Any]:
    """Each bug in each mode: does anything complain, and does it name the guilty line?"""
    own = bench.demonstrated()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, bug in BUGS.items():
            code = bug.code.format(**own.spelling())
            found[name] = {"code": code, "line": bug.line, "modes": {}}
            for mode, compiler in bench.compilers().items():
                path = Path(folder, f"{FILE}_{name}_{mode}.py")
                model = _loaded(path, code, "model", own.namespace(bench.adapter))
                found[name]["modes"][mode] = _outcome(bench, compiler, model, bug, path)
    return {"bugs": found}


def _loaded(path: Path, code: str, name: str, namespace: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of this name in a module of its own, which lies in a file."""
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(namespace)
    spec.loader.exec_module(module)
    function: Callable[..., Any] = getattr(module, name)
    return function


def _outcome(bench: Bench, compiler: Callable[..., Any], model: Any, bug: Bug, path: Path) -> dict[str, Any]:
    try:
        result = compiler(model)(*(bench.adapter.tensor(one) for one in bug.arguments))
        bench.adapter.wait(result)
        return {"outcome": "silent", "result": ", ".join(f"{float(one):g}" for one in bench.numbers(result))}
    except Exception as error:  # the error is the finding
        return {"outcome": located(error, str(path), bug), "error": first_line(error),
                "frames": len(traceback.extract_tb(error.__traceback__))}  # fmt: skip


def located(error: BaseException, path: str, bug: Bug) -> str:
    """`traceback` where a frame is at the guilty line, `message` where the text names it, `nowhere` otherwise."""
    code = bug.code.splitlines()[bug.line - 1]
    seen: set[int] = set()
    one: BaseException | None = error
    said = ""
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if any(
            frame.filename == path and frame.lineno == bug.line for frame in traceback.extract_tb(one.__traceback__)
        ):
            return "traceback"
        said += str(one)
        one = one.__cause__ or one.__context__
    named = f"line {bug.line}" in said and Path(path).name in said
    return "message" if named or f"{Path(path).name}:{bug.line}" in said or code.strip() in said else "nowhere"


def branching(bench: Bench) -> dict[str, Any]:
    """An `if` and a `while` over data in each mode, and the framework's own ways."""
    own = bench.demonstrated()
    programs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in BRANCHES.items():
            code = text.format(**own.spelling())
            programs[name] = {"code": code, "modes": {}}
            for mode, compiler in bench.compilers().items():
                program = _loaded(
                    Path(folder, f"{FILE}_{name}_{mode}.py"), code, "program", own.namespace(bench.adapter)
                )

                def both(f: Callable[..., Any], name: str = name) -> dict[str, Any]:
                    values = [float(bench.numbers(f(bench.adapter.tensor(_two(point))))[0]) for point in BRANCH_POINTS]
                    return {"values": values, "right": tuple(values) == BRANCH_VALUES[name], "graphs": own.graphs(f)}

                programs[name]["modes"][mode] = attempt(
                    lambda both=both, compiler=compiler, program=program: both(compiler(program))  # type: ignore[misc]
                )
        ways = [dict(way) for way in own.own_ways()]
    return {"programs": programs, "ways": ways}


def _two(point: float) -> Any:
    import numpy as np

    return np.array([point, 0.0])
