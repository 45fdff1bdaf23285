"""Several networks that answer as one (Hansen and Salamon 1990): by the mean of probabilities, or by majority."""

from __future__ import annotations

import numpy as np

from fovea.evaluation.metrics import Floats, Ints


class Ballot:
    """What the members say of N pictures in K classes, added up member by member.

    Attributes:
        count: Members that have voted.
        sums: float64 [N, K], probabilities added up.
        votes: int64 [N, K], members whose most probable class it is.
    """

    def __init__(self, pictures: int, classes: int) -> None:
        self.count = 0
        self.sums: Floats = np.zeros((pictures, classes))
        self.votes: Ints = np.zeros((pictures, classes), np.int64)

    def add(self, probabilities: Floats) -> None:
        """One more member: float64 [N, K], rows that sum to 1."""
        self.count += 1
        self.sums += probabilities
        self.votes[np.arange(len(probabilities)), probabilities.argmax(axis=1)] += 1

    def soft(self) -> Floats:
        """Soft voting: the mean of the members' probabilities, float64 [N, K]."""
        return self.sums / self.count

    def hard(self) -> Ints:
        """Hard voting: the class that most members prefer, int64 [N]; of equal ones that of the greatest sum."""
        most = self.votes == self.votes.max(axis=1, keepdims=True)
        best: Ints = np.where(most, self.sums, -1.0).argmax(axis=1)
        return best
