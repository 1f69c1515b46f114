"""What `make` does on a machine without compiler or Python headers, with stand-ins for all that it calls."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_tools import ROOT

NOBODY = 65534
REAL_TOOLS = ("bash", "basename", "cat", "env", "mktemp", "rm", "tail")
# A Python with answers to what is asked of it: its version, and whether it has venv and headers.
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) exit {old} ;;
*Python.h*) exit {no_headers} ;;
*ensurepip*) exit {no_venv} ;;
-V) echo "Python 3.10.12" ;;
esac
"""

# Notes the packages that it is to install, one a line.
APT_GET = """#!/bin/sh
for word; do
  case $word in
  -* | install | update) ;;
  *) echo "$word" >> {log} ;;
  esac
done
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


@dataclass(frozen=True)
class Machine:
    """A folder of programs that stands for all that is installed."""

    place: Path

    def program(self, name: str, text: str) -> None:
        path = self.place / name
        path.write_text(text)
        path.chmod(0o755)

    def python(
        self, name: str, *, old: bool = False, no_headers: bool = False, no_venv: bool = False
    ) -> None:
        answers = {"old": int(old), "no_headers": int(no_headers), "no_venv": int(no_venv)}
        self.program(name, PYTHON.format(**answers))

    def run(self, *packages: str, root: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.place / "bash", self.place / "packages", *packages],
            env={"PATH": str(self.place), "TMPDIR": str(self.place)} | variables,
            capture_output=True,
            text=True,
            check=False,
            user=None if root or os.geteuid() else NOBODY,
            cwd="/",
        )

    def installed(self) -> list[str]:
        """The names given to apt-get install."""
        log = self.place / "installed"
        return log.read_text().split() if log.exists() else []


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o777)
        shutil.copy(ROOT / ".ci/packages", place)  # where others than root may read it, too
        for tool in REAL_TOOLS:
            (place / tool).symlink_to(str(shutil.which(tool)))
        made = Machine(place)
        made.program("c++", "#!/bin/sh\n")
        made.python("python3")
        made.program("apt-get", APT_GET.format(log=place / "installed"))
        yield made


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages without sudo")


def test_nothing_is_installed_where_nothing_is_missing(machine: Machine) -> None:
    ran = machine.run()
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "python3\n", "")
    assert machine.installed() == []


@as_root
def test_root_installs_what_is_missing(machine: Machine) -> None:
    (machine.place / "c++").unlink()
    machine.python("python3", no_headers=True)
    ran = machine.run("make")
    assert (ran.returncode, ran.stdout) == (0, "python3\n")
    assert machine.installed() == ["make", "python3-dev", "g++"]
    assert ran.stderr == "installing make python3-dev g++\n"


@as_root
def test_a_python_beside_one_that_is_too_old(machine: Machine) -> None:
    """As on Ubuntu 22.04, whose python3 is 3.10."""
    machine.python("python3", old=True)
    assert machine.run().stdout == "python3.11\n"
    assert machine.installed() == ["python3.11", "python3.11-venv", "python3.11-dev"]
    machine.python("python3.13")
    assert machine.run().stdout == "python3.13\n"


@as_root
def test_a_failed_installation_shows_its_end(machine: Machine) -> None:
    (machine.place / "c++").unlink()
    machine.program("apt-get", "#!/bin/sh\necho 'E: Unable to fetch'\nexit 100\n")
    ran = machine.run()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-2:] == [
        "E: Unable to fetch",
        "these packages could not be installed: g++",
    ]


def test_others_are_told_what_to_run(machine: Machine) -> None:
    (machine.place / "python3").unlink()
    (machine.place / "c++").unlink()
    machine.program("sudo", "#!/bin/sh\nexit 1\n")  # asks for a password
    ran = machine.run(root=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "run this first, as root or with sudo: "
        "apt-get update && apt-get install -y python3 python3-venv python3-dev g++\n"
    )
    machine.program("sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    machine.program("true", "#!/bin/sh\n")
    assert machine.run(root=False).returncode == 0
    assert machine.installed() == ["python3", "python3-venv", "python3-dev", "g++"]


def test_other_systems_get_the_names(machine: Machine) -> None:
    (machine.place / "c++").unlink()
    (machine.place / "apt-get").unlink()
    ran = machine.run()
    assert (ran.returncode, ran.stderr) == (1, "install these first, by the names that they have here: g++\n")


def test_a_python_that_was_asked_for_is_never_replaced(machine: Machine) -> None:
    machine.python("mine", old=True)
    ran = machine.run(PYTHON="mine")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("gspc needs Python 3.11 or later, and mine is Python 3.10.12; ")
