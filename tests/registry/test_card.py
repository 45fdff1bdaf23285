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


CALIBRATED = {"test/acc": 0.75, "test/ece": 0.25, "test/ece_scaled": 0.0625, "calibration/temperature": 1.5}


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n\n")[1].split("\n\n##", maxsplit=1)[0]


def test_the_calibration_is_that_of_the_delivered_model(subject: Make) -> None:
    assert section(card(subject(metrics=CALIBRATED, temperature=1.5)), "Calibration") == (
        "Expected calibration error of the delivered probabilities: 0.0625.\n"
        "The delivered model divides its logits by the temperature 1.500, fitted on the validation pictures; without "
        "that it would be 0.2500."
    )
    assert section(card(subject(metrics=CALIBRATED)), "Calibration") == (
        "Expected calibration error of the delivered probabilities: 0.2500.\n"
        "Dividing the logits by the temperature 1.500, fitted on the validation pictures, makes it 0.0625. The "
        "delivered model does not do so."
    )
    # Exported with a temperature that is not the one of the latest test.
    other = section(card(subject(metrics=CALIBRATED, temperature=1.7)), "Calibration")
    assert other.startswith("Expected calibration error of the delivered probabilities: unknown.")
    assert "2.0" not in other


def test_the_intervals_are_of_the_latest_test(subject: Make) -> None:
    known = {"params": {"evaluate.confidence": "0.95"}}
    assert "test pictures, the ends of the 95 % interval in brackets:" in card(subject(**known))
    newer = card(subject(**known, tags={"evaluate.confidence": "0.9"}))
    assert "On 4 test pictures, the ends of the 90 % interval in brackets:" in newer


def test_a_test_on_other_data_is_told_where_the_numbers_are(subject: Make) -> None:
    tags = {"data_digest": "1" * 64, "evaluated_data": "letters", "evaluated_data_digest": "2" * 64}
    text = card(subject(tags=tags))
    [result] = ModelCard(text).data.eval_results or []
    assert (result.dataset_name, result.dataset_revision) == ("letters", "2" * 64)
    assert "On 4 test pictures of other data than those of the training:" in section(text, "Metrics")
    limits = section(text, "Limitations")
    assert "* It was tested on pictures of 'letters' alone" in limits
    assert (
        "* It was tested on 'letters' (digest 222222222222) and trained on 'digits' (digest 111111111111): " in limits
    )
    assert f"| digest | {'1' * 64} |\n| tested on | letters, digest {'2' * 64} |" in section(text, "Data")
    same = card(subject(tags={**tags, "evaluated_data": "digits", "evaluated_data_digest": "1" * 64}))
    assert "tested on |" not in same
    assert "other data" not in same
