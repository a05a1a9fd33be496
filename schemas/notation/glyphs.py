"""The page's glyphs, and the plain words that stand for them: η₁ and eta_1, e⁻ and e-."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from schemas.notation.dag import WORD, Argument

_LETTERS = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"),
    *("iota", "kappa", "lambda", "mu", "nu", "xi", "omicron", "pi"),
    *("rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)
GREEK: Mapping[str, str] = MappingProxyType(
    dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _LETTERS, strict=True))
)
"""Small Greek letters, and the words that stand for them."""

CAPITALS: Mapping[str, str] = MappingProxyType({"Π": "Pi", "Σ": "Sigma", "Λ": "Lambda"})
"""Glyphs of symbols."""

SUPERSCRIPTS: Mapping[str, str] = MappingProxyType(
    dict(zip("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789", strict=True))
)
SUBSCRIPTS: Mapping[str, str] = MappingProxyType(dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)))


def plain_word(text: str) -> tuple[str | None, int]:
    """(the word in plain ASCII, 0); or (None, where the first strange character stands)."""
    plain, below = "", False
    for at, char in enumerate(text):
        if char in SUBSCRIPTS:
            plain += ("" if below else "_") + SUBSCRIPTS[char]
        elif char in SUPERSCRIPTS:
            plain += SUPERSCRIPTS[char]
        elif char in GREEK or char in CAPITALS:
            plain += {**GREEK, **CAPITALS}[char]
        elif re.fullmatch(WORD, char):
            plain += char
        else:
            return None, at
        below = char in SUBSCRIPTS
    return plain, 0


def with_glyphs(argument: Argument) -> str:
    """`eta_1` as η₁ and `e-` as e⁻; what has no glyphs stays as it is."""
    word, digits = re.fullmatch(r"(.*?)((?:_[0-9]+)?)", argument.value).groups()  # type: ignore[union-attr]
    greek = {name: glyph for glyph, name in GREEK.items()}
    up, down = ({v: k for k, v in glyphs.items()} for glyphs in (SUPERSCRIPTS, SUBSCRIPTS))
    if word in greek:
        word = greek[word]
    elif re.fullmatch(r"[A-Za-z]+[+\-]", word):
        word = word[:-1] + up[word[-1]]
    else:
        return str(argument)
    value = word + "".join(down[digit] for digit in digits[1:])
    return value if argument.name is None else f"{argument.name}={value}"
