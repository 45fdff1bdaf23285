"""`kedro promote`: makes a registered model the champion if it passes the gates, and takes that back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fovea.registry.decision import Decision


@click.command()
@click.argument("run", required=False)
@click.argument("overrides", nargs=-1)
@click.option("--name", default=None, help="Of the registered model; else registry.name, else the name of the data.")
@click.option("--dry-run", is_flag=True, help="Say what would be decided; change and log nothing.")
@click.option("--rollback", is_flag=True, help="Put the previous champion back, instead of promoting a run.")
@click.option("--env", "-e", default=None, help="Kedro's environment.")
def command(
    run: str | None, overrides: tuple[str, ...], name: str | None, dry_run: bool, rollback: bool, env: str | None
) -> None:
    r"""Make the model of a run the champion, if it passes the gates.

    RUN is a run whose model was registered: its name, its id, or `latest`. The gates stand in the section `promote`
    of the configuration. Champion and challenger are compared on the same test pictures. If it passes, the alias
    `champion` of the registered model moves, and the champion before gets the alias `previous`. The decision is
    logged, whatever it is.

    The exit code is 0 if the run's model is the champion now, 1 if a gate refuses it, and 2 for a mistake.

    \b
      kedro register latest && kedro promote latest --dry-run
      kedro promote lenet5-digits-d557b925 promote.min_acc=0.98
      kedro promote --rollback
    """
    from fovea import tracking
    from fovea.commands.composed import composed
    from fovea.config import logs
    from fovea.config.schema import PromoteConfig, RegistryConfig, parse
    from fovea.core.errors import UserError

    if rollback and run is not None:
        raise UserError(f"--rollback goes back to the previous champion and takes no run; leave '{run}' out")
    if not rollback and run is None:
        raise UserError("no run is named; name the run to promote, as in `kedro promote latest`")
    logs.configure()
    config = composed(overrides, env)
    stated = parse(RegistryConfig, {**config["registry"], **({"name": name} if name else {})}, "registry")
    gates = parse(PromoteConfig, config["promote"], "promote")
    tracking.configure(config["tracking"])
    from fovea.comparison import fetch
    from fovea.registry import promotion
    from fovea.registry.registration import shelf_of
    from fovea.registry.shelf import Shelf
    from fovea.tracking.finding import find_store

    if run is None:
        shelf = Shelf(find_store("champion"), stated.name or config["data"]["name"])
        decision = promotion.returned(shelf, _origin(" ".join(["kedro promote --rollback", *overrides])))
    else:
        found = fetch.find(run)
        shelf = shelf_of(found, stated)
        decision = promotion.judged(found, shelf, gates, _origin(" ".join(["kedro promote", run, *overrides])))
    _show(decision)
    if not dry_run:
        promotion.carry_out(decision, shelf)
    click.echo(f"{'Nothing was changed; it would be ' if dry_run else ''}{decision.sentence}")
    if decision.outcome == "refused":
        click.get_current_context().exit(1)


def _origin(command: str) -> dict[str, str]:
    """By whom, by which command, with which code."""
    from fovea.tracking.facts import RunFacts, origin_tags

    names = {
        "mlflow.user": "user",
        "command": "command",
        "mlflow.source.git.commit": "git_commit",
        "git_dirty": "git_dirty",
    }
    tags = origin_tags(RunFacts(command=command))
    return {name: tags[tag] for tag, name in names.items() if tag in tags}


def _show(decision: Decision) -> None:
    import logging

    from rich.console import Console

    from fovea.comparison.terminal import table_of

    rows = [(gate.name, [gate.found, gate.wanted, "yes" if gate.passed else "no"]) for gate in decision.gates]
    if rows:
        title = f"Gates for {decision.version.label} of '{decision.name}'"
        Console(highlight=False).print(table_of(title, ["gate", "found", "wanted", "passed"], rows))
    for note in decision.notes:
        logging.getLogger("fovea").info("promote: %s", note)
