"""The model card: facts of the run, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import yaml
from huggingface_hub import ModelCard

from fovea.registry.card import Subject, card

Make = Callable[..., Subject]


def test_hugging_face_reads_the_front_matter(subject: Make) -> None:
    read = ModelCard(card(subject({"licence": "Apache-2.0"})))
    assert (read.data.license, read.data.library_name) == ("apache-2.0", "mlflow")
    assert read.data.pipeline_tag == "image-classification"
    assert read.data.eval_results is not None
    [result] = read.data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.75)
    assert (result.dataset_name, result.dataset_split, result.dataset_revision) == ("digits", "test", "d1")


def test_what_is_not_known_is_said_to_be_unknown(subject: Make) -> None:
    text = card(subject(params={}, metrics={"test/acc": 0.75}, tags={}, model={}))
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "unknown"
    for words in (
        "Unknown: nobody has stated it (`registry.intended_use`).",
        "| digest | unknown |",
        "| command | unknown |",
        "| parameters | unknown |",
        "| minutes | unknown |",
        "Expected calibration error of the delivered probabilities: unknown.",
        "Of this model: unknown; nobody has stated it (`registry.licence`).",
        "* Of the data 'digits': unknown to the run",
        "* The code may differ from the git commit",
    ):
        assert words in text
    assert "Of the weights that training began with" not in text


def test_the_facts_of_the_run_stand_in_their_sections(subject: Make) -> None:
    text = card(subject({"intended_use": "To read forms.", "limitations": "No letters in ink."}))
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "## Intended use",
        "## How to load",
        "## Metrics",
        "## Weakest classes",
        "## Calibration",
        "## Limitations",
        "## Licence",
        "## Data",
        "## Training",
    ]
    for words in (
        "To read forms.",
        '4 classes, with a probability for each: "a", "b", "c", "d".',
        'load_model("models:/letters@champion")',
        "| test/acc | 0.7500 [0.5000, 0.9000] |",
        "its largest difference of a logit is 1.2e-07",
        "| class | recall | test pictures |\n| --- | --- | --- |\n| c | 0.5000 | 2 |\n| a | 1.0000 | 1 |",
        "error of the delivered probabilities: 0.2500.",
        "* No letters in ink.",
        '* Classes with fewer than 30 test pictures, 3 of 3: "c", "a", "b".',
        '* Classes without any test picture: "d".',
        "| command | kedro run a=b\\|c |",
        "| machine | a processor |",
        "| parameters | 61,706 |",
        "| weights, sha256 of model.onnx | f00d |",
        "| optimizer.lr | 0.1 |",
    ):
        assert words in text, words
    assert "num_workers" not in text
    assert "may differ from the git commit" not in text


def test_weights_that_training_began_with_have_a_licence_of_their_own(subject: Make) -> None:
    text = card(subject(params={"model.weights": "imagenet"}))
    assert "* Of the weights that training began with (imagenet): unknown to the run" in text
