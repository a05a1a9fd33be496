"""The benchmark's notation: what is written is read, and every error has its column."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import ContractError
from schemas.findings import Finding
from schemas.notation import PAGE_MODEL, Argument, Edge, SpecDAG, Stage, Symbol, parse, to_text
from schemas.notation.dag import LABEL, MAX_STAGES, MEANING, WORD
from schemas.notation.reader import MAX_CHARACTERS


def refusal(text: str) -> Finding:
    with pytest.raises(ContractError) as failure:
        parse(text)
    (entry,) = failure.value.findings
    assert entry.code == "NOTATION_MALFORMED"
    assert failure.value.exit_code == 4
    return entry


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [PAGE_MODEL, "P(e⁻) → F(diffraction) → D(g, η₁)"])
def test_the_page_s_model(text: str) -> None:
    model = parse(text)
    assert [stage.symbol.value for stage in model.stages] == ["P", "F", "D"]
    assert [[str(a) for a in stage.arguments] for stage in model.stages] == [
        ["e-"],
        ["diffraction"],
        ["g", "eta_1"],
    ]
    assert [(e.source, e.target) for e in model.edges] == [("p1", "f2"), ("f2", "d3")]
    assert model.ends == ("d3",)
    assert to_text(model) == PAGE_MODEL
    assert to_text(model, glyphs=True) == "P(e⁻) → F(diffraction) → D(g, η₁)"


def test_all_primitives_of_the_page_are_known() -> None:
    """Eleven, each with a meaning, by its word and by its glyph."""
    assert len(Symbol) == len(MEANING) == 11
    for symbol in Symbol:
        assert parse(symbol.value).stages[0].symbol is symbol
    for glyph, word in (("Π", "Pi"), ("Σ", "Sigma"), ("Λ", "Lambda")):
        assert parse(f"{glyph}(x)") == parse(f"{word}(x)")


def test_subscripts_of_several_digits() -> None:
    assert parse("D(η₁₂)").stages[0].arguments[0].value == "eta_12"


# --- branches -------------------------------------------------------------------------------------

FORK = "m: M(mask) -> C(psf) -> add: Sigma -> D(g); m -> C(psf_2, boundary=zero) -> add"


def test_a_model_with_branches() -> None:
    model = parse(FORK)
    assert model.inputs("add") == ("c2", "c5")
    assert model.inputs("m") == ()
    assert model.ends == ("d4",)
    assert model.order() == ("m", "c2", "c5", "add", "d4")
    assert model["c5"].arguments == (
        Argument(value="psf_2"),
        Argument(name="boundary", value="zero"),
    )
    assert to_text(model) == FORK


def test_a_label_that_is_used_is_written() -> None:
    """A reader should not have to count stages to find out what m1 is."""
    model = parse("M(a) -> s: Sigma; m1 -> C(b) -> s")
    assert to_text(model) == "m1: M(a) -> s: Sigma; m1 -> C(b) -> s"


def test_spaces_and_a_last_semicolon_do_not_matter() -> None:
    assert parse(" M ( a ,b )\n->  D;") == parse("M(a,b)->D")


# --- round trip -----------------------------------------------------------------------------------

labels = st.from_regex(rf"\A{LABEL}\Z").filter(lambda text: len(text) < 20)
words = st.one_of(
    st.from_regex(rf"\A{WORD}\Z").filter(lambda text: "->" not in text and len(text) < 20),
    st.sampled_from(["e-", "eta_1", "alpha", "e+", "lambda_10", "-1.5e-3", "rayleigh-sommerfeld"]),
)
arguments = st.builds(Argument, name=st.none() | labels, value=words)


@st.composite
def models(draw: st.DrawFn) -> SpecDAG:
    """Any sound model: arrows lead forward in a hidden order, and meet in sums alone."""
    names = draw(st.lists(labels, min_size=1, max_size=7, unique=True))
    stages = []
    for place, name in enumerate(names):
        symbol = draw(st.sampled_from(Symbol))
        own = draw(st.booleans())
        label = name if own else f"{symbol.value.lower()}{place + 1}"
        if label in {stage.label for stage in stages}:
            continue
        given_ = tuple(draw(st.lists(arguments, max_size=3)))
        stages.append(Stage(label=label, symbol=symbol, arguments=given_))
    edges: list[Edge] = []
    hidden = draw(st.permutations(stages))
    for place, target in enumerate(hidden):
        before = [stage.label for stage in hidden[:place]]
        most = len(before) if target.symbol is Symbol.SUMMATION else min(1, len(before))
        sources = (
            draw(st.lists(st.sampled_from(before), max_size=most, unique=True)) if most else []
        )
        edges += [Edge(source=source, target=target.label) for source in sources]
    return SpecDAG(stages=tuple(stages), edges=tuple(draw(st.permutations(edges))))


@given(model=models(), glyphs=st.booleans())
def test_what_is_written_is_read(model: SpecDAG, glyphs: bool) -> None:
    text = to_text(model, glyphs=glyphs)
    assert parse(text) == model
    assert to_text(parse(text), glyphs=glyphs) == text


@given(model=models())
def test_every_stage_follows_its_inputs(model: SpecDAG) -> None:
    order = model.order()
    assert sorted(order) == sorted(stage.label for stage in model.stages)
    for label in order:
        assert all(order.index(source) < order.index(label) for source in model.inputs(label))


@given(text=st.text(max_size=40) | st.text("PFMDCSPi->()e,:;=a1 ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Never another error; and what is read can be written."""
    with contextlib.suppress(ContractError):
        model = parse(text)
        assert parse(to_text(model)) == model


# --- errors ---------------------------------------------------------------------------------------

FAULTS = {
    "": (1, "the end"),
    "P(e-) ->": (9, "the end"),
    "P(e-": (5, "the end"),
    "P()": (3, "')'"),
    "P(e-) F": (7, "'F'"),
    "P(e-)) -> F": (6, "')'"),
    "Q(a)": (1, "'Q'"),
    "M(a) -> q": (9, "'q'"),
    "M(a b)": (5, "'b'"),
    "D(g,,a)": (5, "','"),
    "D(g = )": (7, "')'"),
    "D(G=1)": (3, "'G'"),
    "M(§)": (3, "'§'"),
    "M(a§)": (4, "'§'"),
    "A: M": (1, "'A'"),
    "a: -> M": (4, "'->'"),
    "a: M -> a: C": (12, "a once more"),
    "a: M -> a": (9, "closes a circle"),
    "a: Sigma -> b: Sigma -> a": (25, "closes a circle"),
    "a: M -> b: C; a -> b": (20, "again"),
    "a: M -> b: C; S -> b": (20, "a and s3 into C"),
    "M -> -> C": (6, "'->'"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_an_error_names_its_column(text: str) -> None:
    column, found = FAULTS[text]
    entry = refusal(text)
    assert entry.where == f"notation, column {column}"
    assert found in entry.found
    assert entry.expected
    assert entry.hint


def test_what_is_too_long() -> None:
    assert str(MAX_CHARACTERS) in refusal("M" * (MAX_CHARACTERS + 1)).expected
    assert str(MAX_STAGES) in refusal(" -> ".join(["M"] * (MAX_STAGES + 1))).expected
    assert len(parse(" -> ".join(["M"] * MAX_STAGES)).stages) == MAX_STAGES


@pytest.mark.parametrize(
    ("labels", "edges"),
    [
        (("a", "a"), ()),
        (("a", "b"), (("a", "c"),)),
        (("a", "b"), (("a", "b"), ("b", "a"))),
        (("a", "b"), (("a", "a"),)),
        (("a", "b", "c"), (("a", "c"), ("b", "c"))),
        ((), ()),
    ],
)
def test_records_are_sound_as_well(
    labels: tuple[str, ...], edges: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(ValidationError):
        SpecDAG(
            stages=tuple(Stage(label=label, symbol=Symbol.MODULATION) for label in labels),
            edges=tuple(Edge(source=source, target=target) for source, target in edges),
        )
