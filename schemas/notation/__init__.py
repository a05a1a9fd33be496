"""The benchmark's language for forward models: `P(e-) -> F(diffraction) -> D(g, eta_1)`.

    model     = chain { ";" chain }
    chain     = stage { arrow stage }
    stage     = [ label ":" ] symbol [ "(" argument { "," argument } ")" ]  |  label
    argument  = [ name "=" ] word
    symbol    = "P" | "M" | "Pi" | "F" | "C" | "Sigma" | "D" | "S" | "W" | "R" | "Lambda"
    arrow     = "->" | "→" | "⟶"

A label begins with a small letter; a stage that consists of a label alone is the one that was named
so before, and is how a model branches. Several arrows may end in a Sigma only, which adds what they
bring; none may lead back. A stage without a label is called by its symbol in small letters and its
number in the text (`p1`, `f2`). The page's glyphs (Π, Σ, Λ, superscript signs and digits, subscript
digits, small Greek letters) stand for the same words: `D(g, η₁)` is `D(g, eta_1)`.
"""

from schemas.notation.dag import PAGE_MODEL, Argument, Edge, SpecDAG, Stage, Symbol
from schemas.notation.reader import parse
from schemas.notation.writer import to_text

__all__ = ["PAGE_MODEL", "Argument", "Edge", "SpecDAG", "Stage", "Symbol", "parse", "to_text"]
