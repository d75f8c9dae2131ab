"""The sources of an older version of this program, to be run beside this one."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
V0_2_0: Final = "337f6a46865af6f8db3c3759a19295002b01659b"
"""The commit of 0.2.0."""
V0_1_0: Final = "88d4ca7"
"""The last commit of the day of 0.1.0, with its topology."""


class NoSuchVersion(Exception):
    """This clone has not got the commit; the text says why, and what to do."""


def unpack_version(commit: str, directory: Path) -> None:
    """Put `worker/` of `commit` into `directory`, from which `python -m worker` runs it with the
    libraries of this environment. Raises `NoSuchVersion`.
    """
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "worker"], check=False, capture_output=True
    )
    if packed.returncode:
        raise NoSuchVersion(_why_not(commit))
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(directory, filter="data")


def _why_not(commit: str) -> str:
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"],
        check=False,
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        return "this is no clone of the repository, so no older version of it can be run"
    if asked.stdout.strip() == "true":
        return (
            f"this clone is shallow and has no commit {commit[:12]}: run `git fetch --unshallow`, "
            "or clone without --depth"
        )
    return f"this clone has no commit {commit[:12]}: run `git fetch` from where it was cloned"
