from __future__ import annotations

import json

from fovea.tracking.charts import PICTURES, chart_state
from fovea.tracking.guide import COLUMNS, experiment_tags


def test_every_panel_is_in_a_section_of_the_view_and_has_a_name_of_its_own() -> None:
    state = chart_state()
    sections = {section["uuid"]: section["name"] for section in state["compareRunSections"]}
    cards = state["compareRunCharts"]
    assert {sections[card["metricSectionId"]] for card in cards} == {
        "at a glance",
        "parameters that differ",
        "pictures",
    }
    assert len({card["uuid"] for card in cards} | set(sections)) == len(cards) + len(sections)
    assert list(sections.values())[:5] == ["at a glance", "parameters that differ", "pictures", "val", "train"]
    assert [card["imageKeys"] for card in cards if card["type"] == "IMAGE"] == [[f"pictures/{one}"] for one in PICTURES]


def test_curves_are_over_the_step_which_is_the_epoch() -> None:
    lines = [card for card in chart_state()["compareRunCharts"] if card["type"] == "LINE"]
    assert [line["selectedMetricKeys"] for line in lines] == [["val/acc"], ["train/loss", "val/loss"]]
    assert {line["xAxisKey"] for line in lines} == {"step"}


def test_the_view_of_trainings_has_columns_and_panels_that_of_data_has_columns_alone() -> None:
    def state(experiment: str) -> dict[str, object]:
        view = json.loads(experiment_tags(experiment)["mlflow.sharedViewState.fovea"])
        return dict(json.loads(view["state"]))

    trainings, data = state("fovea"), state("fovea-data")
    assert trainings["selectedColumns"] == list(COLUMNS)
    assert chart_state().items() <= trainings.items()
    assert "compareRunCharts" not in data
    assert len(experiment_tags("fovea")["mlflow.sharedViewState.fovea"]) <= 5000  # MLflow's limit of a tag
