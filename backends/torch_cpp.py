"""What a kernel of inductor computes, read from its C++.

Inductor merges what is equal and computes numbers beforehand while it writes, so its text is the only place where what
runs can be seen. Its lines are simple: `auto tmp2 = tmp0 * tmp1;`, loads, stores, sums in accumulators. Loops that end
with a rest write everything twice; the rest is left out. What is not understood becomes one operation of all the names
in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from crossnn.drawing.view import Vertex

_ASSIGNED = re.compile(r"^(?:(?:auto|[\w:]+(?:<[^=]*>)?)\s+)?(?P<name>\w+) = (?P<value>.+);$")
_STORED = re.compile(r"^(?P<value>\w+)\.store\((?P<pointer>\w+)\b.*\);$")
_PUT = re.compile(r"^(?P<pointer>\w*ptr\d+)\[.*?\] = (?P<value>.+);$")
_LOADED = re.compile(r"^(?:[\w:<>, ]+::loadu\((?P<vector>\w+)\b(?P<at>.*)\)|(?P<one>\w*ptr\d+)\[(?P<place>.*)\])$")
_CAST = re.compile(
    r"^(?:static_cast<[^()]*>|at::vec::Vec\w+<[^()]*>|decltype\(\w+\)|[\w:]*convert<[^()]*>"
    r"|double|float|bool|int64_t|int32_t)(?=\()"
)
_ALIAS = re.compile(r"^(?P<value>\w+)\.(?:template )?(?:cast|to)<[^()]*>\(\)$")
_METHOD = re.compile(r"^(?P<first>\w+)\.(?P<name>\w+)(?=\()")
_CALL = re.compile(r"^(?:[\w:<>, ()]*::)?(?P<name>\w+)(?:<[^()]*>)?(?=\()")
_NUMBER = re.compile(r"^-?\d+(?:\.\d*)?(?:e-?\d+)?[LfU]*$")
_LEVELS = (("||", "&&"), ("|", "&", "^"), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
"""Operators, those that bind least first."""
_SIGNS = {
    "*": "mul", "+": "add", "-": "sub", "/": "div", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq",
    "!=": "ne", "&": "and", "|": "or", "&&": "and", "||": "or", "^": "xor", "%": "remainder",
}  # fmt: skip
_NAMES = {"max_propagate_nan": "maximum", "min_propagate_nan": "minimum"}
_GATHERED = {"add": "sum", "maximum": "amax", "minimum": "amin", "sum_masked_reduce": "sum", "max": "amax",
             "max_masked_reduce": "amax", "min_masked_reduce": "amin"}  # fmt: skip
"""What fills an accumulator -> what that computes in all."""
_WORDS = re.compile(r"\b(?:tmp\w+|\w*ptr\d+)\b")


def read_kernel(text: str, pointers: Mapping[str, str], kernel: str) -> Iterator[Vertex]:
    """The operations of a kernel within the vertex `kernel`; `pointers` are the keys of what its parameters hold."""
    yield from _Body(pointers, kernel).read(text)


class _Body:
    def __init__(self, pointers: Mapping[str, str], kernel: str) -> None:
        self.memory = dict(pointers)
        self.known: dict[str, str] = {}
        self.kernel = kernel
        self.made: list[Vertex] = []
        self.constants: dict[str, str] = {}

    def read(self, text: str) -> list[Vertex]:
        depth, skipped = 0, -1
        for raw in text.splitlines():
            line = raw.strip()
            if "C10_UNLIKELY" in line and skipped < 0:
                skipped = depth
            elif skipped < 0:
                self._line(line)
            depth += line.count("{") - line.count("}")
            if skipped >= 0 and line.endswith("}") and depth <= skipped:
                skipped = -1
        return self.made

    def _line(self, line: str) -> None:
        if stored := _STORED.match(line):
            self.memory[stored["pointer"]] = self._value(stored["value"])
        elif put := _PUT.match(line):
            self.memory[put["pointer"]] = self._value(put["value"])
        elif assigned := _ASSIGNED.match(line):
            name, value = assigned["name"], assigned["value"]
            if value in self.memory:
                self.memory[name] = self.memory[value]
            elif name.startswith("tmp_acc"):
                self._gathered(name, value)
            elif name.startswith("tmp"):
                self.known[name] = self._value(value)

    def _gathered(self, name: str, value: str) -> None:
        """`tmp_acc0_vec = tmp_acc0_vec + tmp3` and its kin; what only begins or ends a sum is no operation."""
        terms = [one for one in dict.fromkeys(_WORDS.findall(value)) if not one.startswith("tmp_acc")]
        if not terms:
            gathered = [one for one in _WORDS.findall(value) if one in self.known]
            if gathered:
                self.known[name] = self.known[gathered[-1]]
            return
        parts, call = _parts(value), _CALL.match(value)
        how = _SIGNS[parts[1]] if parts else call["name"] if call else "reduce"
        how = _NAMES.get(how, how)
        self.known[name] = self._put(_GATHERED.get(how, how), [self._value(one) for one in terms])

    def _value(self, text: str) -> str:
        """The key of an expression, whose operations are put on the way."""
        text = text.strip()
        cast = _CAST.match(text)
        while (cast or text.startswith("(")) and _closing(text, cast.end() if cast else 0) == len(text) - 1:
            text = text[(cast.end() if cast else 0) + 1 : -1].strip()
            cast = _CAST.match(text)
        if alias := _ALIAS.match(text):
            text = alias["value"]
        if text in self.known:
            return self.known[text]
        if text in self.memory:
            return self.memory[text]
        if _NUMBER.match(text) or "numeric_limits" in text:
            return self._constant(text)
        return self._operation(text)

    def _operation(self, text: str) -> str:
        if " ? " in text and " : " in text:
            condition, _, rest = text.partition(" ? ")
            first, _, second = rest.partition(" : ")
            return self._put("where", [self._value(one) for one in (condition, first, second)])
        if parts := _parts(text):
            return self._put(_SIGNS[parts[1]], [self._value(parts[0]), self._value(parts[2])])
        if loaded := _LOADED.match(text):
            held = self.memory.get(loaded["vector"] or loaded["one"], self.kernel)
            places = [self.known[one] for one in _WORDS.findall(loaded["at"] or loaded["place"]) if one in self.known]
            return self._put("gather", [held, *places]) if places else held
        if text[0] in "-!~":
            return self._put("neg" if text[0] == "-" else "not", [self._value(text[1:])])
        method = _METHOD.match(text)
        call = method or _CALL.match(text)
        if call and _closing(text, call.end()) == len(text) - 1:
            inputs = [method["first"]] if method else []
            inputs += [one for one in split(text[call.end() + 1 : -1]) if _WORDS.search(one) or _NUMBER.match(one)]
            values = [self._value(one) for one in inputs]
            if call["name"] == "blendv" and len(values) == 3:
                return self._put("where", [values[2], values[1], values[0]])
            return self._put(_NAMES.get(call["name"], call["name"]), values)
        words = [one for one in dict.fromkeys(_WORDS.findall(text)) if one in self.known or one in self.memory]
        return self._put("expression", [self._value(one) for one in words])

    def _constant(self, text: str) -> str:
        number = "inf" if "numeric_limits" in text else text.rstrip("LfU")
        if number not in self.constants:
            key = f"{self.kernel}/{len(self.made)}"
            self.made.append(Vertex(key, "constant", (), "constant", number.removesuffix(".0"), within=self.kernel))
            self.constants[number] = key
        return self.constants[number]

    def _put(self, operation: str, inputs: Sequence[str]) -> str:
        key = f"{self.kernel}/{len(self.made)}"
        self.made.append(Vertex(key, operation, tuple(inputs), "operation", within=self.kernel))
        return key


def _parts(text: str) -> tuple[str, str, str] | None:
    """Left side, operator and right side of the operator that is applied last; None where there is none."""
    depths, depth = [], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        depths.append(depth)
    for level in _LEVELS:
        found = [
            (one.start(), one[1])
            for one in re.finditer(r"(?<= )([*+/<>=!&|%^-]+)(?= )", text)
            if depths[one.start()] == 0 and one[1] in level
        ]
        if found:
            place, sign = found[-1]
            return text[:place].strip(), sign, text[place + len(sign) :].strip()
    return None


def _closing(text: str, begin: int) -> int:
    """Where the bracket that opens at `begin` closes; -1 where it does not."""
    depth = 0
    for place in range(begin, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0:
            return place
    return -1


def split(text: str) -> list[str]:
    """The parts between commas that are in no brackets; `<` after a name begins the arguments of a template."""
    parts, depth, angles, begin = [], 0, 0, 0
    for place, letter in enumerate(f"{text},"):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "<" and text[place - 1 : place].isalnum():
            angles += 1
        elif letter == ">" and angles:
            angles -= 1
        elif letter == "," and depth == angles == 0:
            parts.append(text[begin:place].strip())
            begin = place + 1
    return [one for one in parts if one]
