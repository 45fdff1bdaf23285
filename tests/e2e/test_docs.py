"""Every command of the documentation is run, in the order of the pages, or stands in a table with the reason why not.

`tests/docs/test_commands.py` holds that those which are not run exist, take their options and compose.
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from docsite import lines

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = """\
trainer: {max_epochs: 1, limit_batches: 2}
evaluate: {gallery: 2, maps: 0, grad_cam: 0, embedding_map: 0}
crossval: {folds: 2}
"""
"""What makes every training of the walk a short one; the command line of a page has the last word."""

NOT_RUN = {
    # A pattern of commands: why they are not run here, and the test that runs them or what stands in their way.
    r"accelerator=gpu|strategy=fsdp|gradient_compression": "needs a GPU (docs/unverified.md)",
    r"^nvidia-smi": "needs a GPU (docs/unverified.md)",
    r"^(srun|sbatch|kubectl|ray|torchrun|bash|RAY_ADDRESS=\S+ bash) ": "a cluster's own; see tests/e2e/test_submit.py",
    r"^kedro submit ": "tests/e2e/test_submit.py",
    r"-m fovea\.training\.(worker|launcher)": "tests/e2e/test_two_nodes.py, tests/e2e/test_processes.py",
    r"^kedro run trainer=ddp": "tests/e2e/test_processes.py",
    r"^kedro run --pipelines=train$": "takes what was prepared last; as a stage of dvc.yaml in tests/e2e/test_dvc.py",
    r"debug=": "tests/e2e/test_kedro_run.py",
    r"--pipelines=(crossval|ensemble 'ensemble\.seeds)": "several trainings; tests/e2e/test_studies.py",
    r"^kedro reproduce (RUN|lenet5-\S+)$": "tests/e2e/test_reproduce.py",
    r"^kedro (register|promote)": "its answer hangs on the gates; tests/e2e/test_promote.py",
    r"predict\.source=(photos\.zip|holidays)|predict\.model=models:": "tests/e2e/test_predict.py",
    r"experiment=(?!transfer data=image_folder)": "fetches data; tests/e2e/test_presets.py",
    r"data=cats_vs_dogs|data=imagenet|data=imagenette": "fetches data; tests/e2e/test_data.py",
    r"data=mnist": "fetches data; tests/e2e/test_kedro_run.py",
    r"data=NAME|--env=NAME|data=\.\.\.|kedro run \.\.\.": "stands for others",
    r"^(kedro|dvc|mlflow) [\w-]+( [\w-]+)? .*\[?OVERRIDES\]?": "stands for others",
    r"^kedro (ui|ipython)$": "waits for a person; tests/commands/test_ui.py, tests/config/test_same_everywhere.py",
    r"kedro tune": "minutes; tests/e2e/test_tune.py",
    r"^kedro viz": "needs the extra viz",
    r"^kedro package": "fetches a build system; tests/commands/test_run_cli.py",
    r"^kedro (reproduce|submit|compare|describe-model)$": "a command by its name alone",
    r"mlflow models serve": "serves until it is stopped; tests/serving/test_serve.py",
    r"^curl ": "asks such a server; tests/serving/test_serve.py",
    r"^dvc (queue|exp run --queue)": "works in the background; tests/e2e/test_dvc.py",
    r"^(FOVEA_FRESH=1 )?dvc (repro|exp run|exp apply|push|pull|commit|checkout)": "minutes each; tests/e2e/test_dvc.py",
    r"^dvc add$": "a command by its name alone",
    r"^make (run|repro|test|test-all|lint|docs|setup|lock|bench)( |$)": "the checks and the environment themselves",
    r"^make (ui|docs-serve)": "waits for a person; tests/commands/test_ui.py",
    r"^(FOVEA_TEST_DATA=\S+ make|python benchmarks/)": "hours, or these tests themselves",
    r"^pip install|^git ": "changes the environment or the repository",
}
MEANT = {
    "/my/pets": "pets",
    "/some/folder": "pets",
    "/data/weights/lite0.safetensors": "data/06_models/model/model.safetensors",
}
"""Files and folders of a reader, and those of the walk."""
SAYS = {
    "kedro run": "test accuracy ",
    "kedro run --help": "Groups and their members",
    "kedro config model=deep_mnist --origin": "name: deep_mnist # conf/model/deep_mnist.yaml",
    "kedro describe-model --compare 5 3,3": "The second has 72 % of the parameters and 72 % of the multiply-adds.",
    "kedro find-lr model=lenet5": "optimizer.lr=",
    "kedro find-batch-size": "loader.batch_size=",
    "kedro registry list": "crossval",
    "kedro run --pipelines=export": "as accurate as the original",
    "kedro reproduce latest --dry-run": "same",
    "dvc metrics show": "test/acc",
}
"""Words that the output of a command must have."""


class Told(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    said: str


def reason(command: lines.Command) -> str | None:
    """Why a command is not run; None if it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command.text)), None)


def shown() -> dict[str, lines.Command]:
    """Every command of the pages by its text, the first of each; comments of conf/ are parsed and not run."""
    found: dict[str, lines.Command] = {}
    for command in lines.commands(PROJECT):
        if not command.place.startswith("conf/"):
            found.setdefault(command.text, command)
    return found


_RUN = re.compile(r"\b(?:RUN|RUN_NAME|A|B|C)\b|lenet5-digits-[0-9a-f]{8}")
"""What stands for the name of a run."""
WALK = [command for command in shown().values() if reason(command) is None]
WALK.sort(key=lambda command: bool(_RUN.search(command.text)))  # by then there are some runs


class Walk:
    """A copy of the project in which commands are run one after the other, those of Kedro in forks of one process.

    Args:
        project: The copy.
    """

    def __init__(self, project: Any) -> None:
        self._project = project
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("walker.py"))],
            cwd=project.root,
            env=project.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, command: lines.Command) -> Told:
        """Runs a command, with the names of the walk in the place of those of the page."""
        words = [self._meant(word) for word in command.words]
        if words[0] != "kedro":
            done = self._project.run(*words, check=False)
            return Told(done.returncode, done.stdout + done.stderr)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(words) + "\n")
        self._server.stdin.flush()
        return Told(*json.loads(self._server.stdout.readline()))

    def end(self) -> None:
        """Ends the process that forks."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(60)

    def _meant(self, word: str) -> str:
        for theirs, ours in MEANT.items():
            word = word.replace(theirs, str(self._project.root / ours))
        names = dict(zip("ABC", self._runs(), strict=False)) if _RUN.search(word) else {}
        return _RUN.sub(lambda found: names.get(found.group(), names["A"]), word)

    def _runs(self) -> list[str]:
        """The names of the finished trainings of the default network; the newest, which is `latest`, at the end."""
        with sqlite3.connect(f"file:{self._project.root}/mlflow.db?mode=ro", uri=True) as database:
            rows = database.execute(
                "select name from runs where status = 'FINISHED' and name like 'lenet5-digits-%' "
                "order by start_time desc"
            )
            return list(dict.fromkeys(name for (name,) in rows))[::-1]


def pictures(root: Path) -> None:
    """A reader's folder of pictures, with a table of them."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    rows = ["path,label"]
    for number, pixels in enumerate(noise):
        label = ("cat", "dog")[number % 2]
        path = root / "pets" / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        rows.append(f"{label}/{number}.png,{label}")
    (root / "pets/labels.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def walked(make_project: Callable[..., Any]) -> Iterator[dict[str, Told]]:
    """What became of every command of the walk."""
    project = make_project("docs", SETTINGS)
    pictures(project.root)
    walk = Walk(project)
    yield {command.text: walk(command) for command in WALK}
    walk.end()


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("command", WALK, ids=lambda command: f"{command.place}: {command.text}")
def test_a_command_of_the_documentation_runs(command: lines.Command, walked: dict[str, Told]) -> None:
    code, said = walked[command.text]
    wanted = 2 if command.answer.startswith("Error: ") else 0
    assert code == wanted, said
    assert (command.answer if wanted else SAYS.get(command.text, "")) in " ".join(said.split()), said


@pytest.mark.parametrize("pattern", NOT_RUN)
def test_what_is_not_run_still_stands_in_the_documentation(pattern: str) -> None:
    assert [text for text in shown() if re.search(pattern, text)], "no page shows such a command any more"
    for path in re.findall(r"(?:tests|docs)/[\w/]+\.\w+", NOT_RUN[pattern]):
        assert (PROJECT / path).is_file(), path


def test_words_and_places_of_the_walk_still_stand_in_the_documentation() -> None:
    assert set(SAYS) <= {command.text for command in WALK}
    text = " ".join(shown())
    assert [place for place in MEANT if place not in text] == []
