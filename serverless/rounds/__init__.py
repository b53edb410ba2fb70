"""What a round is made of, which clients it selects, and when it is closed. The policies have their names here."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

from serverless.rounds.round_policies import Deadline, FirstK, RoundPolicy, WaitAll

ROUND_POLICIES: dict[str, Callable[..., RoundPolicy]] = {
    "wait_all": WaitAll,
    "first_k": FirstK,
    "deadline": Deadline,
}


def policy_parameters(name: str) -> tuple[str, ...]:
    """Return the parameters that a policy needs: those without a default.

    Examples
    --------
    >>> policy_parameters("first_k"), policy_parameters("wait_all")
    (('k',), ())
    """
    parameters = signature(ROUND_POLICIES[name]).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)
