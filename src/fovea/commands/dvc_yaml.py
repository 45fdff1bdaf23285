"""`kedro dvc-yaml`: write dvc.yaml from the pipelines and the catalog, or check that it is up to date."""

from __future__ import annotations

import click


@click.command("dvc-yaml")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if dvc.yaml is not what would be written.")
def command(check: bool) -> None:
    """Write dvc.yaml from the registered pipelines and conf/base/catalog.yml."""
    from kedro.framework.project import pipelines

    from fovea.core.errors import RunError
    from fovea.core.files import atomic_file
    from fovea.core.places import project_root
    from fovea.dvc_stages import dvc_yaml, read_catalog

    root = project_root()
    path = root / "dvc.yaml"
    text = dvc_yaml(root, dict(pipelines), read_catalog(root / "conf"))
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    if check:
        raise RunError("dvc.yaml does not match the pipelines and the catalog; run: kedro dvc-yaml")
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo("wrote dvc.yaml")
