"""Inductor's kernels, read from the Python that it writes to call them.

`cpp_fused_add_mul_0(arg0_1, arg1_1, buf0)` is a kernel of its own, `extern_kernels.mm(arg0_1, arg1_1, out=buf0)` one
of a library. Which arguments a kernel reads and which it writes, its C++ signature says. The text is no interface: what
is not understood is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from crossnn.drawing.view import Vertex, View

from .torch_cpp import read_kernel, split

_DEFINED = re.compile(r"^(?P<name>\w+) = async_compile\.\w+\(.*?^\s*''',?.*?\)$", re.MULTILINE | re.DOTALL)
_SIGNATURE = re.compile(r'extern "C"\s+(?:__\w+\s+)?void\s+\w+\((?P<parameters>.*?)\)\s*\{', re.DOTALL)
_CALL = re.compile(r"^(?:(?P<result>\w+) = )?(?P<kernel>[\w.]+)\((?P<arguments>.*)\)(?:\s*#.*)?$")
_BUFFER = re.compile(r"\b(?:buf\d+|(?:arg|primals_|tangents_|primals|tangents)\w*\d\w*)\b")
_MEMORY = ("empty_strided", "assert_", "reinterpret_tensor", "alloc_from_pool", "args.", "async_compile")


def kernel_view(text: str, names: Sequence[str]) -> View:
    """The view of one generated module; `names` are those of its arguments."""
    reader = _Reader(text)
    lines = list(_body(text))
    if not lines:
        raise ValueError("this text has no function 'call'")
    for line in lines:
        reader.line(line, names)
    note = "inductor's generated code, which is no stable interface"
    return View("torch", "kernels", tuple(reader.vertices), reader.results, text, public=False, note=note)


def _body(text: str) -> Iterator[str]:
    """The lines of the function that calls the kernels, each whole."""
    found = re.search(
        r"^(?P<indent>\s*)def call\((?:self, )?args\):\n(?P<body>(?:(?P=indent)\s+.*\n|\s*\n)+)", text, re.M
    )
    for line in found["body"].splitlines() if found else ():
        yield line.strip()


class _Reader:
    def __init__(self, text: str) -> None:
        self.vertices: list[Vertex] = []
        self.results: tuple[str, ...] = ()
        self.made: dict[str, str] = {}
        """Buffer -> the key of what wrote it last."""
        self.written = {one["name"]: one[0] for one in _DEFINED.finditer(text)}

    def line(self, line: str, names: Sequence[str]) -> None:
        if line.endswith("= args"):
            for place, name in enumerate(re.findall(r"\w+", line.removesuffix("= args"))):
                shown = names[place] if place < len(names) else name
                self.vertices.append(Vertex(name, "argument", (), "input", shown))
                self.made[name] = name
        elif line.startswith("return"):
            self.results = tuple(dict.fromkeys(self.made[one] for one in _BUFFER.findall(line) if one in self.made))
        elif (alias := re.match(r"(\w+) = (?:reinterpret_tensor\()?(\w+)\b(?!\.)(?![\w(])", line)) and (
            alias[2] in self.made
        ):
            self.made[alias[1]] = self.made[alias[2]]
        elif (call := _CALL.match(line)) and not any(part in call["kernel"] for part in _MEMORY):
            self._kernel(call["kernel"], call["arguments"], call["result"])

    def _kernel(self, kernel: str, arguments: str, result: str | None) -> None:
        key, given = f"k{len(self.vertices)}", split(arguments)
        parameters = _parameters(self.written.get(kernel, ""))
        if parameters and len(parameters) == len(given):
            buffers = [(_BUFFER.search(one), name, kind) for one, (name, kind) in zip(given, parameters, strict=True)]
            held = {name: self.made[found[0]] for found, name, _ in buffers if found and found[0] in self.made}
            read = [held[name] for _, name, kind in buffers if name in held and kind != "write"]
            self.vertices.append(Vertex(key, kernel, tuple(dict.fromkeys(read)), "fused"))
            self.vertices += read_kernel(self.written[kernel], held, key)
            writes = [found[0] for found, _, kind in buffers if found and kind != "read"]
        else:
            out = re.search(r"\bout=\s*(?:reinterpret_tensor\()?(\w+)", arguments)
            writes = [out[1]] if out else []
            read = [self.made[one] for one in _BUFFER.findall(arguments) if one in self.made and one not in writes]
            self.vertices.append(Vertex(key, kernel.split(".")[-1], tuple(dict.fromkeys(read))))
        self.made.update(dict.fromkeys([*writes, *([result] if result else [])], key))


def _parameters(definition: str) -> list[tuple[str, str]]:
    """The parameters of a kernel, each with what is done to it: read, write or both."""
    found = _SIGNATURE.search(definition)
    parameters = []
    for one in split(found["parameters"]) if found else ():
        constant, both = one.startswith("const "), "in_out_ptr" in one
        kind = "both" if both else "read" if constant or "*" not in one else "write"
        parameters.append((re.split(r"[\s*]+", one)[-1], kind))
    return parameters
