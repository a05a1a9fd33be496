"""A participant's machine: a virtual environment of its own, with stem4d from its wheel.

What stem4d needs is taken from the environment that the tests run in, so that nothing is fetched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Machine:
    """A shell with `stem4d`, `python` and `pytest` of its own.

    Attributes:
        bin: folder of its programs.
        wheel: stem4d's wheel, as installed.
    """

    bin: Path
    wheel: Path

    def shell(
        self, script: str, folder: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as CI does: it ends at the first command that fails."""
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        environment |= {"PATH": f"{self.bin}:{os.environ['PATH']}", "VIRTUAL_ENV": ""} | variables
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            check=False,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )


def make_machine(folder: Path) -> Machine:
    """Build the wheel and install it into a new virtual environment."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    inside = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    packages = Path(inside.stdout.strip())
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True)
    # Behind the environment's own packages, so that the wheel comes before an editable stem4d.
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return Machine(python.parent, wheel)
