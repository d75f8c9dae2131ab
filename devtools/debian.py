"""Debian's packages, installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess

_LOCK = "DPkg::Lock::Timeout=120"
"""Seconds to wait for another process that installs something."""


def trouble_with(package: str) -> str | None:
    """Install `package`. None when that is done; else what keeps it from that, as a sentence."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"install Debian's package {package} (as root this is done for you)"
    # RUNLEVEL=1 keeps the package from starting the system's own service.
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "-o", _LOCK, "update", "-qq"],
        ["apt-get", "-o", _LOCK, "install", "-y", "-qq", "--no-install-recommends", package],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}"
    return None
