"""Specimens: periodic, deterministic, of the right lattice, and in agreement with abTEM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runner.tiers.specimens import (
    FAMILIES,
    Specimen,
    draw_specimen,
    from_structure_file,
    public_specimen,
    public_specimens,
)
from runner.tiers.specimens.amorphous import DENSITY_G_CM3, amorphous_carbon
from runner.tiers.specimens.catalog import builder
from runner.tiers.specimens.crystal import Atoms, Box, Cell, Crystal, atoms_of, distances
from runner.tiers.specimens.dislocation import DislocationPair
from runner.tiers.specimens.draw import build_specimen
from runner.tiers.specimens.potential import (
    MAX_PHASE_RAD,
    PIXEL_BLUR_PX,
    image,
    projected_potential,
    specimen,
)
from runner.tiers.specimens.supercell import MAX_STRAIN_PERCENT, fill, fits
from runner.tiers.specimens.thermal import rms_displacement_A
from schemas.challenge import Tier
from schemas.findings import ContractError

SHAPE, SAMPLING = (128, 128), 0.2
BOX = Box(25.6, 25.6)
ALL_FAMILIES = [family for families in FAMILIES.values() for family in families]

SPACING_A = {
    "mos2_vacancies": 2.737,
    "twisted_bilayer_graphene": 2.131,
    "srtio3_001": 2.761,
    "wse2_line_defects": 2.842,
    "silicon_110": 3.136,
    "mgo_terraces": 2.106,
    "bismuth_selenide_defects": 3.584,
    "boron_nitride_pits": 2.169,
    "aluminium_grain_boundary": 2.025,
    "platinum_on_ceria": 2.706,
    "gan_edge_dislocations": 2.762,
}
"""Lattice spacing of a strong reflection of each crystal, from its literature lattice constant."""

COHERENT_A = {
    "wse2_line_defects": 19.0,
    "gan_edge_dislocations": 12.8,
    "aluminium_grain_boundary": 12.8,
}
"""Size of the part of the box over which one perfect lattice runs, where it is not all of it."""


@pytest.fixture(scope="module")
def crystals() -> dict[str, Crystal]:
    return {name: builder(name)(BOX, np.random.default_rng(11)) for name in ALL_FAMILIES}


@pytest.fixture(scope="module")
def images(crystals: dict[str, Crystal]) -> dict[str, np.ndarray]:
    return {name: image(crystal, BOX, SHAPE)[0] / 65535 for name, crystal in crystals.items()}


# --- what every specimen is -----------------------------------------------------------------------


def check(drawn: Specimen) -> None:
    assert drawn.x.dtype == np.float32
    assert drawn.x.min() == 0.0
    assert drawn.x.max() == 1.0
    assert 0.25 < drawn.phase_scale_rad <= MAX_PHASE_RAD
    assert 0.0 <= drawn.strain_percent <= MAX_STRAIN_PERCENT
    assert not drawn.x.flags.writeable
    np.testing.assert_array_equal(np.rint(drawn.x * 65535) / np.float32(65535), drawn.x)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_same_seed_same_bytes_and_another_seed_another_scene(family: str) -> None:
    first, again, other = (
        draw_specimen(family, np.random.default_rng(seed), SHAPE, SAMPLING) for seed in (3, 3, 4)
    )
    check(first)
    assert first.x.tobytes() == again.x.tobytes()
    assert first.phase_scale_rad == again.phase_scale_rad
    assert first.x.tobytes() != other.x.tobytes()


def test_tiers_share_no_family() -> None:
    assert set(FAMILIES) == set(Tier)
    assert len(ALL_FAMILIES) == len(set(ALL_FAMILIES))
    assert min(len(families) for families in FAMILIES.values()) >= 4


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_no_two_atoms_overlap(family: str, crystals: dict[str, Crystal]) -> None:
    atoms = crystals[family].atoms
    assert distances(atoms, BOX).min() > 1.29  # the closest carbon atoms of the amorphous film
    assert np.all((atoms.positions[:, :2] >= 0) & (atoms.positions[:, :2] < BOX.size))


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_the_image_wraps_without_a_seam(family: str, images: dict[str, np.ndarray]) -> None:
    x = images[family]
    for axis in (0, 1):
        steps = np.sqrt(((x - np.roll(x, -1, axis)) ** 2).mean(axis=1 - axis))
        assert steps[-1] <= steps[:-1].max()


@pytest.mark.parametrize("family", sorted(SPACING_A))
def test_lattice_spacing_is_that_of_the_crystal(
    family: str, crystals: dict[str, Crystal], images: dict[str, np.ndarray]
) -> None:
    power = np.abs(np.fft.fft2(images[family] - images[family].mean())) ** 2
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(128, SAMPLING)] * 2, indexing="ij"))
    expected = 1 / SPACING_A[family]
    ring = np.abs(k / expected - 1) < 0.12
    brightest = np.unravel_index(np.where(ring, power, 0.0).argmax(), power.shape)
    beyond_terraces = k > 0.15
    assert power[brightest] > 0.1 * power[beyond_terraces].max()
    strain = crystals[family].strain_percent / 100
    tolerance = expected * (strain / (1 - strain) + 1e-3)
    if family in COHERENT_A:
        tolerance += 0.5 / COHERENT_A[family]  # half the width of a spot
    assert abs(k[brightest] - expected) < tolerance


def test_rows_are_y_and_columns_are_x() -> None:
    one = atoms_of(("Au", 5.0, 12.0, 0.0))
    potential = projected_potential(one, Box(25.6, 12.8), (128, 64))
    assert np.unravel_index(potential.argmax(), potential.shape) == (60, 25)


# --- moving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 16), (12, 20)])
def test_moving_is_exact_and_reaches_every_orientation(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    levels = rng.permutation(np.arange(shape[0] * shape[1], dtype=np.uint16)).reshape(shape)
    levels = np.where(levels == levels.max(), 65535, levels).astype(np.uint16)
    still = specimen(
        levels,
        500.0,
        name="t",
        family="t",
        sampling_A=0.2,
        energy_eV=80e3,
        description="",
        strain_percent=0.0,
    )
    seen = set()
    for _ in range(200):
        moved = still.moved(rng)
        assert moved.x.shape == shape
        np.testing.assert_array_equal(np.sort(moved.x.ravel()), np.sort(still.x.ravel()))
        # Pixels that were neighbours still are: the value right of the minimum tells the turn.
        row, col = np.unravel_index(moved.x.argmin(), shape)
        seen.add((moved.x[row, (col + 1) % shape[1]], moved.x[(row + 1) % shape[0], col]))
    assert len(seen) == (8 if shape[0] == shape[1] else 4)


# --- what ships -----------------------------------------------------------------------------------


def test_what_ships_is_what_is_documented() -> None:
    found = public_specimens()
    assert tuple(found) == FAMILIES[Tier.PUBLIC]
    for variants in found.values():
        assert len(variants) == 6
        assert len({variant.levels.tobytes() for variant in variants}) == 6
        for variant in variants:
            assert variant.levels.shape == SHAPE
            assert (variant.levels.min(), variant.levels.max()) == (0, 65535)


@pytest.mark.parametrize("family", FAMILIES[Tier.PUBLIC])
def test_what_ships_is_what_the_builders_make(family: str) -> None:
    from runner.tiers.specimens import precompute

    number = FAMILIES[Tier.PUBLIC].index(family)
    crystal = builder(family)(BOX, np.random.default_rng([precompute._SEED, number, 0]))
    levels, range_VA = image(crystal, BOX, SHAPE)
    shipped = public_specimens()[family][0]
    assert shipped.description == crystal.description
    assert shipped.range_VA == pytest.approx(range_VA, rel=1e-6)
    np.testing.assert_allclose(levels / 65535, shipped.levels / 65535, atol=1e-4)


def test_shipped_specimens_need_no_extra_and_others_say_what_they_need() -> None:
    script = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"abtem", "ase", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import numpy as np
from runner.tiers.specimens import FAMILIES, draw_specimen, from_structure_file, public_specimen
from schemas.findings import ContractError
for family in FAMILIES["public"]:
    assert public_specimen(family, np.random.default_rng(1)).x.shape == (128, 128)
    assert draw_specimen(family, np.random.default_rng(1)).x.max() == 1
for build in (
    lambda rng: draw_specimen(FAMILIES["dev"][0], rng),
    lambda rng: draw_specimen(FAMILIES["public"][0], rng, (160, 160)),
    lambda rng: from_structure_file(__import__("pathlib").Path("a.cif"), rng),
):
    try:
        build(np.random.default_rng(1))
    except ContractError as error:
        assert error.findings[0].code == "EXTRA_MISSING"
        assert "stem4d[organizer]" in error.findings[0].hint
    else:
        raise AssertionError("built without the extra")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_phase_follows_the_interaction_parameter() -> None:
    from abtem.core.energy import energy2sigma

    slow, fast = (
        public_specimen("srtio3_001", np.random.default_rng(2), energy_eV=energy)
        for energy in (80e3, 300e3)
    )
    np.testing.assert_array_equal(slow.x, fast.x)
    ratio = energy2sigma(80e3) / energy2sigma(300e3)
    assert slow.phase_scale_rad / fast.phase_scale_rad == pytest.approx(ratio, rel=1e-4)


def test_unknown_family_is_named() -> None:
    with pytest.raises(ContractError, match="unobtainium"):
        draw_specimen("unobtainium", np.random.default_rng(0))


# --- the potential --------------------------------------------------------------------------------


def test_potential_agrees_with_abtem(crystals: dict[str, Crystal]) -> None:
    """abTEM interpolates atoms onto its grid, so it is asked on a grid four times finer."""
    import abtem

    atoms = crystals["srtio3_001"].atoms
    fine = (512, 512)
    k2 = np.add.outer(*[np.fft.fftfreq(512, 0.05) ** 2] * 2)
    total = np.zeros(fine)
    for symbol in np.unique(atoms.symbols):
        one = atoms.where(atoms.symbols == symbol)
        model = ase.Atoms(list(one.symbols), one.positions, cell=[25.6, 25.6, 12.0])
        potential = abtem.Potential(
            model, gpts=fine, projection="infinite", parametrization="lobato", slice_thickness=12.0
        )
        array = np.asarray(potential.build(lazy=False).array).sum(axis=0)
        width2 = rms_displacement_A(str(symbol)) ** 2 + (PIXEL_BLUR_PX * SAMPLING) ** 2
        smeared = np.fft.ifft2(np.fft.fft2(array) * np.exp(-2 * np.pi**2 * width2 * k2)).real
        total += smeared.T  # abTEM's first axis is x
    ours = projected_potential(atoms, BOX, SHAPE)
    theirs = total[::4, ::4]
    ours, theirs = ours - ours.min(), theirs - theirs.min()
    assert np.linalg.norm(ours - theirs) < 0.01 * np.linalg.norm(ours)
    assert np.ptp(ours) == pytest.approx(np.ptp(theirs), rel=0.01)


def test_sampling_does_not_alias() -> None:
    """The same potential on a grid twice as fine, with the same blur in A, agrees at the pixels."""
    one = atoms_of(("Au", 3.31, 2.17, 0.0), ("O", 5.0, 5.5, 0.0))
    coarse = projected_potential(one, Box(9.6, 9.6), (48, 48))
    spectrum = np.fft.fft2(coarse)
    at_nyquist = np.abs(spectrum[24, :]).max()
    assert at_nyquist < 0.01 * np.abs(spectrum[0, 0])
    assert coarse.min() > -1e-3 * coarse.max()  # no ringing below the vacuum


def test_vacancies_are_seen() -> None:
    crystal = builder("mos2_vacancies")(BOX, np.random.default_rng(5))
    potential = projected_potential(crystal.atoms, BOX, SHAPE)
    potential -= potential.min()
    sulphur = crystal.atoms.where(crystal.atoms.symbols == "S").positions[:, :2]
    together = np.linalg.norm(BOX.nearest(sulphur[:, None] - sulphur[None]), axis=-1) < 0.3
    pixels = np.rint(sulphur / SAMPLING).astype(int) % 128
    values = potential[pixels[:, 1], pixels[:, 0]]
    single, double = values[together.sum(1) == 1], values[together.sum(1) == 2]
    assert len(single) >= 1
    assert single.max() < 0.75 * double.min()
    molybdenum = crystal.atoms.indices_of("Mo")
    empty = 2 * len(molybdenum) - len(sulphur)
    singles, doubles = (int(word) for word in crystal.description.split() if word.isdigit())
    assert (singles, singles + 2 * doubles) == (len(single), empty)


def test_too_thick_is_refused() -> None:
    stack = Atoms(np.full(4, "Au"), np.array([[5.0, 5.0, 3.0 * i] for i in range(4)]))
    levels, range_VA = image(Crystal(stack, "gold column", 0.0), Box(10.0, 10.0), (50, 50))
    with pytest.raises(ContractError, match="thin phase object"):
        specimen(
            levels,
            range_VA,
            name="column",
            family="t",
            sampling_A=0.2,
            energy_eV=80e3,
            description="",
            strain_percent=0.0,
        )


# --- fitting crystals into the box ----------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    a=st.floats(2.4, 6.0),
    ratio=st.floats(0.8, 1.3),
    angle=st.floats(60.0, 120.0),
    width=st.floats(20.0, 30.0),
    height=st.floats(20.0, 30.0),
)
def test_a_fitted_crystal_closes_on_itself(
    a: float, ratio: float, angle: float, width: float, height: float
) -> None:
    turn = np.deg2rad(angle)
    lattice = np.array([[a, 0.0], [a * ratio * np.cos(turn), a * ratio * np.sin(turn)]])
    cell = Cell(lattice, atoms_of(("C", 0.1, 0.2, 0.0)))
    box = Box(height, width)
    found = fits(cell, box)
    assume(found)
    bulk = min(np.linalg.norm(n @ lattice) for n in np.array([[1, 0], [0, 1], [1, 1], [1, -1]]))
    for fit in found[:3]:
        atoms = fill(cell, fit, box)
        nearest = distances(atoms, box).min(axis=1)
        limit = fit.strain_percent / 100 + 1e-6
        assert limit <= MAX_STRAIN_PERCENT / 100 + 2e-6
        assert np.all(np.abs(nearest / bulk - 1) <= limit)
        density = len(atoms) * abs(np.linalg.det(lattice)) / (width * height)
        assert abs(density - 1) <= 2.1 * limit


def test_a_box_that_nothing_fits_names_one_that_would_do() -> None:
    with pytest.raises(ContractError, match="would do") as caught:
        build_specimen("bismuth_selenide_defects", np.random.default_rng(0), (128, 160), 0.2)
    words = caught.value.findings[0].hint.split("a box of ")[1].split()
    suggested = Box(float(words[2]), float(words[0]))
    side = np.array([[4.139, 0.0], [-2.0695, 3.5845]])
    assert fits(Cell(side, atoms_of(("Bi", 0.0, 0.0, 0.0))), suggested)


# --- single kinds of material ---------------------------------------------------------------------


def test_amorphous_carbon_has_carbons_neighbours() -> None:
    thickness = 7.0
    film = amorphous_carbon(BOX, thickness, np.random.default_rng(1))
    grams = len(film) * 12.011 / 6.02214e23
    assert grams / (25.6**2 * thickness * 1e-24) == pytest.approx(DENSITY_G_CM3, rel=0.01)
    apart = distances(film, BOX)
    assert apart.min() >= 1.3 - 1e-9
    assert np.median(apart.min(axis=1)) == pytest.approx(1.42, abs=0.05)
    assert 3.0 < (apart < 1.9).sum(axis=1).mean() < 3.7
    between = ((apart > 1.85) & (apart < 2.1)).sum() / len(film)
    assert between < 0.2  # the gap between first and second neighbours


def test_gold_particle_is_gold() -> None:
    crystal = builder("gold_on_amorphous_carbon")(BOX, np.random.default_rng(8))
    gold = crystal.atoms.where(crystal.atoms.symbols == "Au")
    assert distances(gold, BOX).min() == pytest.approx(4.078 / np.sqrt(2), rel=1e-6)
    assert f"{len(gold)} atoms" in crystal.description


PAIR = DislocationPair(np.array([8.0, 7.0]), np.array([2.5, 1.9]), 3, 0.25)


def test_dislocation_field_is_periodic_and_jumps_by_the_burgers_vector() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(50, 2)) * BOX.size
    periods = np.array([[0.0, 0.0], [BOX.width_A, 0.0], [0.0, BOX.height_A]])
    shifted = (periods[:, None] + points).reshape(-1, 2)
    field = PAIR.displacement(shifted, BOX).reshape(3, 50, 2)
    np.testing.assert_allclose(field[1], field[0], atol=0.01)
    np.testing.assert_allclose(field[2], field[0], atol=0.01)
    along = PAIR.burgers / np.linalg.norm(PAIR.burgers)
    across = 1e-6 * np.array([-along[1], along[0]])
    middle = PAIR.first + 1.5 * PAIR.burgers
    outside = PAIR.first - 1.5 * PAIR.burgers
    sides = PAIR.displacement(
        np.stack([middle - across, middle + across, outside - across, outside + across]), BOX
    )
    np.testing.assert_allclose(sides[0] - sides[1], PAIR.burgers, atol=1e-4)
    np.testing.assert_allclose(sides[2], sides[3], atol=1e-4)


def test_dislocation_field_is_in_elastic_equilibrium() -> None:
    """Navier's equation, (1 - 2 nu) laplace(u) + grad(div u) = 0, by finite differences."""
    h = 1e-2
    point = np.array([14.0, 15.0])
    steps = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)]) * h
    u = PAIR.displacement(point + steps, BOX).reshape(3, 3, 2)
    uxx = (u[2, 1] - 2 * u[1, 1] + u[0, 1]) / h**2
    uyy = (u[1, 2] - 2 * u[1, 1] + u[1, 0]) / h**2
    uxy = (u[2, 2] - u[2, 0] - u[0, 2] + u[0, 0]) / (4 * h**2)
    div = np.array([uxx[0] + uxy[1], uxy[0] + uyy[1]])
    residual = (1 - 2 * PAIR.poisson) * (uxx + uyy) + div
    assert np.abs(residual).max() < 1e-3 * max(np.abs(uxx).max(), np.abs(uyy).max())


# --- users' files ---------------------------------------------------------------------------------


def test_a_periodic_file_fills_the_box(tmp_path: Path) -> None:
    path = tmp_path / "mgo.cif"
    ase.io.write(path, ase.build.bulk("MgO", "rocksalt", a=4.212, cubic=True))
    drawn = from_structure_file(path, np.random.default_rng(1), SHAPE, SAMPLING)
    check(drawn)
    assert (drawn.name, drawn.family) == ("mgo", "file")
    power = np.abs(np.fft.fft2(drawn.x - drawn.x.mean())) ** 2
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(128, SAMPLING)] * 2, indexing="ij"))
    assert k.ravel()[power.argmax()] * 2.106 == pytest.approx(1.0, abs=0.031)


def test_a_tilted_cell_is_seen_along_its_normal(tmp_path: Path) -> None:
    flat = ase.build.mx2("MoS2", a=3.16, thickness=3.12, vacuum=5.0)
    flat.pbc = True
    tilted = flat.copy()
    tilted.rotate(50.0, (1.0, 2.0, 3.0), rotate_cell=True)
    seen = []
    for name, model in (("flat", flat), ("tilted", tilted)):
        path = tmp_path / f"{name}.extxyz"
        ase.io.write(path, model)
        seen.append(from_structure_file(path, np.random.default_rng(2), SHAPE, SAMPLING))
    np.testing.assert_allclose(seen[0].x, seen[1].x, atol=1e-3)


def test_a_molecule_stands_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "c60.xyz"
    ase.io.write(path, ase.build.molecule("C60"))
    drawn = from_structure_file(path, np.random.default_rng(1), SHAPE, SAMPLING)
    check(drawn)
    assert drawn.strain_percent == 0.0
    rows, cols = np.indices(SHAPE)
    weight = np.where(drawn.x > 0.05, drawn.x, 0.0)
    centre = [float((weight * axis).sum() / weight.sum()) for axis in (rows, cols)]
    assert centre == pytest.approx([64.0, 64.0], abs=0.5)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "INPUT_NOT_FOUND"),
        ("no structure\nat all\n", "INPUT_MALFORMED"),
        ("1\n\nX 0.0 0.0 0.0\n", "INPUT_MALFORMED"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, content: str | None, code: str) -> None:
    path = tmp_path / "bad.xyz"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ContractError) as caught:
        from_structure_file(path, np.random.default_rng(0))
    assert caught.value.findings[0].code == code


def test_a_structure_larger_than_the_box_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.xyz"
    ase.io.write(path, ase.Atoms("C2", [[0, 0, 0], [40.0, 0, 0]]))
    with pytest.raises(ContractError, match="larger object shape"):
        from_structure_file(path, np.random.default_rng(0))


def test_a_longer_symbol_is_not_cut_short() -> None:
    carbon = Atoms(np.array(["C", "C", "C"]), np.zeros((3, 3)))
    assert carbon.renamed(np.array([1]), "Si").symbols.tolist() == ["C", "Si", "C"]
