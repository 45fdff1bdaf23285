"""Takes the outputs out of the notebooks, or (`--check`) says which still have some."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def stripped(text: str) -> str:
    """A notebook's JSON without outputs, counters and the metadata of one machine."""
    book: dict[str, Any] = json.loads(text)
    for cell in book["cells"]:
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            cell["outputs"] = []
            cell["execution_count"] = None
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Goes through the notebooks named, or all of notebooks/. 1 if `--check` found one that is not stripped."""
    named = [Path(argument) for argument in arguments if not argument.startswith("--")]
    status = 0
    for path in named or sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        if stripped(text) == text:
            continue
        if "--check" in arguments:
            print(f"{path} holds outputs; run: python scripts/strip_notebooks.py", file=sys.stderr)
            status = 1
        else:
            path.write_text(stripped(text), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
