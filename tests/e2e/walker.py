"""Runs commands of Kedro in processes that are forked from one which has imported the heavy libraries already.

Reads a JSON list of words a line and answers with a JSON list a line: exit code, standard output and error together.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile

LIBRARIES = (
    "fovea",  # first: it switches off what others would send
    "kedro.framework.cli.cli",
    "kedro.framework.session",
    "hydra",
    "torch",
    "torchvision",
    "torchmetrics.classification",
    "pytorch_lightning",
    "mlflow",
    "mlflow.data",
    "sqlalchemy",
    "alembic",
    "pandas",
    "pyarrow.parquet",
    "pandera",
    "albumentations",
    "scipy.stats",
    "matplotlib.figure",
)


def child() -> list[str] | None:
    """Answers line by line, each command in a fork; in the fork itself returns the command's words."""
    for line in sys.stdin:
        words: list[str] = json.loads(line)
        with tempfile.TemporaryFile() as output:
            process = os.fork()
            if process == 0:
                for stream in (1, 2):
                    os.dup2(output.fileno(), stream)
                with open(os.devnull) as nothing:  # noqa: PTH123
                    os.dup2(nothing.fileno(), 0)
                return words
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
        sys.stdout.write(json.dumps([code, said]) + "\n")
        sys.stdout.flush()
    return None


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    found = child()
    if found is not None:
        from kedro.framework.cli.cli import main

        sys.argv = found
        sys.exit(main())
