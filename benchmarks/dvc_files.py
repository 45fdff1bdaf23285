"""`dvc add` and `dvc status` of 13,000 pictures, as shards and as loose files, each in a fresh repository.

The pictures are those of the cats-vs-dogs samples, each several times with another comment, so that no two files are
equal. DVC links files into its cache, as this project configures it. Aim: shards take at most a fifteenth of the time.
Each command starts DVC, which takes most of the time of the shards; the ratio is also given without two starts
(`dvc version`).

    python benchmarks/dvc_files.py [PICTURES]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from common import BIN, environment, keep, mirror, timed

_NO_NEWS, _LINKS = ("core.check_update", "false"), ("cache.type", "reflink,hardlink,copy")
_SAMPLES = mirror() / "cats_vs_dogs" / "kagglecatsanddogs_mini.zip"


def main() -> None:
    """Writes both forms, and times DVC on each."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 13_000
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as folder:
        loose, shards = Path(folder) / "loose", Path(folder) / "shards"
        _write_loose(loose / "data", count)
        _write_shards(loose / "data", shards / "data")
        totals = {}
        for name, root in (("loose files", loose), ("shards", shards)):
            times = _dvc(root)
            totals[name] = times["add"] + times["status"]
            files = sum(path.is_file() for path in (root / "data").rglob("*"))
            rows.append(
                {
                    "form": name,
                    "pictures": count,
                    "files": files,
                    **{what: round(seconds, 2) for what, seconds in times.items()},
                    "total": round(totals[name], 2),
                }
            )
        start = 2 * times["start"]
        rows[-1]["loose over shards"] = round(totals["loose files"] / totals["shards"], 1)
        rows[-1]["without starts"] = round((totals["loose files"] - start) / (totals["shards"] - start), 1)
    keep("dvc_files", rows)


def _write_loose(folder: Path, count: int) -> None:
    with zipfile.ZipFile(_SAMPLES) as samples:
        files = [samples.read(info) for info in samples.infolist() if info.filename.endswith("5.jpg")]
    files = [file for file in files if file[:2] == b"\xff\xd8"]
    for number in range(count):
        path = folder / ("cat", "dog")[number % 2] / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = b"%08d" % number
        file = files[number % len(files)]
        path.write_bytes(file[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + file[2:])


def _write_shards(source: Path, folder: Path) -> None:
    """The same pictures as `kedro run --pipelines=prepare` packs them."""
    root = folder.parent
    (root / "conf").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    overrides = ["data=image_folder", "data.name=pictures", f"data.folder={source}", "prepare.near_distance=null"]
    timed([sys.executable, __file__, "--pack", str(folder), *overrides], root, environment(FOVEA_ROOT=str(root)))


def _pack(folder: Path, overrides: list[str]) -> None:
    from common import PROJECT

    from fovea.config.compose import compose
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare

    config = compose(PROJECT / "conf", overrides).config
    prepare(ingest(config["data"]), config["data"], config["prepare"]).publish(folder)


def _dvc(root: Path) -> dict[str, float]:
    dvc, env = str(BIN / "dvc"), environment(DVC_NO_ANALYTICS="true")
    settings = [[dvc, "config", *words] for words in (_NO_NEWS, _LINKS)]
    for command in (["git", "init", "-q"], [dvc, "init", "-q"], *settings):
        subprocess.run(command, cwd=root, env=env, check=True)
    added = timed([dvc, "add", "-q", "data"], root, env).seconds
    status = [timed([dvc, "status", "-q"], root, env).seconds for _ in range(3)]
    start = min(timed([dvc, "version"], root, env).seconds for _ in range(3))
    return {"add": added, "status": min(status), "start": start}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pack"]:
        _pack(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
