"""Every command and every override that the documentation shows exists, with its options, and composes."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from kedro.framework.cli.cli import global_commands, project_commands

from docsite import clicks, lines
from fovea.cli import COMMANDS
from fovea.config.groups import groups
from fovea.config.loader import HydraConfigLoader
from fovea.config.runtime_params import OVERRIDES_KEY
from fovea.config.schema import Config
from fovea.core.errors import UserError
from fovea.settings import CONFIG_LOADER_ARGS

PROJECT = Path(__file__).resolve().parents[2]
ALL = lines.commands(PROJECT)
FOREIGN = {"git", "kubectl", "srun", "sbatch", "nvidia-smi", "curl", "ray", "bash", "torchrun"}
"""Programs of others that need not be here; what they are told of ours is checked by the pattern below."""
EXTRAS = {"viz"}
"""Commands that an extra brings."""
MADE_BEFORE = ("data/06_models/model", "/data/weights/lite0.safetensors")
"""Files and folders that a reader has when a command names them, and a checkout has not."""
_STANDS_FOR = re.compile(r"^\.\.\.$|^\[[A-Z_]+\]$|^[A-Z]+=|=(\.\.\.|[A-Z][A-Z_]+|N)$|\|")


def of(*programs: str) -> list[lines.Command]:
    """The commands of programs, each once, without words that stand for others (NAME, ...)."""
    found = {}
    for command in ALL:
        if command.words[0] in programs:
            words = tuple("2" if word == "N" else word for word in command.words if not _STANDS_FOR.search(word))
            found.setdefault((words, command.answer), command._replace(words=words))
    return list(found.values())


def named(command: lines.Command) -> str:
    return f"{command.place}: {command.text}"


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Sequence[str]], None]]:
    """Composes overrides as a command of the project does, with all the checks and without a user's own settings.

    As on a machine that has the extra `umap`.
    """
    conf = tmp_path_factory.mktemp("project") / "conf"
    shutil.copytree(PROJECT / "conf", conf, ignore=shutil.ignore_patterns("overrides.yaml"))
    (conf / "local").mkdir(exist_ok=True)
    composed = set[tuple[str, ...]]()

    def call(words: Sequence[str]) -> None:
        known = tuple(words)
        if known not in composed:
            checks = [] if any(name in word for word in words for name in MADE_BEFORE) else CONFIG_LOADER_ARGS["checks"]
            params = {OVERRIDES_KEY: list(words)} if words else {}
            HydraConfigLoader(conf, None, params, **{**CONFIG_LOADER_ARGS, "checks": checks})
            composed.add(known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fovea.config.schema.evaluation.find_spec", lambda name: name)
        yield call


def click_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The click command that the first words name, and the words that are left for it."""
    name, *rest = words
    kedros = (group.get_command(click.Context(group), name) for group in (project_commands, global_commands))
    found = clicks.command(name) if name in COMMANDS else next(filter(None, kedros))
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        inner = found.get_command(click.Context(found), rest[0])
        assert inner is not None, f"{words} names no command"
        found, rest = inner, rest[1:]
    return found, rest


@pytest.mark.parametrize("command", of("kedro", "fovea"), ids=named)
def test_a_kedro_command_parses_and_its_overrides_compose(command: lines.Command, compose: Any) -> None:
    words = list(command.words[1:])
    if not words or words[0] in EXTRAS or "--help" in words:
        return
    found, rest = click_command(words)
    if isinstance(found, click.Group) or not rest:
        return  # named, and not written out
    context = found.make_context(f"kedro {words[0]}", list(rest))
    overrides = context.params.get("overrides", ())
    if command.answer.startswith("Error: ") and not is_said_later(command.answer):
        with pytest.raises(UserError) as refused:
            compose(overrides)
        assert str(refused.value) == command.answer.removeprefix("Error: ")
    else:
        compose(overrides)


def is_said_later(answer: str) -> bool:
    """Whether a refusal comes from what a command looks at after the configuration: the nodes of a cluster."""
    return "--gpus-per-node" in answer


@pytest.mark.parametrize("command", of("dvc"), ids=named)
def test_a_dvc_command_exists_with_its_options(command: lines.Command, compose: Any) -> None:
    from dvc.cli.parser import get_main_parser

    words = list(command.words[1:])
    if len(words) == 1:
        with pytest.raises(SystemExit, match="0"):
            get_main_parser().parse_args([*words, "--help"])
        return  # named, and not written out
    assert get_main_parser().parse_args(words)
    compose([word for index, word in enumerate(words) if words[index - 1] == "-S" and "," not in word])


@pytest.mark.parametrize("command", of("make"), ids=named)
def test_a_target_of_make_exists(command: lines.Command) -> None:
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert [word for word in command.words[1:] if "=" not in word and word not in targets] == []


@pytest.mark.parametrize("command", of("python", "torchrun"), ids=named)
def test_a_script_or_module_takes_its_options(command: lines.Command) -> None:
    words = list(command.words[1:])
    if "-m" in words:
        name, *rest = words[words.index("-m") + 1 :]
        found = importlib.util.find_spec(name)
        assert found is not None, f"there is no module {name}"
        source = Path(str(found.origin))
    else:
        name, *rest = words
        source = PROJECT / name
    said = source.read_text()
    assert [word for word in rest if word.startswith("--") and f'"{word.partition("=")[0]}"' not in said] == []


@pytest.mark.parametrize("command", of("pip"), ids=named)
def test_an_extra_exists(command: lines.Command) -> None:
    (name,) = re.findall(r"\[(\w+)\]", command.text)
    assert re.search(rf"^{name} = \[", (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)


def test_mlflow_takes_the_options_of_every_command() -> None:
    code = (
        "from mlflow.models.cli import commands; print(*[o for p in commands.commands['serve'].params for o in p.opts])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for command in of("mlflow"):
        assert command.words[1:3] == ("models", "serve"), command
        assert [word for word in command.words[3:] if word.startswith("-") and word not in said] == [], command


def test_every_program_is_looked_at() -> None:
    looked_at = {"kedro", "fovea", "dvc", "make", "python", "torchrun", "pip", "mlflow"}
    assert {command.words[0] for command in ALL} <= looked_at | FOREIGN


def sections(command: lines.Command) -> bool:
    """Whether all overrides are of keys that begin at the root, and not below a section that the text names."""
    roots = {*Config.model_fields, *groups(PROJECT / "conf")}
    keys = [word.lstrip("+~").partition("=")[0].partition(".")[0] for word in command.words]
    return all(key in roots for key in keys) and "==" not in command.text


PAIRS = {
    "model.name=resnet50.a2_in1k": ["model=timm"],
    "finetune=head": ["model=efficientnet_lite0", "model.weights=imagenet", "data=cats_vs_dogs"],
    "finetune=gradual": ["model=efficientnet_lite0", "model.weights=imagenet", "data=cats_vs_dogs"],
    "model.weights=imagenet": ["model=efficientnet_lite0", "finetune=head", "data=cats_vs_dogs"],
}
"""Overrides that a sentence means beside others, and these."""
SHOWN = [one for one in lines.overrides(PROJECT) if sections(one) and not any(map(_STANDS_FOR.search, one.words))]


@pytest.mark.parametrize("page", sorted({override.place for override in SHOWN}))
def test_overrides_in_the_sentences_of_a_page_compose(page: str, compose: Any) -> None:
    shown = [override for override in SHOWN if override.place == page]
    plain = [override for override in shown if override.text not in PAIRS and "." in override.text.partition("=")[0]]
    try:
        compose([word for override in plain for word in override.words])  # together they cost as much as one
    except UserError:
        plain = []
    wrong = {}
    for override in shown:
        if override not in plain:
            try:
                compose([*PAIRS.get(override.text, []), *override.words])
            except UserError as error:
                wrong[override.text] = str(error)
    assert wrong == {}


def test_what_is_meant_beside_others_still_stands_there() -> None:
    assert set(PAIRS) <= {override.text for override in SHOWN}
