"""Voting, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np

from fovea.evaluation.ballot import Ballot

# Four pictures, three classes, three members.
MEMBERS = np.array(
    [
        [[0.6, 0.4, 0.0], [0.4, 0.35, 0.25], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3]],
        [[0.6, 0.4, 0.0], [0.2, 0.5, 0.3], [0.2, 0.7, 0.1], [0.5, 0.2, 0.3]],
        [[0.0, 1.0, 0.0], [0.1, 0.3, 0.6], [0.1, 0.2, 0.7], [0.3, 0.2, 0.5]],
    ]
)


def voted() -> Ballot:
    ballot = Ballot(4, 3)
    for probabilities in MEMBERS:
        ballot.add(probabilities)
    return ballot


def test_soft_voting_is_the_mean() -> None:
    soft = voted().soft()
    np.testing.assert_allclose(soft[0], [0.4, 0.6, 0.0])
    np.testing.assert_allclose(soft[3], [1.0 / 3, 0.3, 1.1 / 3])
    np.testing.assert_allclose(soft.sum(axis=1), 1.0)
    assert soft.argmax(axis=1).tolist() == [1, 1, 1, 2]


def test_hard_voting_is_the_majority_whatever_the_probabilities() -> None:
    ballot = voted()
    assert ballot.votes[0].tolist() == [2, 1, 0]
    assert ballot.hard()[0] == 0  # where soft voting says 1


def test_a_tie_goes_to_the_greatest_sum_among_the_tied() -> None:
    ballot = voted()
    assert ballot.votes[1:].tolist() == [[1, 1, 1]] * 3
    assert ballot.hard()[1:].tolist() == [1, 1, 2]
    two = Ballot(1, 3)
    for probabilities in ([[0.5, 0.1, 0.4]], [[0.1, 0.5, 0.4]]):
        two.add(np.array(probabilities))
    assert two.sums[0].tolist() == [0.6, 0.6, 0.8]
    assert two.hard().tolist() == [0]  # class 2 has the greatest sum and no vote; of 0 and 1 the first
    assert two.soft().argmax(axis=1).tolist() == [2]
