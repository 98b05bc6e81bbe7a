"""The texts of the lesson: one catalogue of messages for each language, with the same keys and placeholders."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

LANGUAGES = ("en", "ru")


@cache
def messages(language: str) -> Mapping[str, str]:
    """`section.key` -> text."""
    text = resources.files("crossnn.lesson").joinpath(f"texts_{language}.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    return {f"{section}.{key}": value for section, table in tables.items() for key, value in table.items()}


def placeholders(text: str) -> frozenset[str]:
    """The names in braces."""
    return frozenset(re.findall(r"\{(\w+)\}", text))


@dataclass(frozen=True)
class Texts:
    """Says everything in one language."""

    language: str

    def __call__(self, key: str, **values: object) -> str:
        text = messages(self.language)[key]
        for name in placeholders(text):
            text = text.replace(f"{{{name}}}", str(values[name]))
        return text
