"""Kills `kedro run` and `dvc repro` at many moments, runs the same command again, and compares with a run left alone.

    python benchmarks/kill_matrix.py [--minutes 60] [--seed 0] [--only kedro-1,dvc-2]

A chain is one project in which the command is killed several times in a row, each time in another part of the work or
at a random moment, until it may end. In the project stands an earlier run of another data set, which must stay as it
was. A row of the result is a kill; it is right if nothing of the command lived on after it and if its chain came to the
end of the run that nobody killed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import keep, project_copy
from killing import Attempt, Hit, Way, kill_all
from outcome import METRICS, Outcome, again, differences, digest, observe, stamps

SETTINGS = """\
trainer: {{max_epochs: 6, limit_batches: 20, threads: 1, accelerator: cpu, devices: {devices}}}
callbacks: {{checkpoint: {{every_n_steps: 2}}}}
augment: {{train: []}}
evaluate: {{gallery: 4}}
"""
EARLIER = ["kedro", "run", "data=mnist", "trainer.max_epochs=1", "trainer.devices=1"]
COMMANDS = {"kedro": ["kedro", "run"], "dvc": ["dvc", "repro"]}
CHAINS: tuple[tuple[str, ...], ...] = (
    ("ingest", "prepare", "start of training", "train", "checkpoint", "evaluate"),
    ("mlflow", "random", "validate", "SIGINT: random", "checkpoint", "random"),
    ("random", "main: train", "random", "SIGTERM: train", "validate", "evaluate"),
    ("random", "mlflow", "random", "checkpoint", "train", "evaluate"),
)
"""What each chain of a command aims at, one kill after the other."""
MOMENTS = ("ingest", "validate", "checkpoint", "mlflow")
"""What lasts some milliseconds, so that a kill must follow at once."""
RWLOCK = ".dvc/tmp/rwlock"


@dataclass
class Chain:
    """One project, killed again and again."""

    command: str
    processes: int
    aims: tuple[str, ...]
    rows: list[dict[str, object]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As `--only` takes it."""
        return f"{self.command}-{self.processes}"


class Bench:
    """The project as every chain finds it, and how each command ends in it when nobody kills it.

    All chains are at one path, one after the other: MLflow's database names its artifacts by their whole path.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.kept = root.parent / "kept"
        self.random = random.Random(seed)
        self.whole: dict[str, tuple[Outcome, float]] = {}
        self.earlier: Outcome | None = None

    def settle(self, processes: int) -> None:
        """Sets the project to how chains find it."""
        if self.kept.exists():
            shutil.rmtree(self.root)
            shutil.copytree(self.kept, self.root, symlinks=True)
        (self.root / "conf/local/overrides.yaml").write_text(SETTINGS.format(devices=processes))

    def prepare(self) -> None:
        """Makes the earlier run."""
        self.settle(1)
        Attempt(EARLIER, self.root).finish()
        self.root.rename(self.kept)
        shutil.copytree(self.kept, self.root, symlinks=True)
        self.earlier = observe(self.root)

    def reference(self, chain: Chain) -> tuple[Outcome, float]:
        """How the command ends when left alone, and after how many seconds."""
        if chain.name not in self.whole:
            self.settle(chain.processes)
            start = time.monotonic()
            Attempt(COMMANDS[chain.command], self.root).finish()
            self.whole[chain.name] = observe(self.root), time.monotonic() - start
            assert self.earlier is not None
            assert len(self.whole[chain.name][0].runs) == len(self.earlier.runs) + 2  # a model and its data
            print(f"{chain.name}: left alone {self.whole[chain.name][1]:.1f} s", flush=True)
        return self.whole[chain.name]

    def run(self, chain: Chain) -> None:
        """Kills, runs to the end, compares."""
        whole, length = self.reference(chain)
        self.settle(chain.processes)
        wrong: list[str] = []
        made, is_over = stamps(self.root), False
        for aim in chain.aims:
            attempt = Attempt(COMMANDS[chain.command], self.root)
            wanted, hit = self._strike(attempt, aim, length)
            wrong += again(made, made := stamps(self.root))
            if hit is None:  # it ended before; another one would be another run
                wrong += attempt.wrongs(ended=True)
                is_over = True
                break
            wrong += hit.left
            self._note(chain, wanted, hit)
            if self._is_complete(whole):  # all was done but the exit; the same command would be another run
                is_over = True
                break
        if not is_over:
            attempt = Attempt(COMMANDS[chain.command], self.root)
            wrong += attempt.finish(check=False)
        wrong += again(made, stamps(self.root))
        assert self.earlier is not None
        wrong += differences(observe(self.root), whole, self.earlier)
        for row in chain.rows:
            row["checked"] = "metrics, weights, predictions, MLflow curve, earlier run, data, processes, files"
            row["wrong"] = "; ".join(wrong)
            row["ok"] = not wrong
        print(f"{chain.name}: {len(chain.rows)} kills, {wrong or 'as if nothing had been'}", flush=True)
        if wrong:
            print(attempt.said()[-3000:], flush=True)

    def _strike(self, attempt: Attempt, aim: str, length: float) -> tuple[str, Hit | None]:
        """Kills a command that takes `length` seconds; gives the phase that was aimed at, and the kill if one met."""
        wanted, way = _parse(aim)
        if wanted == "random":
            return wanted, attempt.strike_at(self.random.uniform(0.3, 0.6 * length), way)
        longest = 0.004 if wanted in MOMENTS else 0.3
        return wanted, attempt.strike_in(wanted, self.random.uniform(0, longest), way)

    def _note(self, chain: Chain, wanted: str, hit: Hit) -> None:
        row: dict[str, object] = {
            "killed": " ".join(COMMANDS[chain.command]),
            "processes": chain.processes,
            "aimed at": wanted,
            "hit": hit.phase,
            "seconds": round(hit.seconds, 2),
            "kill": hit.kill,
            "attempt": len(chain.rows) + 1,
            "by hand": f"rm {RWLOCK}" if self._is_mended() else "",
        }
        chain.rows.append(row)
        print("  ", row, flush=True)

    def _is_complete(self, whole: Outcome) -> bool:
        """Whether the command had nothing left to do: its metrics stand, and no training has a work folder."""
        metrics = digest(self.root / METRICS)
        return metrics == whole.outputs[METRICS] and not any(self.root.glob("data/06_models/_work/*/"))

    def _is_mended(self) -> bool:
        """Whether the kill cut off DVC's own lock file, which is removed then, as docs/resume.md says."""
        lock = self.root / RWLOCK
        try:
            json.loads(lock.read_text())
        except FileNotFoundError:
            return False
        except ValueError:
            lock.unlink()
            return True
        return False


def _parse(aim: str) -> tuple[str, Way]:
    way, _, wanted = aim.rpartition(": ")
    return wanted, Way(way or "all")


def chains(only: list[str]) -> Iterator[Chain]:
    """All chains, one of every command in turn."""
    ways = [(command, processes) for processes in (1, 2) for command in COMMANDS]
    for turn in range(len(CHAINS)):
        for place, (command, processes) in enumerate(ways):
            if not only or f"{command}-{processes}" in only:
                yield Chain(command, processes, CHAINS[(turn + place) % len(CHAINS)])


def main() -> None:
    """Runs the chains and keeps a row for every kill."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1e9, help="after which no further chain begins")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--only", default="", help="these alone, as in kedro-1,dvc-2")
    words = parser.parse_args()
    end = time.monotonic() + 60 * words.minutes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # keeps the rows until then
    rows: list[dict[str, Any]] = []
    with project_copy() as root:
        bench = Bench(root, words.seed)
        bench.prepare()
        try:
            for chain in chains([name for name in words.only.split(",") if name]):
                if time.monotonic() > end:
                    print("the time is up")
                    break
                bench.run(chain)
                rows += chain.rows
        finally:
            kill_all(root)
            if rows:
                keep("kill_matrix", rows)
    print(f"{sum(row['ok'] for row in rows)} of {len(rows)} kills")
    sys.exit(0 if all(row["ok"] for row in rows) else 1)


if __name__ == "__main__":
    main()
