"""Whether a model, prepared data and the config speak of the same pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from fovea.shards import PreparedData
    from fovea.training import TrainedModel


def check_prepared(prepared: PreparedData, name: str) -> None:
    """Refuses data that were prepared for another config.

    Raises:
        UserError: Their name is not `name`.
    """
    if prepared.meta.name != name:
        raise UserError(
            f"{prepared.path} holds '{prepared.meta.name}', but the config says data.name={name}; "
            f"run the whole pipeline (`kedro run`) or choose data={prepared.meta.name}"
        )


def check_model(prepared: PreparedData, model: TrainedModel) -> None:
    """Refuses a model that cannot be tested on these data.

    Raises:
        UserError: It was trained on other classes or another kind of picture, or there is no test picture. Pictures of
            any size fit every model.
    """
    meta, trained = prepared.meta, model.facts["data"]
    found = {"classes": list(meta.classes), "channels": meta.channels, "image_size": meta.image_size}
    words = difference(trained, found)
    if words:
        raise UserError(
            f"the model at {model.path} was trained on data={trained['name']} and does not fit '{meta.name}' at "
            f"{prepared.path}: {words}; choose data={trained['name']} or train a model on these data"
        )
    if not len(prepared.split("test")):
        raise UserError(
            f"'{meta.name}' has no test pictures; raise prepare.test_fraction, or give it a test split of its own"
        )


def knows_split(model: TrainedModel, prepared: PreparedData) -> bool:
    """Whether it was trained on the training pictures of these very data, so that validation and test are new to it."""
    return bool(model.facts.get("data_digest") == prepared.meta.digest)


def unlike_training(model: TrainedModel, prepared: PreparedData) -> str:
    """A sentence on what a test on other data than those of the training means; empty: the data are those.

    A model that does not tell what it was trained on is not known to be of other data.
    """
    known = str(model.facts.get("data_digest", ""))
    if not known or knows_split(model, prepared):
        return ""
    return (
        f"the model was trained on '{model.facts['data']['name']}' (digest {known[:12]}) and is tested on "
        f"'{prepared.meta.name}' (digest {prepared.meta.digest[:12]}): from now on the test numbers of its run are "
        "those of other data, some of whose pictures may have been among its training pictures, and `kedro promote` "
        "refuses the run"
    )


def difference(trained: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """In which of `classes`, `channels` and `image_size` a model and data differ, in words; empty: in none.

    Args:
        trained: The section `data` that the model was trained with.
        found: The same of the data; an `image_size` of None fits every model.
    """
    known, given = trained["classes"], found["classes"]
    if len(known) != len(given):
        return f"it knows {len(known)} classes, the data have {len(given)}"
    for label, (one, other) in enumerate(zip(known, given, strict=True)):
        if one != other:
            return f"it knows class {label} as '{one}', the data as '{other}'"
    for key in ("channels", "image_size"):
        if found[key] is not None and trained[key] != found[key]:
            return f"it wants {key}={trained[key]}, the data have {found[key]}"
    return ""
