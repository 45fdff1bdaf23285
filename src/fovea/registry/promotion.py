"""Makes a challenger the champion if it passes the gates, and takes that back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fovea.comparison import fetch as runs
from fovea.comparison.latency import latencies
from fovea.comparison.pairing import judge, pair
from fovea.core.digest import file_digest
from fovea.core.errors import FoveaError, RunError, UserError
from fovea.core.files import explained, scratch_directory
from fovea.core.places import MEMBERS, project_root
from fovea.registry.decision import Decision
from fovea.registry.delivered import CLASSIFIER, WEIGHTS, check_single, retested
from fovea.registry.gates import Contest, Ruling, floors, merit
from fovea.registry.registration import kept_in
from fovea.registry.shelf import CHAMPION, PREVIOUS, WEIGHTS_TAG, Shelf, Version
from fovea.registry.standing import Standing, standing
from fovea.tracking.finding import find_run

if TYPE_CHECKING:
    from fovea.comparison.past import PastRun
    from fovea.config.schema import PromoteConfig
    from fovea.tracking.finding import FoundRun


def judged(found: FoundRun, shelf: Shelf, config: PromoteConfig, origin: Mapping[str, str]) -> Decision:
    """Decides whether a run's registered model becomes the champion; changes nothing.

    Args:
        found: The run of the challenger.
        shelf: The registered model.
        config: The gates.
        origin: Who asks, see `Decision`.

    Raises:
        UserError: The run is no single model or is not registered, it was tested on other data than it was trained
            on, it is the champion already, or champion and challenger were tested on different pictures.
        RunError: A file was deleted, or MLflow is out of reach.
    """
    check_single(found)
    run = runs.read(found)
    challenger = _version_of(found, shelf)
    _check_tested(run, found)
    _check_kept(found, challenger)
    champion = shelf.holder(CHAMPION)
    if champion is not None and champion.number == challenger.number:
        raise UserError(f"{challenger.label} is the champion of '{shelf.name}' already; name another run")
    shown = standing(run, _temperature(found, challenger))
    gates = floors(shown, config)
    numbers: dict[str, Any] = {"challenger": _numbers(run, shown), "champion": None, "contest": None}
    if champion is None:
        ruling, notes = Ruling(gates), ["there was no champion: only the floors count"]
    else:
        holder, against = _run_of(champion, shelf)
        found_out = contest(run, against, config)
        ruling, notes = Ruling(gates, merit(found_out, config)), notes_on(run, against)
        shown = standing(against, _temperature(holder, champion))
        numbers |= {"champion": _numbers(against, shown), "contest": vars(found_out)}
    return Decision(
        outcome="promoted" if ruling.passed else "refused",
        name=shelf.name,
        version=challenger,
        champion=champion,
        reason=ruling.reason,
        origin=origin,
        time=datetime.now(UTC),
        gates=ruling.gates,
        numbers=numbers,
        config=config.model_dump(mode="json"),
        notes=notes,
    )


def returned(shelf: Shelf, origin: Mapping[str, str]) -> Decision:
    """Decides to put the previous champion back; changes nothing.

    Raises:
        UserError: There is no previous champion, or it is the champion still.
        RunError: Its files were deleted, or MLflow is out of reach.
    """
    champion, previous = shelf.holder(CHAMPION), shelf.holder(PREVIOUS)
    if previous is None:
        raise UserError(
            f"'{shelf.name}' has no previous champion to go back to (no version has the alias '{PREVIOUS}'); "
            "`kedro promote RUN` makes a champion"
        )
    if champion is not None and champion.number == previous.number:
        raise UserError(
            f"{champion.label} is both champion and previous champion of '{shelf.name}', as an earlier change was cut "
            "short; name the run that is to be the champion: `kedro promote RUN`"
        )
    _check_kept(find_run(previous.run_id), previous)
    reason = "it was the champion before"
    return Decision("restored", shelf.name, previous, champion, reason, origin, datetime.now(UTC))


def carry_out(decision: Decision, shelf: Shelf) -> None:
    """Writes a decision down and, unless it is a refusal, moves the aliases.

    Raises:
        RunError: Somebody else has changed the champion since, or MLflow is out of reach.
    """
    now = shelf.holder(CHAMPION)
    if (now and now.number) != (decision.champion and decision.champion.number):
        raise RunError(
            f"the champion of '{shelf.name}' was changed by somebody else in the meantime; run the same command again"
        )
    decision.keep(shelf)
    if decision.outcome == "refused":
        return
    if decision.champion is not None:
        shelf.give(PREVIOUS, decision.champion)
    shelf.give(CHAMPION, decision.version)


def contest(challenger: PastRun, champion: PastRun, config: PromoteConfig) -> Contest:
    """Both on the same test pictures.

    Raises:
        UserError: They were tested on different pictures, or on some under other labels.
        RunError: A model whose time is to be measured is damaged.
    """
    pairing = pair(champion, challenger)
    if not pairing.is_whole:
        raise UserError(
            f"'{challenger.name}' and the champion '{champion.name}' were not tested on the same pictures "
            f"({pairing.counts.count:,} in common, {pairing.only_second:,} only of the first, {pairing.only_first:,} "
            f"only of the second, {pairing.relabelled:,} under other labels); test both on the same data, then promote"
        )
    verdict = judge(pairing, config.confidence)
    return Contest(
        difference=pairing.counts.difference,
        low=verdict.low,
        high=verdict.high,
        p=verdict.p,
        cost_ratio=_cost_ratio(challenger, champion, config),
    )


def notes_on(challenger: PastRun, champion: PastRun) -> list[str]:
    """What differs that the tests cannot see."""
    notes = [f"the champion {champion.elsewhere}, which flatters it"] if champion.elsewhere else []
    mine, theirs = (run.tags.get("data_digest", "unknown") for run in (challenger, champion))
    if mine != theirs:
        notes.append(
            f"the data differ although ids and labels of the test pictures do not: digest {mine[:12]}, that of the "
            f"champion {theirs[:12]}"
        )
    return notes


def _cost_ratio(challenger: PastRun, champion: PastRun, config: PromoteConfig) -> float | None:
    if config.cost == "latency":
        mine, theirs = latencies([challenger.run_id, champion.run_id], project_root() / MEMBERS)
        return mine / theirs
    if challenger.parameters is None or not champion.parameters:
        return None
    return challenger.parameters / champion.parameters


def _version_of(found: FoundRun, shelf: Shelf) -> Version:
    made = [version for version in shelf.versions() if version.run_id == found.run_id and WEIGHTS_TAG in version.tags]
    if not made:
        raise UserError(
            f"the run '{found.name}' ({found.run_id}) has no version of '{shelf.name}'; register it first: `kedro "
            f"register {found.run_id}`, or name the registered model with --name"
        )
    return made[0]


def _run_of(champion: Version, shelf: Shelf) -> tuple[FoundRun, PastRun]:
    """The run of the champion, found and read; whatever is wrong with it is said to be the champion's."""
    try:
        found = find_run(champion.run_id)
        return found, runs.read(found)
    except FoveaError as error:
        raise type(error)(
            f"the champion of '{shelf.name}', {champion.label}, cannot be compared with: {error}; mend that, or take "
            f"the alias '{CHAMPION}' from it in `kedro ui`, and then only the floors count"
        ) from error


def _check_tested(run: PastRun, found: FoundRun) -> None:
    """Refuses numbers that are not those of pictures the model had not seen."""
    if run.elsewhere:
        raise UserError(f"'{run.name}' {run.elsewhere}; test it again by {retested(found)}, then promote")


def _check_kept(found: FoundRun, version: Version) -> None:
    """Refuses a version whose files are not those that were registered."""
    digest = version.tags.get(WEIGHTS_TAG, "")
    name, place = f"{kept_in(digest)}/{WEIGHTS}", scratch_directory()
    try:
        with explained("fetching the registered model"):
            path = found.artifact(name, place)
        if path is None:
            raise RunError(
                f"the artifact {name} of the run '{found.name}' ({found.run_id}) was deleted: {version.label} cannot "
                "be loaded; export and register that model again"
            )
        if file_digest(path) != digest:
            raise RunError(
                f"the artifact {name} of the run '{found.name}' ({found.run_id}) is not the one that was registered as "
                f"{version.label}; export and register that model again"
            )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _temperature(found: FoundRun, version: Version) -> float | None:
    """What a version divides its logits by; None: nothing, or its file does not say."""
    place = scratch_directory()
    try:
        with explained("fetching the registered model"):
            path = found.artifact(f"{kept_in(version.tags.get(WEIGHTS_TAG, ''))}/{CLASSIFIER}", place)
            known = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
    except ValueError:
        return None
    finally:
        shutil.rmtree(place, ignore_errors=True)
    temperature: float | None = known.get("temperature")
    return temperature


def _numbers(run: PastRun, shown: Standing) -> dict[str, Any]:
    worst = shown.recalls[0]
    return {
        "acc": shown.acc,
        "ece": shown.ece,
        "worst_class": worst.name,
        "worst_recall": worst.recall,
        "pictures": shown.pictures,
        "test_digest": shown.digest,
        "parameters": run.parameters,
    }
