"""`kedro submit`: what a cluster needs to run the very same worker on the very same resolved job."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fovea.commands.clusters.task import Task

FOLDER = "submit"


class _Clusters(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuses an unknown kind of cluster with the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            from fovea.core.errors import UserError, nearest

            raise UserError(f"unknown kind of cluster '{args[0]}'{nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Clusters)
def command() -> None:
    r"""Write what has a cluster train what `kedro run` with the same OVERRIDES would.

    The data are prepared here if need be, and the resolved job is written into its work folder; then the file for the
    cluster is written and shown, with the command that hands it in. Nothing is submitted. The project's folder must be
    the same on all nodes, at the same path.

    \b
      kedro submit slurm --gpus-per-node 4 --time 8:00:00 experiment=imagenet_resnet50 trainer=ddp
      kedro submit kubernetes --image me/fovea --claim projects trainer.accelerator=cpu trainer.devices=2
      kedro submit ray --gpus-per-node 4 trainer=ddp trainer.launch.nodes=2
    """


def _common(function: Callable[..., None]) -> Callable[..., None]:
    """The options of every kind of cluster."""
    count = click.IntRange(min=1)
    options = [
        click.argument("overrides", nargs=-1),
        click.option("--gpus-per-node", "gpus", type=click.IntRange(min=0), help="GPUs of each node; 0: none."),
        click.option("--cpus-per-node", "cpus", type=count, help="Cores; else one for each process."),
        click.option("--memory", type=count, help="GB of each node; else what the cluster gives by itself."),
        click.option(
            "--output", type=click.Path(path_type=Path, file_okay=False), help=f"Folder; else {FOLDER}/<run name>."
        ),
        click.option(
            "--env", "-e", default=None, help="Kedro's environment; its overrides.yaml takes the place of conf/local's."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command()
@_common
@click.option(
    "--time", "limit", default=None, help="Limit of the job's time, as 90, 8:00:00 or 2-12; else SLURM's own."
)
@click.option("--partition", default=None, help="Else SLURM's default.")
@click.option("--account", default=None, help="Else the user's default.")
@click.option(
    "--requeues",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How often the job goes back into the queue when its time is over.",
)
def slurm(limit: str | None, partition: str | None, account: str | None, requeues: int, **common: Any) -> None:
    """Write a batch script for SLURM."""
    from fovea.commands.clusters.slurm import Batch, sbatch, seconds
    from fovea.core.files import explained

    if limit is not None:
        seconds(limit)
    task, output = _task(**common)
    with explained("making the folder logs"):
        (task.root / "logs").mkdir(exist_ok=True)  # SLURM does not make it
    path = _write(output / "train.sbatch", sbatch(task, Batch(limit, partition, account, requeues)))
    _show(task, path, ["sbatch", str(path)])


@command.command()
@_common
@click.option("--image", required=True, help="Container with Python and the project's dependencies.")
@click.option("--claim", required=True, help="PersistentVolumeClaim that holds the project.")
@click.option(
    "--mount",
    type=click.Path(path_type=Path, file_okay=False, exists=True, resolve_path=True),
    default=None,
    help="Where the claim is mounted here and in the pods; else the project's folder.",
)
def kubernetes(image: str, claim: str, mount: Path | None, **common: Any) -> None:
    """Write a PyTorchJob for Kubernetes with Kubeflow's training operator."""
    from fovea.commands.clusters.kubernetes import Pod, check, pytorch_job
    from fovea.core.places import project_root

    pod = Pod(image, claim, mount or project_root())
    check(pod, project_root())
    task, output = _task(**common)
    path = _write(output / "pytorchjob.yaml", pytorch_job(task, pod))
    _show(task, path, ["kubectl", "apply", "--filename", str(path)])


@command.command()
@_common
def ray(**common: Any) -> None:
    """Write the entrypoint of a job for Ray, which trains with Ray Train (extra `ray`)."""
    from fovea.commands.clusters.ray import entrypoint

    task, output = _task(**common)
    path = _write(output / "ray.sh", entrypoint(task))
    _show(task, path, ["ray", "job", "submit", "--", "bash", str(path)])


def _task(
    overrides: tuple[str, ...],
    gpus: int | None,
    cpus: int | None,
    memory: int | None,
    output: Path | None,
    env: str | None,
) -> tuple[Task, Path]:
    """What is to be trained, its data prepared and its job resolved, and the folder for the files."""
    from fovea import tracking
    from fovea.commands.clusters.task import Task, resources
    from fovea.commands.composed import loaded, prepared_job
    from fovea.config import logs
    from fovea.core.places import project_root
    from fovea.core.stopping import stoppable
    from fovea.hooks import chosen
    from fovea.pipelines.train.nodes import SECTIONS
    from fovea.training.job import TrainJob
    from fovea.training.network import check_network
    from fovea.training.stage import work_of

    logs.configure()
    loader = loaded(overrides, env)
    plain = loader["parameters"]
    asked = TrainJob.parse({section: plain[section] for section in SECTIONS})
    wanted = resources(asked, gpus, cpus, memory)  # before data are prepared for hours
    run = (*(["--env", env] if env else []), *overrides)
    # The worker records its run where `kedro run` would, and as what `kedro run` would.
    facts = tracking.RunFacts(plain, chosen(loader.composition), overrides, shlex.join(["kedro", "run", *run]))
    tracking.configure(plain["tracking"], facts)
    with stoppable():
        job, prepared = prepared_job(overrides, env)
        check_network(job.model, job.data)
        work = work_of(job, prepared)
        work.write_job(job, prepared.address)
    root, name = project_root(), work.path.name
    return Task(name, root, work.path, run, wanted), (output or root / FOLDER / name).absolute()


def _write(path: Path, text: str) -> Path:
    from fovea.core.files import atomic_file

    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _show(task: Task, path: Path, hand_in: list[str]) -> None:
    click.echo(path.read_text(encoding="utf-8"))
    click.echo(f"The resolved job is in {task.resolved}")
    click.echo(f"The file above is in {path}; hand it in:")
    click.echo(shlex.join(hand_in))
