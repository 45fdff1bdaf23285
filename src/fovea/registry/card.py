"""The card of a model, in the format of Hugging Face: what its run knows, and what it does not know said to be unknown.

A page of Markdown whose front matter (YAML) machines read; for both see https://huggingface.co/docs/hub/model-cards and
Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fovea.comparison import differences
from fovea.evaluation.calibrated import TEMPERATURE

if TYPE_CHECKING:
    from fovea.comparison.past import PastRun
    from fovea.config.schema import RegistryConfig
    from fovea.registry.delivered import Delivered
    from fovea.registry.standing import Standing

FILE = "README.md"

_UNKNOWN = "unknown"
_WEAKEST = 5  # classes that are named
_FEW = 30  # test pictures of a class, below which its recall is little known
_SECTIONS = ("model", "finetune", "optimizer", "schedule", "loss", "augment")
_SINGLE = (
    "seed",
    "trainer.max_epochs",
    "trainer.precision",
    "loader.batch_size",
    "loader.sampling",
    "callbacks.averaging.kind",
    "callbacks.checkpoint.keep",
    "callbacks.early_stopping.patience",
)
_NOTHING = ("null", "none", "[]")
"""Of a parameter: it plays no part."""
_METRICS = {"test/acc": "accuracy", "test/macro_f1": "f1", "test/auroc": "roc_auc", "test/loss": "log_loss"}
"""Metrics that Hugging Face knows by a name of its own."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What a card is about.

    Attributes:
        name: Of the registered model.
        run: The run that made it.
        standing: What it showed on the test pictures.
        delivered: The files.
        stated: What a person says of it.
    """

    name: str
    run: PastRun
    standing: Standing
    delivered: Delivered
    stated: RegistryConfig


def card(subject: Subject) -> str:
    """Writes the card."""
    import yaml

    front = yaml.safe_dump(_front(subject), sort_keys=False, allow_unicode=True, width=120)
    sections = {
        "Intended use": _intended(subject),
        "How to load": _loading(subject),
        "Metrics": _metrics(subject),
        "Weakest classes": _weakest(subject),
        "Calibration": _calibration(subject),
        "Limitations": _limitations(subject),
        "Licence": _licence(subject),
        "Data": _data(subject),
        "Training": _training(subject),  # last, as it is the longest: where the card is shown in short, the end is cut
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    return f"---\n{front}---\n\n# {subject.name}: {subject.run.name}\n\n{body}\n"


def _front(subject: Subject) -> dict[str, Any]:
    run = subject.run
    measured = [
        {"type": kind, "name": name, "value": run.metrics[name]}
        for name, kind in _METRICS.items()
        if name in run.metrics
    ]
    data = {"name": run.tested_data, "type": run.tested_data, "split": "test"}
    data["revision"] = run.tested_digest or _UNKNOWN
    result = {
        "task": {"type": "image-classification"},
        "dataset": data,
        "metrics": measured,
    }
    return {
        "license": (subject.stated.licence or _UNKNOWN).lower(),
        "library_name": "mlflow",
        "pipeline_tag": "image-classification",
        "tags": ["fovea", "onnx", run.params.get("model.name", _UNKNOWN)],
        "model-index": [{"name": run.name, "results": [result]}],
    }


def _intended(subject: Subject) -> Iterator[str]:
    classes = subject.delivered.facts["classes"]
    yield subject.stated.intended_use or "Unknown: nobody has stated it (`registry.intended_use`)."
    yield ""
    yield f"The model gives one of {len(classes):,} classes, with a probability for each: {_some(classes)}."


def _loading(subject: Subject) -> Iterator[str]:
    yield "```python"
    yield "import mlflow"
    yield "import pandas as pd"
    yield ""
    yield f'model = mlflow.pyfunc.load_model("models:/{subject.name}@champion")  # or models:/{subject.name}/VERSION'
    yield 'print(model.predict(pd.DataFrame({"image": ["picture.png"]})))'
    yield "```"
    yield ""
    yield "A picture is a path, the bytes of a file, or an array; it is decoded, turned and resized as in the test."
    facts = subject.delivered.facts
    yield f"The ONNX file inside takes `{facts['input']}` and gives `{facts['output']}`; opset {facts['opset']}."


def _data(subject: Subject) -> Iterator[str]:
    run = subject.run
    yield from _table(
        ["", ""],
        [
            ("data", run.data),
            ("digest", run.tags.get("data_digest", _UNKNOWN)),
            *([("tested on", f"{run.tested_data}, digest {run.tested_digest}")] if run.elsewhere else []),
            ("test pictures", f"{subject.standing.pictures:,}"),
            ("digest of the test pictures (ids and labels)", subject.standing.digest),
            ("report", f"MLflow run {run.tags.get('data_run', _UNKNOWN)}"),
        ],
    )


def _training(subject: Subject) -> Iterator[str]:
    run, tags = subject.run, subject.run.tags
    yield from _table(
        ["", ""],
        [
            ("MLflow run", f"{run.run_id} ({run.status})"),
            ("command", tags.get("command", _UNKNOWN)),
            ("git commit", tags.get("mlflow.source.git.commit", _UNKNOWN)),
            ("uncommitted changes", tags.get("git_dirty", _UNKNOWN)),
            ("machine", tags.get("gpu") or tags.get("cpu", _UNKNOWN)),
            ("minutes", _UNKNOWN if run.minutes is None else f"{run.minutes:.2f}"),
            ("parameters", _UNKNOWN if run.parameters is None else f"{run.parameters:,}"),
            ("weights, sha256 of model.onnx", subject.delivered.digest),
        ],
    )
    yield ""
    chosen = [
        (name, value)
        for name, value in run.params.items()
        if value not in _NOTHING and (name in _SINGLE or name.partition(".")[0] in _SECTIONS)
    ]
    yield from _table(["parameter", "value"], chosen)


def _metrics(subject: Subject) -> Iterator[str]:
    coverage = subject.run.confidence
    known = f", the ends of the {100 * coverage:g} % interval in brackets" if coverage else ""
    other = " of other data than those of the training" if subject.run.elsewhere else ""
    yield f"On {subject.standing.pictures:,} test pictures{other}{known}:"
    yield ""
    rows = [(name, values[0].text()) for name, values in differences.metrics([subject.run]) if values[0] is not None]
    yield from _table(["metric", "value"], rows)
    agreed = subject.delivered.facts.get("parity", {}).get("model.onnx", {}).get("largest_logit_difference")
    yield ""
    yield (
        "The numbers are those of the trained network; the delivered file was run on the same pictures, and its "
        f"largest difference of a logit is {_UNKNOWN if agreed is None else f'{agreed:.2g}'}."
    )


def _weakest(subject: Subject) -> Iterator[str]:
    rows = [(one.name, f"{one.recall:.4f}", f"{one.pictures:,}") for one in subject.standing.recalls[:_WEAKEST]]
    yield from _table(["class", "recall", "test pictures"], rows)


def _calibration(subject: Subject) -> Iterator[str]:
    metrics, temperature = subject.run.metrics, subject.delivered.temperature
    yield f"Expected calibration error of the delivered probabilities: {_number(subject.standing.ece)}."
    if temperature is not None:
        yield (
            f"The delivered model divides its logits by the temperature {temperature:.3f}, fitted on the validation "
            f"pictures; without that it would be {_number(metrics.get('test/ece'))}."
        )
    elif TEMPERATURE in metrics and "test/ece_scaled" in metrics:
        yield (
            f"Dividing the logits by the temperature {metrics[TEMPERATURE]:.3f}, fitted on the validation pictures, "
            f"makes it {metrics['test/ece_scaled']:.4f}. The delivered model does not do so."
        )


def _limitations(subject: Subject) -> Iterator[str]:
    run, recalls = subject.run, subject.standing.recalls
    if subject.stated.limitations:
        yield f"* {subject.stated.limitations}"
    yield f"* It was tested on pictures of '{run.tested_data}' alone; how it does on others is unknown."
    if run.elsewhere:
        yield f"* It {run.elsewhere}."
    yield "* It names one of its classes for any picture, also for one that shows none of them."
    few = [one.name for one in recalls if one.pictures < _FEW]
    if few:
        yield f"* Classes with fewer than {_FEW} test pictures, {len(few)} of {len(recalls)}: {_some(few)}."
    untested = sorted(set(subject.delivered.facts["classes"]) - {one.name for one in recalls})
    if untested:
        yield f"* Classes without any test picture: {_some(untested)}."
    worse = run.metrics.get("test/acc_corrupted")
    yield "* Accuracy on blurred, noisy or otherwise worse pictures: " + (
        "not measured (`evaluate.corruptions`)." if worse is None else f"{worse:.4f} on average."
    )
    if run.tags.get("git_dirty") != "false":
        yield "* The code may differ from the git commit: there were uncommitted changes, or it is not known."


def _licence(subject: Subject) -> Iterator[str]:
    weights = subject.run.params.get("model.weights", "null")
    yield f"Of this model: {subject.stated.licence or 'unknown; nobody has stated it (`registry.licence`)'}."
    yield ""
    yield f"* Of the data '{subject.run.data}': unknown to the run; see where they come from."
    if weights not in _NOTHING:
        yield f"* Of the weights that training began with ({weights}): unknown to the run; see who published them."
    yield "* Of the code of Fovea that travels with the model: Apache-2.0."


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.4f}"


def _some(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(json.dumps(name, ensure_ascii=False) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of Markdown, whatever the cells hold."""
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
