"""`kedro register`: puts the delivered model of a run into MLflow's registry, with a card."""

from __future__ import annotations

import click


@click.command()
@click.argument("run")
@click.argument("overrides", nargs=-1)
@click.option("--name", default=None, help="Of the registered model; else registry.name, else the name of the data.")
@click.option("--env", "-e", default=None, help="Kedro's environment.")
def command(run: str, overrides: tuple[str, ...], name: str | None, env: str | None) -> None:
    r"""Register the model that a run delivered.

    RUN is the name or the id of an MLflow run (or how the id begins), the folder of a trained model, or `latest`. It
    must have been tested, and exported by `kedro run --pipelines=export`. The model becomes a new version of a
    registered model, with signature, input example, class names and a model card. The same weights of a run are
    registered once.

    \b
      kedro register latest
      kedro register lenet5-digits-d557b925 registry.licence=apache-2.0 "registry.intended_use='to read forms'"
    """
    from fovea import tracking
    from fovea.commands.composed import composed
    from fovea.comparison import fetch
    from fovea.config import logs
    from fovea.config.schema import RegistryConfig, parse
    from fovea.registry.registration import register

    logs.configure()
    config = composed(overrides, env)
    stated = parse(RegistryConfig, {**config["registry"], **({"name": name} if name else {})}, "registry")
    tracking.configure(config["tracking"])
    made = register(fetch.find(run), stated)
    click.echo(made.sentence)
    click.echo(f"The model card is README.md among the artifacts of run {made.version.run_id}")
    click.echo(f"Load it in Python: mlflow.pyfunc.load_model('models:/{made.name}/{made.version.number}')")
