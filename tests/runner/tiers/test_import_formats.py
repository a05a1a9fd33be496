"""Other programs' datacubes: each format is read as the counts that were written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from runner.files.challenge import open_challenge
from runner.tiers.imported import ImportOptions, Instrument, Layout, import_scan
from runner.tiers.imported.formats import READERS, LazyArray, open_datacube
from schemas.findings import ContractError
from tests.helpers.digital_micrograph import Calibration, write_dm
from tests.helpers.memory import added_peak_mib

rsciio_hspy = pytest.importorskip("rsciio.hspy")
rsciio_micrograph = pytest.importorskip("rsciio.digitalmicrograph")
rsciio_blockfile = pytest.importorskip("rsciio.blockfile")
emdfile = pytest.importorskip("emdfile")

Writer = Callable[[Path, np.ndarray], Path]

NY, NX, N = 5, 7, 40
MIB_HEADER = 384
EMPAD_ROWS, EMPAD_COLUMNS, EMPAD_FOOTER = 128, 128, 2


def cube(rows: int = N, columns: int = N) -> np.ndarray:
    """A disk of counts, a little off the middle, other counts at every position."""
    y, x = np.arange(rows) - rows // 2 - 1, np.arange(columns) - columns // 2 + 2
    disk = np.hypot(y[:, None], x[None, :]) < 8
    rng = np.random.default_rng(0)
    return rng.poisson(np.where(disk, 40.0, 0.5), (NY, NX, rows, columns)).astype(np.uint16)


def signal(values: np.ndarray) -> dict:
    """As HyperSpy hands a signal to a writer."""
    axes = [
        {
            "name": name,
            "units": "",
            "scale": 1.0,
            "offset": 0.0,
            "size": size,
            "navigate": index < 2,
            "index_in_array": index,
            "_type": "UniformDataAxis",
        }
        for index, (name, size) in enumerate(zip(("y", "x", "dy", "dx"), values.shape, strict=True))
    ]
    return {
        "data": values,
        "axes": axes,
        "metadata": {"General": {"title": "scan"}, "Signal": {"signal_type": ""}},
        "original_metadata": {},
        "learning_results": {},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
        "models": {},
        "package_info": {"package": "test", "package_version": "0"},
    }


def mib(folder: Path, values: np.ndarray) -> Path:
    """Merlin: a text header before each frame, big-endian counts, the last row first."""
    path = folder / "scan.mib"
    frames = values.reshape(-1, *values.shape[2:])
    with path.open("wb") as file:
        for number, frame in enumerate(frames):
            rows, columns = frame.shape
            line, column = divmod(number, values.shape[1])
            head = (
                f"MQ1,{number + 1:06d},{MIB_HEADER:05d},01,{columns:04d},{rows:04d},U16,   1x1,01,"
                f"2020-01-01 00:00:00.000000,0.001,0,0,0,"
                f"2020-01-01T00:00:{line:02d}.{column:06d}000Z,1000000ns,12,"
            )
            file.write(head.encode().ljust(MIB_HEADER, b"\0"))
            file.write(np.flip(frame, 0).astype(">u2").tobytes())
    return path


def blo(folder: Path, values: np.ndarray) -> Path:
    path = folder / "scan.blo"
    rsciio_blockfile.file_writer(str(path), signal(values.astype(np.uint8)), show_progressbar=False)
    return path


def empad(folder: Path, values: np.ndarray) -> Path:
    """EMPAD: 130 rows of float32 of which the last two are none of the detector's."""
    rows = np.zeros((NY, NX, EMPAD_ROWS + EMPAD_FOOTER, EMPAD_COLUMNS), dtype="<f4")
    rows[:, :, :EMPAD_ROWS] = values
    rows[:, :, EMPAD_ROWS:] = -7.0
    (folder / f"scan_x{NX}_y{NY}.raw").write_bytes(rows.tobytes())
    path = folder / "scan.xml"
    path.write_text(
        f'<root><raw_file filename="scan_x{NX}_y{NY}.raw"/><pix_x>{NX}</pix_x><pix_y>{NY}</pix_y>'
        "<timestamp isoformat='2020-01-01T00:00:00'/></root>"
    )
    return path


CALIBRATIONS = (
    Calibration(0.08, "nm"),
    Calibration(0.08, "nm"),
    Calibration(2.67, "mrad", 19.0),
    Calibration(2.67, "mrad", 22.0),
)
"""Of the axes of `cube`: step of the scan, pixel and origin of the detector."""


def micrograph(version: int, *, swapped: bool) -> Writer:
    """A scan as DigitalMicrograph keeps it: pattern by pattern where it says so, else by pixel."""

    def write(folder: Path, values: np.ndarray) -> Path:
        tags = {"Meta Data": {"Format": "Diffraction image"}}
        order = (0, 1, 2, 3)
        if swapped:
            tags["Meta Data"]["Data Order Swapped"] = True
        else:
            order = (2, 3, 0, 1)
        calibrations = [CALIBRATIONS[axis] for axis in order]
        path = folder / f"scan.dm{version}"
        return write_dm(path, values.transpose(order), calibrations, version=version, tags=tags)

    return write


def hspy(folder: Path, values: np.ndarray) -> Path:
    path = folder / "scan.hspy"
    rsciio_hspy.file_writer(str(path), signal(values), show_progressbar=False)
    return path


def py4dstem(folder: Path, values: np.ndarray) -> Path:
    path = folder / "scan.h5"
    emdfile.save(str(path), emdfile.Array(data=values, name="datacube"), mode="o")
    return path


@pytest.mark.parametrize(
    ("write", "values", "scan_shape"),
    [
        (mib, cube(), (NY, NX)),
        (blo, cube(), None),
        (empad, cube(EMPAD_ROWS, EMPAD_COLUMNS), None),
        (micrograph(3, swapped=True), cube(N, N + 6), None),
        (micrograph(4, swapped=True), cube(N, N + 6), None),
        (micrograph(4, swapped=False), cube(N, N + 6), None),
        (hspy, cube(), None),
        (py4dstem, cube(), None),
    ],
    ids=["mib", "blo", "empad", "dm3", "dm4", "dm4-by-pixel", "hspy", "py4dstem"],
)
def test_every_format_gives_the_counts_that_were_written(
    write: Writer, values: np.ndarray, scan_shape: tuple[int, int] | None, tmp_path: Path
) -> None:
    path = write(tmp_path, values)
    with open_datacube(path, Layout(), scan_shape) as found:
        assert found.shape == values.shape
        _, _, rows, columns = values.shape
        whole = {"scan_y": (0, NY), "scan_x": (0, NX), "det_y": (0, rows), "det_x": (0, columns)}
        np.testing.assert_array_equal(found.block(whole), values)
        part = {"scan_y": (2, 3), "scan_x": (1, 6), "det_y": (3, 17), "det_x": (0, 9)}
        np.testing.assert_array_equal(found.block(part), values[2:3, 1:6, 3:17, :9])
        assert path.name in found.name


@pytest.mark.parametrize("version", [3, 4])
def test_micrographs_calibrations_are_of_the_axes_that_they_are_read_as(
    version: int, tmp_path: Path
) -> None:
    path = micrograph(version, swapped=True)(tmp_path, cube(N, N + 6))
    (found,) = rsciio_micrograph.file_reader(str(path))
    axes = found["axes"]
    assert [axis["size"] for axis in axes] == [NY, NX, N, N + 6]
    assert [axis["units"] for axis in axes] == [one.units for one in CALIBRATIONS]
    assert [axis["scale"] for axis in axes] == pytest.approx([one.scale for one in CALIBRATIONS])
    offsets = [-one.origin * one.scale for one in CALIBRATIONS]
    assert [axis["offset"] for axis in axes] == pytest.approx(offsets)


def test_a_foreign_scan_is_imported_as_its_hdf5(tmp_path: Path) -> None:
    values = cube()
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["data"] = values
    options = ImportOptions(
        Instrument(
            energy_eV=80e3,
            semiangle_mrad=21.4,
            C10_A=-100.0,
            Cs_A=0.0,
            scan_step_A=0.8,
            rotation_deg=0.0,
            detector_pixel_mrad=2.67,
        ),
        gain=1.0,
        scan_shape=(NY, NX),
    )
    counts = []
    files = [write(tmp_path, values) for write in (mib, micrograph(4, swapped=False))]
    for source in (tmp_path / "own.h5", *files):
        import_scan(source, tmp_path / "made.h5", options)
        with open_challenge(tmp_path / "made.h5") as challenge:
            counts.append(challenge.sample("sample_00").y.read(0, NY * NX))
    np.testing.assert_array_equal(counts[0], counts[1])
    np.testing.assert_array_equal(counts[0], counts[2])


def test_reading_a_row_does_not_read_the_scan(tmp_path: Path) -> None:
    large = np.random.default_rng(0).poisson(3.0, (48, 48, 96, 96)).astype(np.uint16)
    path = mib(tmp_path, large)
    whole = large.nbytes / 2**20
    del large
    with open_datacube(path, Layout(), (48, 48)) as found, added_peak_mib() as added:
        for row in range(48):
            found.block(
                {"scan_y": (row, row + 1), "scan_x": (0, 48), "det_y": (0, 96), "det_x": (0, 96)}
            )
        assert added() < 1.5 * whole  # mapped pages of the file count as ours; no copy of it does


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_damaged_files_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(b"nothing of the kind" * 40)
    with pytest.raises(ContractError) as raised, open_datacube(path, Layout(), None):
        pass
    assert raised.value.findings[0].code == "INPUT_MALFORMED"


def test_stacks_need_their_scan(tmp_path: Path) -> None:
    stack = LazyArray(cube().reshape(-1, N, N))
    from runner.tiers.imported.formats import _the_one, _unfolded

    with pytest.raises(ContractError, match="--scan-shape"):
        _the_one(tmp_path / "a.mib", [stack], Layout())
    with pytest.raises(ContractError, match="a shape of 35 positions"):
        _unfolded(stack, tmp_path / "a.mib", (4, 4))
    assert _unfolded(stack, tmp_path / "a.mib", (NY, NX)).shape == (NY, NX, N, N)


def test_the_raw_of_empad_leads_to_its_xml(tmp_path: Path) -> None:
    with (
        pytest.raises(ContractError, match=r"scan\.xml"),
        open_datacube(tmp_path / "scan.raw", Layout(), None),
    ):
        pass
