"""How long the commands take that do no work.

Claims: `kedro registry list` at most 1.3 x that of an empty Kedro project; a no-change `dvc repro` at most 4 s.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import BIN, environment, keep, project_copy, timed

_REPEATS = 7


def _empty_project(root: Path) -> None:
    package = root / "src" / "empty"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "empty"\nproject_name = "Empty"\nkedro_init_version = "1.7.0"\n'
        'source_dir = "src"\n'
    )
    (root / "conf" / "base").mkdir(parents=True)
    (root / "conf" / "local").mkdir()
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text("")
    (package / "pipeline_registry.py").write_text(
        "from kedro.pipeline import Pipeline\n\n\ndef register_pipelines():\n    return {'__default__': Pipeline([])}\n"
    )


def main() -> None:
    """Alternates the two projects, so that the machine's mood meets both."""
    kedro, dvc = str(BIN / "kedro"), str(BIN / "dvc")
    quiet = environment(DO_NOT_TRACK="true", KEDRO_DISABLE_TELEMETRY="true")
    rows: list[dict[str, object]] = []
    with project_copy() as root, tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        _empty_project(empty)
        ours, theirs = [], []
        for _ in range(_REPEATS):
            theirs.append(timed([kedro, "registry", "list"], empty, quiet).seconds)
            ours.append(timed([kedro, "registry", "list"], root, quiet).seconds)
        rows.append({"what": "kedro registry list, empty project", "seconds": round(min(theirs), 2)})
        rows.append(
            {
                "what": "kedro registry list",
                "seconds": round(min(ours), 2),
                "over empty": round(min(ours) / min(theirs), 2),
            }
        )
        (root / "conf" / "local" / "overrides.yaml").write_text("trainer: {max_epochs: 1, limit_batches: 2}\n")
        first = timed([dvc, "repro"], root, quiet).seconds
        rows.append({"what": "dvc repro, two batches of training", "seconds": round(first, 2)})
        again = min(timed([dvc, "repro"], root, quiet).seconds for _ in range(3))
        rows.append({"what": "dvc repro, nothing changed", "seconds": round(again, 2)})
    keep("startup", rows)


if __name__ == "__main__":
    main()
