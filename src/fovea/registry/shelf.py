"""The versions of one registered model in MLflow, and the aliases that name some of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.core.errors import RunError
from fovea.tracking.params import cut
from fovea.tracking.reach import OutOfReachError, RefusedError, translated
from fovea.tracking.uri import redacted

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from fovea.tracking.store import Store

CHAMPION = "champion"
PREVIOUS = "previous"

WEIGHTS_TAG = "weights_sha256"
DATA_TAG = "data"

_LONGEST_TAG = 4000
_LONGEST_DESCRIPTION = 5000  # of MLflow's column


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Attributes:
        number: MLflow's, from 1.
        run_id: Of the run that made it.
        tags: Its tags.
    """

    number: int
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def run_name(self) -> str:
        """The name of its run; the id where that is not known."""
        return self.tags.get("run_name", self.run_id)

    @property
    def label(self) -> str:
        """As `version 3 (lenet5-digits-5541feb8)`."""
        return f"version {self.number} ({self.run_name})"


@dataclass(frozen=True)
class Shelf:
    """A registered model, which need not exist yet.

    Attributes:
        store: The MLflow store that holds it.
        name: Its name.
    """

    store: Store
    name: str

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        with self._in_reach("looked at"):
            found = self.store.client.search_model_versions(f"name = '{self.name}'")
        return sorted(map(_version, found), key=lambda one: -one.number)

    def holder(self, alias: str) -> Version | None:
        """The version that has an alias."""
        from mlflow.exceptions import MlflowException

        with self._in_reach("looked at"):
            try:
                aliases = self.store.client.get_registered_model(self.name).aliases
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
            number = aliases.get(alias)
            return None if number is None else _version(self.store.client.get_model_version(self.name, str(number)))

    def add(self, source: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
        """Makes a version.

        Args:
            source: The URI of the folder that MLflow loads, among the artifacts of the run.
            run_id: Of the run.
            tags: Cut where they are longer than MLflow takes.
            description: Markdown, cut as well.
        """
        from mlflow.exceptions import MlflowException

        with self._in_reach("written"):
            try:
                self.store.client.create_registered_model(self.name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            made = self.store.client.create_model_version(
                self.name,
                source,
                run_id,
                tags={name: cut(value, _LONGEST_TAG) for name, value in tags.items()},
                description=cut(description, _LONGEST_DESCRIPTION),
                await_creation_for=None,  # type: ignore[arg-type]  # MLflow has it at once; waiting only writes a line
            )
        return _version(made)

    def give(self, alias: str, version: Version) -> None:
        """Moves an alias to a version."""
        with self._in_reach("written"):
            self.store.client.set_registered_model_alias(self.name, alias, str(version.number))

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Sets tags of a version and, the same, of its run."""
        with self._in_reach("written"):
            for name, value in tags.items():
                short = cut(value, _LONGEST_TAG)
                self.store.client.set_model_version_tag(self.name, str(version.number), name, short)
                self.store.client.set_tag(version.run_id, name, short)

    def keep_text(self, run_id: str, text: str, name: str) -> None:
        """Adds a file to the artifacts of a run."""
        with self._in_reach("written"):
            self.store.client.log_text(run_id, text, name)

    def keep_folder(self, run_id: str, folder: Path, name: str) -> None:
        """Adds the files below a folder to the artifacts of a run, under `name`."""
        with self._in_reach("written"):
            self.store.client.log_artifacts(run_id, str(folder), name)

    @contextmanager
    def _in_reach(self, done: str) -> Iterator[None]:
        try:
            with translated():
                yield
        except (OutOfReachError, RefusedError) as error:
            raise RunError(
                f"the registered model '{self.name}' could not be {done}: MLflow at {redacted(self.store.uri)} says "
                f"'{error}'; mend that and run the same command again"
            ) from error


def _version(found: ModelVersion) -> Version:
    return Version(int(found.version), str(found.run_id), dict(found.tags))
