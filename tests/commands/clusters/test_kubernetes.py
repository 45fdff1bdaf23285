"""The PyTorchJob: its fields, and what a pod runs."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fovea.commands.clusters.kubernetes import Pod, check, name_of, pytorch_job
from fovea.commands.clusters.task import Task
from fovea.core.errors import UserError

MakeTask = Callable[..., Task]
RunWithFakes = Callable[..., tuple[int, list[str]]]

# The fields of kubeflow.org/v1 (pytorch_types.go and common_types.go of the training operator), and below `template`
# those of Kubernetes' PodSpec that are used here.
FIELDS: dict[str, Any] = {
    "apiVersion": None,
    "kind": None,
    "metadata": {"name": None, "namespace": None},
    "spec": {
        "nprocPerNode": None,
        "runPolicy": {
            "cleanPodPolicy": None,
            "ttlSecondsAfterFinished": None,
            "activeDeadlineSeconds": None,
            "backoffLimit": None,
            "schedulingPolicy": None,
        },
        "elasticPolicy": {
            "minReplicas": None,
            "maxReplicas": None,
            "rdzvBackend": None,
            "rdzvPort": None,
            "rdzvHost": None,
            "rdzvId": None,
            "rdzvConf": None,
            "standalone": None,
            "nProcPerNode": None,
            "maxRestarts": None,
            "metrics": None,
        },
        "pytorchReplicaSpecs": {
            "Worker": {
                "replicas": None,
                "restartPolicy": None,
                "template": {
                    "metadata": None,
                    "spec": {"containers": None, "volumes": None, "terminationGracePeriodSeconds": None},
                },
            }
        },
    },
}


def unknown(found: Mapping[str, Any], fields: Mapping[str, Any], above: str = "") -> list[str]:
    """The keys that are no fields."""
    wrong = [f"{above}{key}" for key in found if key not in fields]
    for key, value in found.items():
        if isinstance(fields.get(key), dict):
            wrong += unknown(value, fields[key], f"{above}{key}.")
    return wrong


def manifest(task: Task, **changes: Any) -> dict[str, Any]:
    pod = Pod(**{"image": "me/fovea:1", "claim": "projects", "mount": task.root, **changes})
    content: dict[str, Any] = yaml.safe_load(pytorch_job(task, pod))
    return content


def worker(content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["spec"]["pytorchReplicaSpecs"]["Worker"]
    return found


def container(content: Mapping[str, Any]) -> dict[str, Any]:
    (found,) = worker(content)["template"]["spec"]["containers"]
    return dict(found)


def test_it_is_a_pytorch_job_of_documented_fields(make_task: MakeTask) -> None:
    content = manifest(make_task(nodes=3, min_nodes=2, processes=4, gpus=4, cpus=16, memory=64))
    assert (content["apiVersion"], content["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    assert unknown(content, FIELDS) == []
    spec = content["spec"]
    assert spec["nprocPerNode"] == "4"  # a text, by its type in Go
    assert spec["elasticPolicy"] == {"rdzvBackend": "c10d", "minReplicas": 2, "maxReplicas": 3}
    assert worker(content)["replicas"] == 3
    assert worker(content)["restartPolicy"] == "ExitCode"
    assert worker(content)["template"]["metadata"] == {"annotations": {"sidecar.istio.io/inject": "false"}}


def test_a_pod_has_the_project_and_what_was_asked_for(make_task: MakeTask) -> None:
    task = make_task(processes=4, gpus=4, cpus=16, memory=64)
    content = manifest(task, mount=task.root.parent)
    found = container(content)
    assert (found["name"], found["image"], found["workingDir"]) == ("pytorch", "me/fovea:1", str(task.root))
    assert found["resources"] == {"limits": {"cpu": 16, "memory": "64Gi", "nvidia.com/gpu": 4}}
    mounts = {mount["name"]: mount["mountPath"] for mount in found["volumeMounts"]}
    assert mounts == {"project": str(task.root.parent), "shm": "/dev/shm"}  # noqa: S108
    volumes = worker(content)["template"]["spec"]["volumes"]
    assert {volume["name"] for volume in volumes} == set(mounts)
    assert volumes[0]["persistentVolumeClaim"] == {"claimName": "projects"}


def test_without_gpus_and_memory_none_are_asked_for(make_task: MakeTask) -> None:
    assert container(manifest(make_task()))["resources"] == {"limits": {"cpu": 8}}


@pytest.mark.parametrize(
    ("run_name", "name"),
    [
        ("lenet5-digits-1a2b3c4d", "lenet5-digits-1a2b3c4d"),
        ("ResNet_50.v2-Cats_vs_Dogs-1a2b3c4d", "resnet-50-v2-cats-vs-dogs-1a2b3c4d"),
        ("7layers-digits-1a2b3c4d", "run-7layers-digits-1a2b3c4d"),
        (f"{'x' * 80}-digits-1a2b3c4d", f"{'x' * 33}-digits-1a2b3c4d"),
        (f"{'7' * 80}-digits-1a2b3c4d", f"run-{'7' * 33}-digits-1a2b3c4d"),
    ],
)
def test_names_are_labels_of_dns_that_keep_the_digest(run_name: str, name: str) -> None:
    assert name_of(run_name) == name
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(f"{name}-worker-99") <= 63


def test_a_mount_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--mount=/data does not hold the project '.*'; name the folder"):
        check(Pod("image", "projects", Path("/data")), tmp_path)
    check(Pod("image", "projects", tmp_path.parent), tmp_path)


@pytest.mark.parametrize(
    ("pod", "evaluates"), [("job-worker-0", True), ("job-worker-1", False), ("job-worker-10", False)]
)
def test_every_pod_launches_and_the_first_evaluates(
    make_task: MakeTask, run_with_fakes: RunWithFakes, pod: str, evaluates: bool
) -> None:
    task = make_task()
    variables = {"HOSTNAME": pod, "PET_NNODES": "1:2", "PET_RDZV_ENDPOINT": "job-worker-0:23456"}
    code, calls = run_with_fakes(container(manifest(task))["command"], {"python": ""}, **variables)
    assert code == 0
    assert calls == [
        f"python <-m> <fovea.training.launcher> <{task.resolved}> <--processes> <2> <--nodes> <1:2> "
        "<--rendezvous> <job-worker-0:23456>",
        *(["python <-m> <kedro> <run> <model=lenet5> <data.mean=[0.5]>"] if evaluates else []),
    ]


@pytest.mark.parametrize("ended", [1, 2, 143])
def test_a_pod_ends_as_its_launcher_ends(make_task: MakeTask, run_with_fakes: RunWithFakes, ended: int) -> None:
    variables = {"HOSTNAME": "job-worker-0", "PET_NNODES": "1:1", "PET_RDZV_ENDPOINT": "job-worker-0:23456"}
    code, calls = run_with_fakes(container(manifest(make_task()))["command"], {"python": f"exit {ended}"}, **variables)
    assert (code, len(calls)) == (ended, 1)


def test_a_signal_reaches_the_launcher_and_is_waited_for(make_task: MakeTask, tmp_path: Path) -> None:
    (tmp_path / "python").write_text(
        "#!/bin/bash\n"
        f"trap 'sleep 0.3; touch {tmp_path}/saved; exit 143' TERM\n"
        f"touch {tmp_path}/ready\n"
        "for _ in $(seq 100); do sleep 0.1; done\n"
    )
    (tmp_path / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOSTNAME": "job-worker-0", "PET_NNODES": "1:1"}
    environment["PET_RDZV_ENDPOINT"] = "job-worker-0:23456"
    with subprocess.Popen(container(manifest(make_task()))["command"], env=environment) as pod:
        while not (tmp_path / "ready").exists() and pod.poll() is None:
            time.sleep(0.02)
        pod.send_signal(signal.SIGTERM)
        assert pod.wait(timeout=20) == 143
    assert (tmp_path / "saved").exists()
