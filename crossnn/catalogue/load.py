"""Reading specification files: TOML tables become validated rows, or one clear sentence.

A table without `kind` is refused; `name = "formula"` at the top level is short for an activation with that formula.
"""

from __future__ import annotations

import hashlib
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from crossnn.catalogue.family import expand
from crossnn.catalogue.formulas import check_formulas
from crossnn.catalogue.rows import KINDS, AnyRow, Row
from crossnn.catalogue.validate import check_name, check_values
from crossnn.errors import FormulaError, SpecError, UnknownNameError, choices, unknown

FILES = (
    "activations", "losses", "regularizers", "constraints", "initializers", "metrics", "layers", "optimizers",
    "schedules", "clippings", "networks", "experiments", "studies", "timed", "questions",
)  # fmt: skip
COMPOSED = ("layer", "network", "experiment", "study", "question")
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Catalogue:
    """All rows by name, in reading order."""

    rows: Mapping[str, Row]

    def find(self, name: str) -> Row:
        """The row of this name; UnknownNameError with the nearest name otherwise."""
        if name not in self.rows:
            raise UnknownNameError(unknown("specification", name, self.rows, "See 'crossnn list'."))
        return self.rows[name]

    def with_parts(self, names: Iterable[str]) -> list[str]:
        """The named rows and all that they are made of, in reading order."""
        wanted: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in wanted:
                wanted.add(name)
                row = self.find(name)
                pending += _names(msgspec.to_builtins(row)) & self.rows.keys() if row.kind in COMPOSED else []
        return [name for name in self.rows if name in wanted]

    def of_kind(self, *kinds: str) -> list[Row]:
        return [row for row in self.rows.values() if row.kind in kinds]

    def of_file(self, file: str) -> list[Row]:
        return [row for row in self.rows.values() if row.file == file]


def load_catalogue(files: Sequence[str] = ()) -> Catalogue:
    """The built-in specifications, and those of `files`, whose rows replace built-in rows of the same name."""
    return _catalogue(tuple((file, _text_of(file)) for file in files))


@lru_cache(maxsize=8)
def _catalogue(files: tuple[tuple[str, str], ...]) -> Catalogue:
    """The same, of files and what stands in them: a file that is changed is read again, no other is."""
    rows: dict[str, Row] = dict(_built_in())
    for file, text in files:
        rows.update(read_text(text, file))
    return Catalogue(_with_parts(rows))


def _with_parts(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Rows made of others, with a fingerprint that changes with any of these: a result is as old as its oldest part."""
    shas: dict[str, str] = {}

    def sha(name: str) -> str:
        if name not in shas:
            row = rows[name]
            shas[name] = row.sha  # what names itself, over however many others, ends here
            parts = _names(msgspec.to_builtins(row)) & rows.keys() - {name} if row.kind in COMPOSED else ()
            if parts:
                shas[name] = digest(row.sha, {part: sha(part) for part in sorted(parts)})
        return shas[name]

    return {name: msgspec.structs.replace(row, sha=sha(name)) for name, row in rows.items()}


def _names(value: Any) -> set[str]:
    """Every text in a row that may be the name of another."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


@cache
def _built_in() -> Mapping[str, Row]:
    rows: dict[str, Row] = {}
    for stem in FILES:
        text = resources.files("crossnn.specs").joinpath(f"{stem}.toml").read_text("utf-8")
        for name, row in read_text(text, f"{stem}.toml", formulas=False).items():
            if name in rows:
                raise SpecError(f"{stem}.toml: [{name}] stands already in {rows[name].file}; names are unique")
            rows[name] = row
    return rows


def _text_of(file: str) -> str:
    """The text of one file of the user's."""
    path = Path(file)
    try:
        found = path.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise SpecError(f"{file}: not a regular file, which every worker process could read again; save it as one")
        if found.st_size > MAX_BYTES:
            raise SpecError(f"{file}: {found.st_size} bytes; a specification file has at most {MAX_BYTES}")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SpecError(f"{file}: cannot be read ({error.strerror}); give a TOML file of specifications") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{file}: not UTF-8 text (byte {error.start}); TOML files are UTF-8") from None


def read_text(text: str, file: str, formulas: bool = True) -> dict[str, Row]:
    """The rows of a TOML text; `file` is named in messages. Without `formulas` they are not parsed yet: those that come
    with crossnn are parsed by its tests, and listing them would take twice as long."""
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of more than 4300 digits
        raise SpecError(f"{file}: not valid TOML: {error or type(error).__name__}") from None
    if not tables:
        raise SpecError(f"{file}: no table in it; a specification is a table such as [softplus] with kind and formula")
    try:
        members = expand(tables)
    except SpecError as error:
        raise SpecError(f"{file}: {error}") from None
    return {name: _row(file, name, table, formulas) for name, table in members.items()}


def _row(file: str, name: str, table: Any, formulas: bool) -> Row:
    try:
        check_name(name)
    except SpecError as error:
        raise SpecError(f"{file}: {error}") from None
    where = f"{file}: [{name}]"
    if isinstance(table, str):
        table = {"kind": "activation", "formula": table}
    if not isinstance(table, dict):
        raise SpecError(f"{where}: expected a table, or a formula in quotes, got {table!r}")
    if table.get("kind") not in KINDS:
        raise SpecError(f"{where}: kind is {table.get('kind')!r}; allowed: {choices(KINDS)}")
    reserved = {"name", "file", "sha"} & table.keys()
    if reserved:
        raise SpecError(f"{where}: {choices(reserved)} cannot be set; the loader fills it in")
    try:
        row: Row = msgspec.convert({**table, "name": name, "file": file, "sha": digest(name, table)}, AnyRow)
        if formulas:
            check_formulas(row)
        check_values(row)
    except msgspec.ValidationError as error:
        raise SpecError(f"{where}: {_explain(error, table)}") from None
    except (FormulaError, SpecError) as error:
        raise SpecError(f"{where}: {error}") from None
    return row


def digest(name: str, table: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that change when anything in the table does."""
    text = msgspec.json.encode({"name": name, **table}, order="deterministic")
    return hashlib.sha256(text).hexdigest()[:12]


def _explain(error: msgspec.ValidationError, table: Mapping[str, Any]) -> str:
    """msgspec says 'Expected `str`, got `int` - at `$.formula`'; we name the key, the value and what is allowed."""
    message, _, path = str(error).partition(" - at `$")
    key = path.rstrip("`").lstrip(".").split(".")[0].split("[")[0]
    struct = next(kind for kind in AnyRow.__args__ if kind.kind == table["kind"])
    filled = ("name", "file", "sha", "family", "varied")
    fields = [field for field in struct.__struct_fields__ if field not in filled]
    value = f" (value {table[key]!r})" if key in table else ""
    where = f"key {key}: " if key else ""
    if key in fields:
        allowed = get_args(get_type_hints(struct)[key])
        if allowed and all(isinstance(one, str) for one in allowed):
            return f"{where}{table[key]!r}; allowed: {choices(allowed)}"
    return (
        f"{where}{message[0].lower()}{message[1:]}{value}. Keys of a row of kind {table['kind']!r}: {choices(fields)}"
    )
