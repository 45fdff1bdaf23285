"""ImageNet's ILSVRC2012: the three official archives, or the unpacked ``train/<wnid>/`` and ``val/<wnid>/``.

Labels follow the sorted WordNet ids, as in torchvision and timm. The official training pictures are split ``train`` (of
which prepare cuts the validation part), the official validation pictures are split ``test``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.errors import UserError, nearest
from fovea.datasets import listing
from fovea.datasets.devkit import Devkit, chosen, names_of, read_devkit
from fovea.datasets.fetch import in_place
from fovea.datasets.folders import Group, subfolders, walk
from fovea.datasets.ilsvrc import training, validation
from fovea.datasets.locate import listed, locate, user_folder
from fovea.datasets.samples import Samples, SplitName
from fovea.datasets.source import SourceFiles, collect, raw_folder
from fovea.datasets.wanted import Wanted

if TYPE_CHECKING:
    from fovea.config.schema import DataConfig

_ROLES = ("train", "val", "devkit")
_STORE = "imagenet"
_SPLITS: tuple[tuple[str, SplitName], ...] = (("train", "train"), ("val", "test"))
_HINT = "the ILSVRC2012 files are given at https://image-net.org/download-images after a free registration"


def ingest(data: DataConfig) -> SourceFiles:
    """Finds the three archives, or lists the unpacked folders.

    All data sets of ImageNet share the folder ``data/01_raw/imagenet`` (and ``imagenet/`` of a mirror).

    Raises:
        UserError: The config names other roles than train, val and devkit, or a folder without the files.
        RunError: A file is damaged or not to be had.
    """
    for role in data.files:
        if role not in _ROLES:
            raise UserError(f"data.files has '{role}'{nearest(role, _ROLES)}")
    if data.folder is not None:
        folder = user_folder(data.folder)
        if _is_unpacked(folder, data):
            return _listed(data, folder)
    if "devkit" not in data.files or not {"train", "val"} & set(data.files):
        raise UserError("data.files must name devkit and at least one of train and val; use data=imagenet as it is")
    return replace(locate(data, store=_STORE, hint=_HINT), taken=tuple(sorted(data.wnids or ())))


def read(source: SourceFiles, data: DataConfig) -> Iterator[Samples]:
    """The pictures of the wanted classes: training pictures class by class, then validation pictures.

    Raises:
        UserError: The config names other classes than the source has.
        RunError: A file is damaged, or the archives and the kit do not belong together.
    """
    files = source.files
    kit = _kit(source) if source.pictures is None else None
    wnids = _wnids(source, data, kit)
    _check_count(wnids, data)
    if kit is None:
        yield from listing.read(source, wnids)
        return
    if "train" in files:
        yield from training(files["train"], kit, wnids)
    if "val" in files:
        yield from validation(files["val"], kit, wnids)


def class_names(source: SourceFiles, data: DataConfig) -> list[str]:
    """The first synonym of each class from the development kit; without one, the WordNet ids.

    Raises:
        UserError: `data.wnids` has a class that the source does not have.
        RunError: The kit is damaged or not that of ILSVRC2012.
    """
    kit = _kit(source) if source.pictures is None or "devkit" in source.files else None
    return names_of(_wnids(source, data, kit), kit.words if kit else {})


def _kit(source: SourceFiles) -> Devkit:
    path = source.files.get("devkit")
    if path is None:
        raise UserError("the source has no development kit; run `kedro run --pipelines=ingest` with this config")
    return read_devkit(path)


def _wnids(source: SourceFiles, data: DataConfig, kit: Devkit | None) -> list[str]:
    if kit is None or source.pictures is not None:
        return chosen(data.wnids, listing.labels(source), f"'{source.pictures}'")
    return chosen(data.wnids, list(kit.words), f"'{kit.path.name}'")


def _check_count(wnids: list[str], data: DataConfig) -> None:
    if data.classes is not None and len(data.classes) != len(wnids):
        raise UserError(
            f"data.classes has {len(data.classes):,} names but there are {len(wnids):,} classes of ImageNet; set "
            "data.classes=null to take their own names"
        )


def _is_unpacked(folder: Path, data: DataConfig) -> bool:
    archives = [folder / data.files[role].name for role in ("train", "val") if role in data.files]
    return not any(path.is_file() for path in archives) and any((folder / name).is_dir() for name, _ in _SPLITS)


def _listed(data: DataConfig, folder: Path) -> SourceFiles:
    """The listing of the unpacked folders, and the development kit where it lies beside them."""
    groups = []
    for name, split in _SPLITS:
        if name in data.files or not data.files:
            groups += _classes(folder, name, split, data)
    if data.wnids is not None:
        chosen(data.wnids, sorted({group.label for group in groups}), f"'{folder}'")
    there = {group.label for group in groups if group.paths}
    empty = sorted({group.label for group in groups} - there)
    if empty:  # without it the labels of all that follow would be others
        raise UserError(
            f"'{folder}' has no pictures of {listed([repr(one) for one in empty[:5]])}; put some into the folder, or "
            "remove it"
        )
    store = raw_folder(data.name)
    files = [("listing", listing.make(folder, groups, store))]
    if "devkit" in data.files:
        file = data.files["devkit"]
        kit = in_place(Wanted(file.name, file.bytes, file.md5, file.sha256), folder, store)
        files += [("devkit", kit)] if kit else []
    return collect(data.name, store, files, pictures=folder)


def _classes(folder: Path, name: str, split: SplitName, data: DataConfig) -> list[Group]:
    if not (folder / name).is_dir():
        raise UserError(
            f"'{folder}' has no folder '{name}'; put it there, or use "
            f"{'data=imagenet_val for the validation pictures alone' if name == 'train' else 'the folder that has it'}"
        )
    folders = subfolders(folder / name)
    if not folders:
        raise UserError(
            f"'{folder / name}' has no folders of classes, as n01440764; sort them into such, or use the archive"
        )
    strange = [one for one in folders if not (len(one) == 9 and one[0] == "n" and one[1:].isdigit())]
    if strange:
        raise UserError(
            f"'{folder / name}' has {listed([repr(one) for one in strange[:3]])}, which is no WordNet id as n01440764; "
            "use data=image_folder for other folders"
        )
    wanted = [one for one in folders if data.wnids is None or one in data.wnids]
    return [Group(one, split, *walk(folder, folder / name / one)) for one in wanted]
