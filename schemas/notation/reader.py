"""Text as forward models; every error names its column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from schemas.findings import refuse
from schemas.notation.dag import (
    LABEL,
    MAX_STAGES,
    PAGE_MODEL,
    Argument,
    Edge,
    SpecDAG,
    Stage,
    Symbol,
    automatic_label,
    fault_of,
)
from schemas.notation.glyphs import plain_word

MAX_CHARACTERS = 4000
"""Longest text that is read; the longest model of the benchmark's page has 36 characters."""

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<arrow>->|→|⟶)|(?P<mark>[(),:;=])"
    r"|(?P<word>(?:(?!->)[^\s(),:;=→⟶])+)"
)


def parse(text: str, *, where: str = "notation") -> SpecDAG:
    """Read a model.

    Args:
        text: the model in the language above.
        where: what the text is, for the error message: a file's attribute, an option.

    Raises:
        ContractError: NOTATION_MALFORMED, with the column (from 1), what was expected there, what
            was found, and what to do.
    """
    return _Parser(text, where).model()


@dataclass(frozen=True)
class _Token:
    """A piece of the text: `kind` is arrow, mark, word or end; `column` counts from 1."""

    kind: str
    text: str
    column: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


class _Parser:
    """Reads a model, one token after the other."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        if len(text) > MAX_CHARACTERS:
            self._refuse(
                MAX_CHARACTERS + 1,
                f"at most {MAX_CHARACTERS} characters",
                f"{len(text)}",
                "split the model",
            )
        self._tokens = list(_tokens(text))
        self._place = 0
        self._stages: list[Stage] = []
        self._edges: list[Edge] = []

    def model(self) -> SpecDAG:
        self._chain()
        while self._skip(";"):
            if self._next.kind == "end":  # a last semicolon ends the text
                break
            self._chain()
        if self._next.kind != "end":
            self._unexpected("an arrow ->, a semicolon, or the end")
        return SpecDAG(stages=tuple(self._stages), edges=tuple(self._edges))

    def _chain(self) -> None:
        source = self._stage()
        while self._next.kind == "arrow":
            self._take()
            token = self._next
            target = self._stage()
            edge = Edge(source=source, target=target)
            symbols = {stage.label: stage.symbol for stage in self._stages}
            fault = fault_of(symbols, self._edges, edge)
            if fault is not None:
                self._refuse(token.column, fault.expected, fault.found, fault.hint)
            self._edges.append(edge)
            source = target

    def _stage(self) -> str:
        """Read a stage, or the label of one that is known; returns its label."""
        token = self._next
        if token.kind != "word":
            self._unexpected("a primitive, or the label of a stage")
        word = self._take_word()
        label: str | None = None
        if self._skip(":"):
            label = word
            if not re.fullmatch(LABEL, label):
                self._refuse(
                    token.column,
                    "a label: a small letter, then small letters, digits or _",
                    repr(label),
                    "symbols of primitives are capital, labels are small",
                )
            token = self._next
            if token.kind != "word":
                self._unexpected("a primitive after the label")
            word = self._take_word()
        elif re.fullmatch(LABEL, word):
            return self._known(token, word)
        try:
            symbol = Symbol(word)
        except ValueError:
            self._refuse(
                token.column,
                f"one of the primitives {', '.join(Symbol)}",
                repr(token.text),
                "labels begin with a small letter; docs/primitives.md has the language",
            )
        return self._define(token, label, symbol)

    def _known(self, token: _Token, label: str) -> str:
        known = [stage.label for stage in self._stages]
        if label not in known:
            self._refuse(
                token.column,
                f"the label of a stage before it: {', '.join(known) or 'there is none'}",
                repr(label),
                f"name a stage where it stands first, as in `{label}: M(mask)`",
            )
        return label

    def _define(self, token: _Token, label: str | None, symbol: Symbol) -> str:
        if len(self._stages) == MAX_STAGES:
            self._refuse(token.column, f"at most {MAX_STAGES} stages", "more", "split the model")
        name = label or automatic_label(symbol, len(self._stages) + 1)
        if any(stage.label == name for stage in self._stages):
            self._refuse(
                token.column,
                "a new label",
                f"{name} once more",
                "two stages cannot have one label; a label alone, without a primitive, is the"
                " stage of that name",
            )
        arguments = self._arguments() if self._skip("(") else ()
        self._stages.append(Stage(label=name, symbol=symbol, arguments=arguments))
        return name

    def _arguments(self) -> tuple[Argument, ...]:
        found = [self._argument()]
        while self._skip(","):
            found.append(self._argument())
        if not self._skip(")"):
            self._unexpected("a comma, or the closing bracket )")
        return tuple(found)

    def _argument(self) -> Argument:
        token = self._next
        if token.kind != "word":
            self._unexpected("an argument: a symbol or a number")
        word = self._take_word()
        if not self._skip("="):
            return Argument(value=word)
        if not re.fullmatch(LABEL, word):
            self._refuse(
                token.column,
                "a name in small letters before =",
                repr(token.text),
                "write name=value",
            )
        if self._next.kind != "word":
            self._unexpected(f"the value of {word}")
        return Argument(name=word, value=self._take_word())

    def _take_word(self) -> str:
        """The next word in plain ASCII."""
        token = self._take()
        word, at = plain_word(token.text)
        if word is None:
            self._refuse(
                token.column + at,
                "letters, digits, one of _ . + - ^ * / %, or the page's glyphs",
                repr(token.text[at]),
                "write it in plain letters: eta_1 for η₁, e- for e⁻",
            )
        return word

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def _skip(self, mark: str) -> bool:
        """Whether the next token is this mark; it is taken then."""
        if self._next.kind == "mark" and self._next.text == mark:
            self._take()
            return True
        return False

    def _unexpected(self, expected: str) -> NoReturn:
        token = self._next
        self._refuse(token.column, expected, str(token), f"a model reads like `{PAGE_MODEL}`")

    def _refuse(self, column: int, expected: str, found: str, hint: str) -> NoReturn:
        raise refuse(
            "NOTATION_MALFORMED",
            f"{self._where}, column {column}",
            expected=expected,
            found=found,
            hint=hint,
        )


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "space":
            yield _Token(kind, match.group(), match.start() + 1)
    yield _Token("end", "", len(text) + 1)
