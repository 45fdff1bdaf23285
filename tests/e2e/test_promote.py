"""Two trainings, registered and promoted by the real commands; the champion is loaded and predicts."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

OPEN = ("promote.min_acc=0", "promote.min_class_recall=0", "promote.max_ece=1")
EQUAL = ("promote.margin=1", "promote.max_cost_ratio=1")  # whoever is as large passes, whatever four batches taught it

PREDICT = """
import json, sys
import mlflow
import pandas as pd

mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/digits@champion")
example = json.load(open(sys.argv[1]))["dataframe_split"]
table = model.predict(pd.DataFrame(example["data"], columns=example["columns"]))
print(json.dumps([model.metadata.metadata["run_name"], *table.loc[0, ["predicted", "probability"]]]))
"""


def predicted(project: Any) -> tuple[str, str, float]:
    example = "data/06_models/export/pyfunc/serving_input_example.json"
    name, label, probability = json.loads(project.run("python", "-c", PREDICT, example).stdout.splitlines()[-1])
    return name, label, probability


def test_two_runs_from_training_to_champion_and_back(small_project: Any) -> None:
    for seed in (0, 1):
        small_project.run("kedro", "run", f"seed={seed}", "--pipelines=__default__,export")
    second, first = small_project.runs()
    for run in (first, second):
        assert "of 'digits'" in small_project.run("kedro", "register", run.info.run_id).stdout

    said = small_project.run("kedro", "promote", first.info.run_id, *OPEN).stdout
    assert "there was no champion before" in said
    name, label, probability = predicted(small_project)
    assert name == first.info.run_name
    assert label in "0123456789"
    assert 0.1 <= probability <= 1

    refused = small_project.run("kedro", "promote", "latest", "promote.min_acc=1", *EQUAL, check=False)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "accuracy: " in refused.stdout.splitlines()[-1]
    assert "Traceback" not in refused.stderr

    small_project.run("kedro", "promote", "latest", *OPEN, *EQUAL)
    assert predicted(small_project)[0] == second.info.run_name
    assert small_project.run("kedro", "promote", "--rollback").stdout.startswith("restored: version 1")
    assert predicted(small_project) == (name, label, probability)
    newest = {run.info.run_id: run.data.tags["promotion"] for run in small_project.runs()}
    assert newest == {first.info.run_id: "restored", second.info.run_id: "promoted"}
