"""dvc.yaml, derived from the registered pipelines and the catalog: nothing is typed twice (docs/decisions/0005)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.core.errors import UserError
from fovea.imports import code_used

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

Yaml = dict[str, Any]

HEADER = "# Written by `kedro dvc-yaml` from the pipelines and conf/base/catalog.yml. Changes made by hand are lost.\n"
_PARAMS_MODULE = "fovea.config.params_stage"
_PREFIX = "params:"


def dvc_yaml(root: Path, pipelines: Mapping[str, Pipeline], catalog: Mapping[str, Yaml]) -> str:
    """The text of dvc.yaml.

    A stage is a registered pipeline that is a part of `__default__`. Its dependencies are the files of the pipeline's
    free inputs and the code of its nodes; its parameters, outputs, metrics and plots are the pipeline's.

    Args:
        root: The project's root.
        pipelines: Registered pipelines by name.
        catalog: The entries of conf/base/catalog.yml. ``metadata: {dvc: {metric: true}}`` makes an output a metric,
            ``metadata: {dvc: {plot: {...}}}`` gives an output a plot.

    Raises:
        UserError: A stage has an input or an output without a file, or takes all parameters at once.
    """
    import yaml

    names = _stage_names(pipelines)
    stages = {"params": _params_stage(root)}
    stages |= {name: _stage(root, name, pipelines[name], catalog) for name in names}
    content: Yaml = {"stages": stages}
    plots = [plot for name in names for plot in _plots(pipelines[name], catalog)]
    if plots:
        content["plots"] = plots
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120)


def read_catalog(conf: Path) -> Mapping[str, Yaml]:
    """The entries of the base environment's catalog: what every user has, whatever is in conf/local."""
    from kedro.config import OmegaConfigLoader

    loader = OmegaConfigLoader(str(conf), base_env="base", default_run_env="base")
    return {name: entry for name, entry in loader["catalog"].items() if not name.startswith("_")}


def _stage_names(pipelines: Mapping[str, Pipeline]) -> list[str]:
    order = {node.name: place for place, node in enumerate(pipelines["__default__"].nodes)}
    first: dict[str, int] = {}
    for name, pipeline in pipelines.items():
        places = [order.get(node.name) for node in pipeline.nodes]
        if name != "__default__" and places and None not in places:
            first[name] = min(place for place in places if place is not None)
    return sorted(first, key=first.__getitem__)


def _params_stage(root: Path) -> Yaml:
    return {
        "cmd": f"scripts/in-env python -m {_PARAMS_MODULE}",
        "deps": sorted(["conf", *_code(root, [_PARAMS_MODULE])]),
        "outs": [{"params.yaml": {"cache": False, "persist": True}}],
    }


def _stage(root: Path, name: str, pipeline: Pipeline, catalog: Mapping[str, Yaml]) -> Yaml:
    inputs = sorted(pipeline.inputs())
    outputs = _outputs(pipeline, catalog)
    data = [entry for entry in inputs if entry != "parameters" and not entry.startswith(_PREFIX)]
    if "parameters" in inputs:
        raise UserError(f"the pipeline '{name}' takes 'parameters' as a whole; name its sections, as in 'params:data'")
    entries = {entry: _entry(catalog, entry, name) for entry in [*data, *outputs]}
    modules = {node.func.__module__ for node in pipeline.nodes}
    modules |= {text for entry in entries.values() for text in entry.values() if str(text).startswith("fovea.")}
    metrics = [entry for entry in outputs if _dvc(entries[entry]).get("metric")]
    stage: Yaml = {
        "cmd": f"exec scripts/in-env kedro run --pipelines={name}",
        "deps": sorted([*(entries[entry]["filepath"] for entry in data), *_code(root, modules)]),
        "params": [entry.removeprefix(_PREFIX) for entry in inputs if entry.startswith(_PREFIX)],
        "outs": [entries[entry]["filepath"] for entry in outputs if entry not in metrics],
        "metrics": [entries[entry]["filepath"] for entry in metrics],
    }
    return {key: value for key, value in stage.items() if value}


def _plots(pipeline: Pipeline, catalog: Mapping[str, Yaml]) -> list[Yaml]:
    plotted = [catalog[name] for name in _outputs(pipeline, catalog) if "plot" in _dvc(catalog[name])]
    return [{entry["filepath"]: _dvc(entry)["plot"]} for entry in plotted]


def _outputs(pipeline: Pipeline, catalog: Mapping[str, Yaml]) -> list[str]:
    return sorted(pipeline.outputs() | {name for name in pipeline.all_outputs() if name in catalog})


def _entry(catalog: Mapping[str, Yaml], name: str, stage: str) -> Yaml:
    if "filepath" not in catalog.get(name, {}):
        raise UserError(
            f"'{name}' of the pipeline '{stage}' has no file in conf/base/catalog.yml; give it an entry there"
        )
    return catalog[name]


def _dvc(entry: Yaml) -> Yaml:
    found: Yaml = (entry.get("metadata") or {}).get("dvc") or {}
    return found


def _code(root: Path, modules: set[str] | list[str]) -> list[str]:
    package = root / "src" / "fovea"
    return [path.relative_to(root).as_posix() for path in code_used(package, sorted(modules))]
