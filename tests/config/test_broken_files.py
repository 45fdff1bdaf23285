from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fovea.config.compose import compose
from fovea.config.loader import HydraConfigLoader
from fovea.core.errors import UserError

Write = Callable[[str, str], Path]
GLOBAL = "# @package _global_\n"
X = "conf/experiment/x.yaml"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{GLOBAL}seed: [1\n", f"{X} is not valid YAML at line 3: expected ',' or ']', but got '<stream end>'"),
        ("seed: 1: 2\n", f"{X} is not valid YAML at line 1: mapping values are not allowed here"),
        ("\tseed: 1\n", f"{X} is not valid YAML at line 1: found character '\\t' that cannot start any token"),
        (f"{GLOBAL}seed: 1\nseed: 2\n", f"{X} is not valid YAML at line 3: found duplicate key seed"),
        ("seed: \x01\n", f"{X} is not valid YAML: it holds characters that are not UTF-8 text"),
        (f"{GLOBAL}seed: ${{x\n", f"{X}: 'seed' holds a reference that cannot be read; write ${{group.key}}"),
        (f"{GLOBAL}seed: ${{x}}\n", "'seed' holds a reference that leads nowhere: Interpolation key 'x' not found"),
        (
            f"{GLOBAL}defaults:\n  - override /model: lenet9\n",
            f"{X} asks for model 'lenet9', which does not exist; did you mean 'lenet5'?",
        ),
        (
            f"{GLOBAL}defaults:\n  - override /modle: lenet5\n",
            f"{X} overrides the unknown group 'modle'; did you mean 'model'?",
        ),
        (
            f"{GLOBAL}defaults:\n  - model: lenet5\n",
            f"{X} asks for 'experiment/model/lenet5', which does not exist; did you mean 'experiment'? "
            "(from inside experiment/ a group is written with a slash, as in '/model: lenet5')",
        ),
        (
            f"{GLOBAL}defaults: 5\n",
            "conf/ cannot be composed: Invalid defaults list in 'experiment/x', defaults must be a list (got int)",
        ),
        (f"{GLOBAL}trainer: [1]\n", f"{X} cannot be composed: Cannot merge DictConfig with ListConfig"),
        (f"{GLOBAL}- seed: 1\n", f"{X} must hold keys and values, and holds a list"),
    ],
)
def test_a_broken_file_is_named(conf: Path, write: Write, text: str, sentence: str) -> None:
    write("experiment/x.yaml", text)
    with pytest.raises(UserError) as caught:
        compose(conf, ["experiment=x"])
    assert str(caught.value) == sentence


def test_a_file_that_is_no_text(conf: Path) -> None:
    (conf / "experiment" / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"^conf/experiment/x\.yaml is not valid YAML: it holds characters"):
        compose(conf, ["experiment=x"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(conf: Path, write: Write) -> None:
    write("experiment/x.yaml", "seed: 1\n").chmod(0)
    with pytest.raises(UserError, match=r"^conf/experiment/x\.yaml cannot be read: permission denied"):
        compose(conf, ["experiment=x"])


def test_broken_files_that_are_not_used_do_no_harm(conf: Path, write: Write) -> None:
    write("experiment/x.yaml", "seed: [1\n")
    assert compose(conf).config["seed"] == 0


def test_no_configuration(tmp_path: Path, conf: Path) -> None:
    with pytest.raises(UserError, match=r"is not a folder; name one that holds config\.yaml$"):
        compose(tmp_path / "nowhere")
    (conf / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"config\.yaml' is missing; bring it back, as in: git checkout -- conf$"):
        compose(conf)


@pytest.mark.parametrize("name", ["base/catalog.yml", "local/credentials.yml"])
def test_a_broken_file_of_kedros_own(conf: Path, write: Write, name: str) -> None:
    write(name, "a: 1\nb: [\n")
    loader = HydraConfigLoader(conf, base_env="base", default_run_env="local")
    with pytest.raises(UserError) as caught:
        loader[Path(name).stem]
    assert str(caught.value).startswith(f"conf/{name} is not valid YAML at line 3: ")


def test_an_unknown_environment(conf: Path, write: Write) -> None:
    write("production/overrides.yaml", "seed: 1\n")
    with pytest.raises(UserError) as caught:
        HydraConfigLoader(conf, "prodction", base_env="base", default_run_env="local")
    assert str(caught.value) == (
        "unknown environment 'prodction': there is no folder conf/prodction; did you mean 'production'?"
    )


def test_a_lost_local_folder(conf: Path) -> None:
    shutil.rmtree(conf / "local")
    with pytest.raises(UserError, match=r"^unknown environment 'local': there is no folder conf/local"):
        HydraConfigLoader(conf, base_env="base", default_run_env="local")
