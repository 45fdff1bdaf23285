"""`kedro reproduce` of finished runs: the same bits, or the reason why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


def tree(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_comes_out_the_same_bit_for_bit(small_project: Any) -> None:
    small_project.run("kedro", "run")
    small_project.run("kedro", "run", "--pipelines=evaluate", "evaluate.confidence=0.8")  # its intervals stand now
    [before] = small_project.runs()
    outputs, models = small_project.outputs(), tree(small_project.root / "data/06_models")
    dry = small_project.run("kedro", "reproduce", "latest", "--dry-run").stdout
    assert "Data, code and machine that differ: none" in dry
    assert "nothing that decides the result differs: it must come out the same, bit for bit" in dry
    assert len(small_project.runs()) == 1
    small_project.settings("trainer: {max_epochs: 3}\n")  # today's settings are not those of the run
    said = small_project.run("kedro", "reproduce", before.info.run_id).stdout
    assert "test predictions: bit-identical, all 1,012" in said
    assert said.rstrip().endswith(f"'{before.info.run_name}' came out the same, bit for bit")
    again, first = small_project.runs()
    assert (first.info.run_id, again.info.run_name) == (before.info.run_id, before.info.run_name)
    assert again.data.tags["reproduces"] == before.info.run_id
    assert again.data.tags["config_digest"] == before.data.tags["config_digest"]
    assert (again.info.status, again.data.params) == ("FINISHED", before.data.params)
    tests = {name: value for name, value in before.data.metrics.items() if name.startswith("test/")}
    assert {name: again.data.metrics[name] for name in tests} == tests
    assert (small_project.outputs(), tree(small_project.root / "data/06_models")) == (outputs, models)


def test_a_run_of_other_code_that_comes_out_otherwise_ends_with_1(small_project: Any) -> None:
    small_project.run("kedro", "run")
    source = small_project.root / "src/fovea/models/init.py"
    source.write_text(source.read_text() + "\n# changed\n")
    [run] = small_project.runs()
    [predictions] = (small_project.root / "mlartifacts" / run.info.run_id).rglob("predictions.parquet")
    import pandas as pd

    table = pd.read_parquet(predictions)
    table["predicted"] = table["predicted"].to_numpy()[::-1]
    table.to_parquet(predictions, index=False)
    done = small_project.run("kedro", "reproduce", "latest", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "it may come out otherwise, for 1 reason: uncommitted changes" in done.stdout
    sentence = done.stderr.splitlines()[-1]
    assert f"'{run.info.run_name}' ({run.info.run_id}) did not come out the same" in sentence
    assert "metrics that differ: none" in sentence
    assert "Traceback" not in done.stderr


def test_runs_that_are_not_made_again_alone(make_project: Callable[..., Any]) -> None:
    project = make_project("folds", "trainer: {max_epochs: 1, limit_batches: 2}\ncrossval: {folds: 2}\n")
    project.run("kedro", "run", "--pipelines=crossval")
    summary = json.loads((project.root / "data/08_reporting/crossval.json").read_text())
    for run in project.runs():
        done = project.run("kedro", "reproduce", run.info.run_id, check=False)
        assert done.returncode == 2, done.stdout + done.stderr
    assert summary
    assert len(project.runs()) == 3
