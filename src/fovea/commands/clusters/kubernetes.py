"""A PyTorchJob for Kubernetes with Kubeflow's training operator: one launcher a pod, then the evaluation on the first.

The fields are those of `kubeflow.org/v1`
(https://github.com/kubeflow/training-operator/blob/release-1.9/pkg/apis/kubeflow.org/v1/pytorch_types.go).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fovea.commands.clusters.task import Task, script
from fovea.core.errors import UserError

_PYTHON = "python"  # of the image
_LONGEST = 63 - len("-worker-99")  # of a label, of which the names of pods and services are made
_GRACE = 120  # seconds for a checkpoint between SIGTERM and SIGKILL


@dataclass(frozen=True)
class Pod:
    """What only Kubernetes is told.

    Attributes:
        image: With Python and the project's dependencies.
        claim: The PersistentVolumeClaim in which the project lies; every pod must be able to write to it.
        mount: Where that claim is mounted, here and in the pods.
    """

    image: str
    claim: str
    mount: Path


def check(pod: Pod, root: Path) -> None:
    """Refuses a mount that does not hold the project.

    Raises:
        UserError: The project lies elsewhere.
    """
    if not root.is_relative_to(pod.mount):
        raise UserError(
            f"--mount={pod.mount} does not hold the project '{root}'; name the folder at which the claim '{pod.claim}' "
            "is mounted here, the project's or one above it"
        )


def pytorch_job(task: Task, pod: Pod) -> str:
    """The text of the manifest.

    Args:
        task: What is trained.
        pod: What only Kubernetes is told.
    """
    text: str = yaml.dump(_manifest(task, pod), Dumper=_Dumper, sort_keys=False, width=10**6)
    return f"# Trains {task.summary}, then evaluates it.\n# Written by `kedro submit kubernetes`.\n{text}"


def name_of(run_name: str) -> str:
    """The run's name as a label of DNS (RFC 1035), short enough for the names of pods; its end, a digest, is kept."""
    start = "run-"  # where it would begin with a digit
    label = re.sub(r"[^a-z0-9-]+", "-", run_name.lower())[len(start) - _LONGEST :].strip("-")
    return label if label[:1].isalpha() else start + label


def _manifest(task: Task, pod: Pod) -> dict[str, Any]:
    wanted = task.resources
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name_of(task.name)},
        "spec": {
            "nprocPerNode": str(wanted.processes),
            "elasticPolicy": {
                "rdzvBackend": "c10d",
                "minReplicas": wanted.min_nodes,
                "maxReplicas": wanted.nodes,
            },
            "runPolicy": {"cleanPodPolicy": "Running"},
            "pytorchReplicaSpecs": {
                "Worker": {
                    "replicas": wanted.nodes,
                    # A code of 1 to 127 would come again and ends the job; of 128 and above (a signal) does not.
                    "restartPolicy": "ExitCode",
                    "template": {
                        # With Istio's proxy beside them processes do not find each other.
                        "metadata": {"annotations": {"sidecar.istio.io/inject": "false"}},
                        "spec": _pod(task, pod),
                    },
                }
            },
        },
    }


def _pod(task: Task, pod: Pod) -> dict[str, Any]:
    wanted = task.resources
    limits: dict[str, Any] = {"cpu": wanted.cpus}
    if wanted.memory:
        limits["memory"] = f"{wanted.memory}Gi"
    if wanted.gpus:
        limits["nvidia.com/gpu"] = wanted.gpus
    return {
        "terminationGracePeriodSeconds": _GRACE,
        "containers": [
            {
                "name": "pytorch",  # the operator knows it by this name
                "image": pod.image,
                "command": ["/bin/sh", "-c", _script(task)],
                "workingDir": str(task.root),
                "env": [{"name": "PYTHONPATH", "value": str(task.root / "src")}],
                "resources": {"limits": limits},
                "volumeMounts": [
                    {"name": "project", "mountPath": str(pod.mount)},
                    {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 where processes share batches
                ],
            }
        ],
        "volumes": [
            {"name": "project", "persistentVolumeClaim": {"claimName": pod.claim}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
    }


def _script(task: Task) -> str:
    """What a pod runs. A shell with the process id 1 passes no signal on by itself."""
    launcher = shlex.join([_PYTHON, "-m", "fovea.training.launcher", str(task.resolved)])
    return script(
        [
            "run() {",
            "    child= stop=",
            '    trap \'stop=1; [ -z "$child" ] || kill -TERM "$child"\' TERM INT  # also while the child is started',
            '    "$@" &',
            "    child=$!",
            '    [ -z "$stop" ] || kill -TERM "$child"',
            '    wait "$child"; code=$?',
            '    while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done  # a signal ends a wait early',
            '    [ "$code" -eq 0 ] || exit "$code"',
            "}",
            f"run {launcher} --processes {task.resources.processes} \\",
            '    --nodes "$PET_NNODES" --rendezvous "$PET_RDZV_ENDPOINT"',
            'case "$HOSTNAME" in',
            f"*-worker-0) run {task.evaluation(_PYTHON)} ;;",
            "esac",
        ]
    )


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
