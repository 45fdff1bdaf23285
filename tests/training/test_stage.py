from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from fovea.core.errors import RunError, UserError
from fovea.core.locks import exclusive
from fovea.training import stage
from fovea.training.job import TrainJob
from fovea.training.network import build_network, check_network
from fovea.training.result import TrainedModel
from fovea.training.workfolder import WorkFolder, let_go

MakeJob = Callable[..., TrainJob]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "conf").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setenv("FOVEA_ROOT", str(tmp_path))
    yield
    let_go(remove=True)


def test_a_trained_model_opens_from_its_folder_alone(make_job: MakeJob, squares: Any, tmp_path: Path) -> None:
    job = make_job(trainer={"max_epochs": 4})
    model = stage.train(job, squares)
    model.publish(tmp_path / "elsewhere")
    opened = TrainedModel.open(tmp_path / "elsewhere")
    assert opened.facts["run_name"] == f"deep_mnist-squares-{job.digest('d' * 64)[:8]}"
    assert opened.facts["parameters"] == sum(p.numel() for p in opened.network().parameters())
    assert [row["epoch"] for row in opened.history()] == [1, 2, 3, 4]
    best = max(opened.history(), key=lambda row: (row["val/acc"], -row["epoch"]))
    assert (opened.facts["epoch"], opened.facts["val/acc"]) == (best["epoch"], best["val/acc"])
    val = squares.split("val")
    with torch.inference_mode():
        logits = opened.network()(torch.from_numpy(val.images()).permute(0, 3, 1, 2))
    accuracy = float((logits.argmax(1).numpy() == val.labels).mean())
    assert accuracy == pytest.approx(best["val/acc"])
    assert accuracy > 0.5


def test_the_layer_table_is_delivered_as_facts_and_as_csv(make_job: MakeJob, squares: Any) -> None:
    model = stage.train(make_job(trainer={"max_epochs": 1}), squares)
    rows = model.facts["layers"]
    assert rows[0]["name"] == "features.0"
    assert sum(row["parameters"] for row in rows) == model.facts["parameters"]
    lines = (model.path / "layers.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["layer", *(row["name"] for row in rows)]


def test_a_network_whose_layers_cannot_be_told_is_delivered_without_table(
    make_job: MakeJob, squares: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise RuntimeError("no such operation")

    monkeypatch.setattr("fovea.models.tracing.watch", refuse)
    model = stage.train(make_job(trainer={"max_epochs": 1}), squares)
    assert model.facts["layers"] == []
    assert not (model.path / "layers.csv").exists()
    assert [r.getMessage() for r in caplog.records if "layer table" in r.getMessage()] == [
        "train: no layer table: the layers of DeepMnist cannot be told from a picture of 1x12x12 (no such operation)"
    ]


def test_keep_last_delivers_the_weights_of_the_last_epoch(make_job: MakeJob, squares: Any) -> None:
    model = stage.train(make_job(callbacks={"checkpoint": {"keep": "last"}}), squares)
    assert model.facts["epoch"] == 2
    assert model.facts["val/loss"] == model.history()[-1]["val/loss"]


def test_a_finished_training_is_taken_up_where_a_later_stage_failed(
    make_job: MakeJob, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(trainer={"max_epochs": 1})
    first = stage.train(job, squares)
    let_go(remove=False)
    monkeypatch.setattr("fovea.training.fit.fit", lambda *_: pytest.fail("trained again"))
    again = stage.train(job, squares)
    assert again.facts == first.facts


def test_a_damaged_result_is_made_anew(make_job: MakeJob, squares: Any) -> None:
    job = make_job(trainer={"max_epochs": 1})
    first = stage.train(job, squares)
    let_go(remove=False)
    (first.path / "model.json").write_text("{")
    assert stage.train(job, squares).facts == first.facts


def test_after_all_went_well_the_same_command_trains_anew(make_job: MakeJob, squares: Any) -> None:
    work = WorkFolder(stage.train(make_job(trainer={"max_epochs": 1}), squares).path.parent)
    assert work.is_finished
    let_go(remove=True)
    assert not work.path.exists()
    assert list(work.path.parent.iterdir()) == []


def test_the_same_job_beside_itself_is_refused(make_job: MakeJob, squares: Any) -> None:
    job = make_job()
    work = WorkFolder.of(job.run_name(job.digest(squares.meta.digest)))
    lock = work.path.parent / f".{work.path.name}.lock"
    with exclusive(lock, "the other", ""), pytest.raises(RunError, match=r"is already under way in process \d+"):
        stage.train(job, squares)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "other"}, "was prepared with data.name=squares, but the config says other"),
        ({"image_size": 28}, "data.image_size=12, but the config says 28"),
        ({"channels": 3, "mean": [0.1] * 3, "std": [0.3] * 3}, "data.channels=1, but the config says 3"),
        ({"classes": ["one", "two"]}, r"data.classes=\['0', .*\], but the config says \['one', 'two'\]"),
    ],
)
def test_data_prepared_for_another_config_are_refused(
    changes: dict[str, Any], words: str, make_job: MakeJob, squares: Any
) -> None:
    with pytest.raises(UserError, match=words):
        stage.train(make_job(data=changes), squares)


def test_classes_that_the_config_leaves_open_are_the_source_s(make_job: MakeJob, squares: Any) -> None:
    named, open_ = make_job(trainer={"max_epochs": 1}), make_job(trainer={"max_epochs": 1}, data={"classes": None})
    model = stage.train(open_, squares)
    assert model.facts["data"]["classes"] == model.facts["config"]["data"]["classes"] == named.data.classes
    assert model.facts["config_digest"] == named.digest(squares.meta.digest)
    assert model.network()(torch.zeros(1, 1, 12, 12)).shape == (1, 10)


def test_pictures_of_any_size_fit_every_size(make_job: MakeJob, squares: Any) -> None:
    meta = SimpleNamespace(**{**vars(squares.meta), "image_size": None})
    stage.check_fit(make_job(data={"image_size": 64}), SimpleNamespace(path=Path("made-up"), meta=meta))
    meta.image_size = 12
    with pytest.raises(UserError, match=r"data\.image_size=12, but the config says 64"):
        stage.check_fit(make_job(data={"image_size": 64}), SimpleNamespace(path=Path("made-up"), meta=meta))


def test_data_for_tests_alone_are_not_trained_on(make_job: MakeJob, squares: Any) -> None:
    meta = SimpleNamespace(**{**vars(squares.meta), "counts": {"train": 0, "val": 0, "test": 50}})
    with pytest.raises(UserError, match=r"data 'squares' has no training pictures, it serves to test a network"):
        stage.check_fit(make_job(), SimpleNamespace(path=Path("made-up"), meta=meta))


def test_what_cannot_change_the_weights_is_not_in_the_digest(make_job: MakeJob) -> None:
    base = make_job().digest("x")
    assert make_job(loader={"num_workers": 2}, callbacks={"progress": "none"}).digest("x") == base
    assert make_job(callbacks={"checkpoint": {"every_n_steps": 7}}).digest("x") == base
    assert make_job(loader={"prefetch": 9, "cache": "memory"}).digest("x") == base
    assert make_job(data={"folder": "/elsewhere", "mirrors": ["https://example.org"]}).digest("x") == base
    assert make_job(seed=1).digest("x") != base
    assert make_job(loader={"sampling": "balanced"}).digest("x") != base
    assert make_job(augment={"mix": {"mixup_alpha": 0.2}}).digest("x") != base
    assert make_job(data={"image_size": 24}).digest("x") != base
    assert make_job(optimizer={"lr": 0.1}).digest("x") != base
    assert make_job(callbacks={"checkpoint": {"keep": "last"}}).digest("x") != base
    assert make_job().digest("y") != base


def use(folder: Path) -> None:
    model = TrainedModel.open(folder)
    model.network()
    model.history()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("model.json", None, "no trained model at"),
        ("model.json", b"{", "model.json is damaged"),
        ("model.json", b"[]", "does not describe a Fovea model"),
        ("model.safetensors", None, "the weights .* are missing"),
        ("model.safetensors", b"\x80\x04junk", "is not a safetensors file or is damaged"),
        ("history.json", None, "history.json cannot be read"),
        ("history.json", b"{", "history.json cannot be read"),
    ],
)
def test_a_damaged_model_folder_says_what_is_wrong(
    file: str, content: bytes | None, words: str, make_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    stage.train(make_job(trainer={"max_epochs": 1, "limit_batches": 1}), squares).publish(tmp_path / "model")
    path = tmp_path / "model" / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=words):
        use(tmp_path / "model")


def test_weights_of_another_network_are_refused(make_job: MakeJob, squares: Any, tmp_path: Path) -> None:
    stage.train(make_job(trainer={"max_epochs": 1, "limit_batches": 1}), squares).publish(tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    facts["model"]["name"] = "lenet5"
    path = tmp_path / "model" / "model.json"
    path.unlink()  # a published file shares its inode with the work folder's
    path.write_text(json.dumps(facts))
    with pytest.raises(RunError, match="holds the weights of another network"):
        TrainedModel.open(tmp_path / "model").network()


def test_the_precision_16_needs_a_gpu(make_job: MakeJob, squares: Any) -> None:
    with pytest.raises(UserError, match=r"trainer.precision=16 needs a GPU, .* take trainer.precision=bf16 or 32"):
        stage.train(make_job(trainer={"precision": "16"}), squares)


def test_bf16_trains_and_keeps_float32_weights(make_job: MakeJob, squares: Any) -> None:
    model = stage.train(make_job(trainer={"precision": "bf16", "max_epochs": 1}), squares)
    plain = stage.train(make_job(trainer={"precision": "32", "max_epochs": 1}), squares)
    assert {parameter.dtype for parameter in model.network().parameters()} == {torch.float32}
    assert model.history()[0]["train/loss"] == pytest.approx(plain.history()[0]["train/loss"], abs=0.05)
    assert model.history()[0]["train/loss"] != plain.history()[0]["train/loss"]


def test_early_stopping_ends_before_max_epochs(make_job: MakeJob, squares: Any) -> None:
    job = make_job(optimizer={"lr": 1e-12}, trainer={"max_epochs": 9}, callbacks={"early_stopping": {"patience": 2}})
    assert len(stage.train(job, squares).history()) < 9


def test_accumulated_batches_make_one_step(make_job: MakeJob, squares: Any) -> None:
    job = make_job(trainer={"accumulate_batches": 4, "max_epochs": 1})
    assert stage.train(job, squares).history()[-1]["step"] == 12 // 4


def test_overfit_learns_its_batches_by_heart(make_job: MakeJob, squares: Any) -> None:
    job = make_job(trainer={"overfit_batches": 2, "max_epochs": 30}, model={"dropout": 0.0})
    assert stage.train(job, squares).history()[-1]["train/acc"] == 1.0


def test_the_worker_trains_what_the_work_folder_says(
    make_job: MakeJob, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fovea.shards import folds
    from fovea.training import worker

    job = make_job(trainer={"max_epochs": 1})
    direct = stage.train(job, squares)
    work = WorkFolder(direct.path.parent)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_bytes((work.path / "resolved.yaml").read_bytes())
    weights = (direct.path / "model.safetensors").read_bytes()
    let_go(remove=True)
    monkeypatch.setattr(folds, "reopen", lambda address: {"made-up": squares}[address["prepared"]])
    assert worker.main([str(resolved), str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights
    (tmp_path / "model" / "model.safetensors").unlink()  # as of an earlier model
    assert worker.main([str(resolved), str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("kept", ["models/notes.txt", "models"])
def test_the_worker_replaces_nothing_but_a_model(
    kept: str, make_job: MakeJob, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fovea.shards import folds
    from fovea.training import worker

    content = {"job": make_job(trainer={"max_epochs": 1}).plain(), "prepared": "made-up"}
    (tmp_path / "resolved.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / kept).parent.mkdir(exist_ok=True)
    (tmp_path / kept).write_text("of the user")
    monkeypatch.setattr(folds, "reopen", lambda _: squares)
    assert worker.main([str(tmp_path / "resolved.yaml"), str(tmp_path / "models")]) == 2
    assert (tmp_path / kept).read_text() == "of the user"


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "cannot read"), ("a: 1", "is not a resolved job"), ("[1", "is not a resolved job")],
)
def test_the_worker_refuses_what_is_no_job(
    text: str | None, words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from fovea.training import worker

    if text is not None:
        (tmp_path / "job.yaml").write_text(text)
    assert worker.main([str(tmp_path / "job.yaml")]) == 2
    assert words in caplog.text


def _file(folder: Path, name: str, network: Any) -> Path:
    save_file(network.net.state_dict(), folder / name)
    return folder / name


def test_weights_to_begin_with_count_by_their_digest_and_not_by_their_place(
    make_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    job = make_job()
    first = _file(tmp_path, "first.safetensors", build_network(job.model, job.data))
    second = shutil.copy(first, tmp_path / "second.safetensors")
    other = _file(tmp_path, "other.safetensors", build_network(job.model, job.data))
    digests = [make_job(model={"weights": str(path)}).with_weights().digest("p") for path in (first, second, other)]
    assert digests[0] == digests[1]
    assert len({*digests, job.digest("p")}) == 3


def test_training_begins_with_the_weights_and_needs_them_no_more_afterwards(
    make_job: MakeJob, squares: Any, tmp_path: Path
) -> None:
    source = stage.train(make_job(), squares)
    folder = tmp_path / "source"
    source.publish(folder)
    frozen = {"optimizer": {"lr": 1e-12}, "data": {"mean": [0.7], "std": [0.9]}}
    job = make_job(**frozen, model={"weights": str(folder)}, finetune={"mode": "full"}, trainer={"max_epochs": 1})
    model = stage.train(job, squares)
    shutil.rmtree(folder)
    assert model.facts["model"]["mean"] == [0.1]  # that of the weights, not of this data
    assert model.facts["model"]["std"] == [0.3]
    assert len(model.facts["model"]["sha256"]) == 64
    torch.testing.assert_close(model.network().state_dict(), source.network().state_dict())


def test_a_run_of_a_network_of_a_library_has_a_name_that_is_one_folder(make_job: MakeJob) -> None:
    job = make_job(model={"library": "timm", "name": "a/b:c.d"})
    assert job.run_name("0123456789") == "a_b_c.d-squares-01234567"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            {"library": "timm", "name": "convnext_atto", "init": None, "dropout": None},
            "takes no pictures of 12x12 pixels",
        ),
        ({"weights": "evil.pth"}, "holds code beside its tensors"),
        ({"weights": "other.safetensors"}, "holds the weights of another network"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_before_anything_is_written(
    make_job: MakeJob, squares: Any, tmp_path: Path, model: dict[str, Any], sentence: str
) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "evil.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=sentence):
        stage.train(make_job(model=model), squares)
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "mlflow.db").exists()


def test_regnet_which_cannot_be_built_without_numbers_is_no_exception(make_job: MakeJob) -> None:
    job = make_job(model={"library": "torchvision", "name": "regnet_y_400mf", "init": None, "dropout": None})
    assert check_network(job.model, job.data) is None


def test_what_several_machines_have_trained_is_taken_up_by_one(make_job: MakeJob, squares: Any) -> None:
    stage.train(make_job(trainer={"max_epochs": 1}), squares)
    several = make_job(trainer={"max_epochs": 1, "devices": 4, "launch": {"nodes": 2}})
    assert stage.train(several, squares).facts["val/acc"] > 0
    other = make_job(trainer={"max_epochs": 2, "devices": 4, "launch": {"nodes": 2}})
    with pytest.raises(UserError, match=r"trainer\.launch\.nodes=2 needs a process on each of them; `kedro submit`"):
        stage.train(other, squares)
