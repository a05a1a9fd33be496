"""Forward models as text."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.notation.dag import SpecDAG, Stage, automatic_label
from schemas.notation.glyphs import CAPITALS, with_glyphs


def to_text(model: SpecDAG, *, glyphs: bool = False) -> str:
    """The model in the language; `parse` gives the same record back.

    Args:
        model: the model.
        glyphs: with the page's arrows, Greek letters, super- and subscripts instead of plain ASCII.
    """
    chains = _chains(model)
    named = _labels_to_print(model, chains)
    defined: set[str] = set()
    texts = []
    for chain in chains:
        words = []
        for label in chain:
            words.append(label if label in defined else _stage_text(model[label], named, glyphs))
            defined.add(label)
        texts.append(f" {'→' if glyphs else '->'} ".join(words))
    return "; ".join(texts)


def _chains(model: SpecDAG) -> list[list[str]]:
    """Labels of each chain: every stage is met in the model's order, every arrow drawn once."""
    chains: list[list[str]] = []
    drawn: set[tuple[str, str]] = set()
    met: set[str] = set()

    def close() -> None:
        """Lead the open chain into stages that have been met already."""
        while chains:
            last = chains[-1][-1]
            into = [
                e.target
                for e in model.edges
                if e.source == last and e.target in met and (last, e.target) not in drawn
            ]
            if not into:
                return
            drawn.add((last, into[0]))
            chains[-1].append(into[0])

    for stage in model.stages:
        sources = [label for label in model.inputs(stage.label) if label in met]
        if chains and chains[-1][-1] in sources:
            drawn.add((chains[-1][-1], stage.label))
            chains[-1].append(stage.label)
        else:
            close()
            drawn.update((label, stage.label) for label in sources[:1])
            chains.append([*sources[:1], stage.label])
        met.add(stage.label)
    close()
    chains += [[e.source, e.target] for e in model.edges if (e.source, e.target) not in drawn]
    return chains


def _labels_to_print(model: SpecDAG, chains: Sequence[Sequence[str]]) -> set[str]:
    """Labels that the text must spell out: those that are not automatic, or are used again."""
    labels = [label for chain in chains for label in chain]
    again = {label for label in labels if labels.count(label) > 1}
    own = {
        stage.label
        for number, stage in enumerate(model.stages, start=1)
        if stage.label != automatic_label(stage.symbol, number)
    }
    return again | own


def _stage_text(stage: Stage, named: set[str], glyphs: bool) -> str:
    label = f"{stage.label}: " if stage.label in named else ""
    symbol = stage.symbol.value
    words = [str(argument) for argument in stage.arguments]
    if glyphs:
        symbol = {word: glyph for glyph, word in CAPITALS.items()}.get(symbol, symbol)
        words = [with_glyphs(argument) for argument in stage.arguments]
    return f"{label}{symbol}({', '.join(words)})" if words else f"{label}{symbol}"
