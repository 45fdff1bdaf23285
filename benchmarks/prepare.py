"""Pictures per second of the prepare stage, and the memory that it takes, on archives of real JPEG files.

The archives are built from the cats-vs-dogs samples: parts of them, mirrored and cut at random, so that no picture is
like another. Claims: at least 0.8 x the rate of bare `cv2.imdecode` on one core times the cores; the peak memory of all
processes together at 50,000 pictures at most 1.15 x that at 2,000.

    python benchmarks/prepare.py [PICTURES [PICTURES_OF_THE_SMALL_ARCHIVE]]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from common import PROJECT, environment, keep, mirror

_SAMPLES = mirror() / "cats_vs_dogs" / "kagglecatsanddogs_mini.zip"
_NAME = "kagglecatsanddogs_5340.zip"
_DECODED = 1000
_MB = 1024 * 1024


def main() -> None:
    """Builds the archives, then measures each in processes of its own."""
    counts = [int(argument) for argument in sys.argv[1:]] or [50_000]
    small = counts[1] if len(counts) > 1 else 2_000
    cores = len(os.sched_getaffinity(0))
    rows: list[dict[str, object]] = []
    peaks = []
    with tempfile.TemporaryDirectory(prefix="fovea-bench-") as folder:
        for count in (small, counts[0]):
            archive = Path(folder) / str(count) / _NAME
            _build(archive, count)
            before = _bare(archive)
            seconds, peak = _prepare(archive)
            bare = (before + _bare(archive)) / 2
            peaks.append(peak)
            rows.append(
                {
                    "pictures": count,
                    "seconds": round(seconds, 1),
                    "pictures/s": round(count / seconds),
                    "bare decode/s on one core": round(bare),
                    "of cores x bare": round(count / seconds / (cores * bare), 3),
                    "peak MB": round(peak / _MB),
                }
            )
            archive.unlink()
    rows[-1]["peak over small"] = round(peaks[1] / peaks[0], 3)
    keep("prepare", rows)


def _build(archive: Path, count: int) -> None:
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target, ProcessPoolExecutor() as executor:
        for number, file in enumerate(executor.map(_variant, range(count), chunksize=100)):
            target.writestr(f"PetImages/{('Cat', 'Dog')[number % 2]}/{number}.jpg", file)


def _variant(number: int) -> bytes:
    """A part of one of the samples, at least 80 % of each side, at its quality."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(number)
    image = None
    while image is None:
        image = cv2.imdecode(np.frombuffer(_original(int(rng.integers(1000)), number % 2), np.uint8), cv2.IMREAD_COLOR)
    height, width = (rng.uniform(0.8, 1.0, 2) * image.shape[:2]).astype(int).tolist()
    top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(image.shape, (height, width), strict=False))
    part = image[top : top + height, left : left + width]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    return bytes(cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def _original(number: int, label: int) -> bytes:
    with zipfile.ZipFile(_SAMPLES) as samples:
        try:
            return samples.read(f"PetImages/{('Cat', 'Dog')[label]}/{number}.jpg")
        except KeyError:
            return b"\xff"


def _bare(archive: Path) -> float:
    """Pictures per second of decoding alone, on one core, out of memory."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        chosen = names[:: max(1, len(names) // _DECODED)][:_DECODED]
        files = [np.frombuffer(opened.read(name), np.uint8) for name in chosen]
    best = min(_seconds(files) for _ in range(3))
    return len(files) / best


def _seconds(files: list[object]) -> float:
    import cv2

    start = time.perf_counter()
    for file in files:
        cv2.imdecode(file, cv2.IMREAD_COLOR)  # type: ignore[call-overload]
    return time.perf_counter() - start


def _prepare(archive: Path) -> tuple[float, int]:
    """Seconds of the stage, and the peak memory in bytes of its process and all that this started."""
    with tempfile.TemporaryDirectory(prefix="fovea-bench-", dir=archive.parent) as root:
        (Path(root) / "conf").mkdir()
        (Path(root) / "pyproject.toml").touch()
        env = environment(FOVEA_ROOT=root, OMP_NUM_THREADS="1")
        process = subprocess.Popen(
            [sys.executable, __file__, "--stage", str(archive)], cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_memory, _tree(process.pid))))
            time.sleep(0.05)
        assert process.stdout is not None
        if process.returncode:
            sys.exit(f"preparing {archive} ended with {process.returncode}")
        return float(json.loads(process.stdout.read().splitlines()[-1])), peak


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _memory(pid: int) -> int:
    """The proportional set size: pages that several processes share count once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _stage(archive: Path) -> None:
    from fovea.config.compose import compose
    from fovea.pipelines.ingest.nodes import ingest
    from fovea.pipelines.prepare.nodes import prepare

    overrides = ["data=cats_vs_dogs", f"data.folder={archive.parent}", f"data.files.archive.name={archive.name}"]
    overrides += ["data.files.archive.bytes=null", "data.files.archive.md5=null", "data.files.archive.sha256=null"]
    config = compose(PROJECT / "conf", overrides).config
    source = ingest(config["data"])
    start = time.perf_counter()
    prepare(source, config["data"], config["prepare"])
    print(json.dumps(time.perf_counter() - start))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"]:
        _stage(Path(sys.argv[2]))
    else:
        main()
