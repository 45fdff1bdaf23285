"""Writes `requirements.lock` from pyproject.toml, or checks that the two agree.

    python scripts/lock.py            # newest versions within the ranges; keeps what is locked already
    python scripts/lock.py --upgrade  # newest versions of everything
    python scripts/lock.py --check    # no network: compares the digest in the lock's first line

The resolver is uv, in a throwaway environment: the project itself does not need it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = "# pyproject.toml dependencies, sha256: "
EXTRAS = ("dev", "export")


def dependencies_digest() -> str:
    """Digest of what the lock is resolved from: the Python range, the dependencies and the locked extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: sorted(project["optional-dependencies"][name]) for name in EXTRAS}
    content = [project["requires-python"], sorted(project["dependencies"]), extras]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def check() -> int:
    """0 if the lock was made from the dependencies as they are, else 1 with a sentence."""
    first = LOCK.read_text().partition("\n")[0]
    if first == HEADER + dependencies_digest():
        return 0
    print("requirements.lock is older than the dependencies in pyproject.toml; run: make lock", file=sys.stderr)
    return 1


def write(upgrade: bool) -> int:
    """Resolves for Linux and macOS, every supported Python, with the hashes of all files, naming no index."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "uv", with_pip=True)
        subprocess.run([home / "uv/bin/python", "-m", "pip", "install", "-q", "uv"], check=True)
        command = [
            str(home / "uv/bin/uv"),
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--generate-hashes",
            "--no-header",
        ]
        command += ["--python-version", "3.11", "--no-emit-index-url", "--no-emit-find-links"]
        command += [argument for extra in EXTRAS for argument in ("--extra", extra)]
        command += ["pyproject.toml", "--output-file", str(home / "lock")]
        if upgrade:
            command.append("--upgrade")
        elif LOCK.exists():
            (home / "lock").write_text(LOCK.read_text())
        subprocess.run(command, cwd=ROOT, check=True)
        body = "".join(line for line in (home / "lock").open() if not line.startswith("#"))
    LOCK.write_text(f"{HEADER}{dependencies_digest()}\n{body}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--upgrade", action="store_true")
    options = parser.parse_args()
    sys.exit(check() if options.check else write(options.upgrade))
