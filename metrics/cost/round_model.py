"""How long a round holds the machines of a deployment that is larger than the one that ran it.

The harness trains as many clients at once as its machine has cores; a deployment with a machine or an instance for
every client trains them all at once. Its round is modelled as what was measured around the clients' work, and the
makespan of the clients' own measured seconds, dealt in ascending order of clients to whoever is free.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from metrics.cost.functions import attempt_seconds

_ROUND = ["run_id", "server_round"]
_ATTEMPT = [*_ROUND, "client_id", "attempt"]


def makespan(seconds: Sequence[float], slots: int) -> float:
    """Return when the last of some pieces of work is done, taken in order by ``slots`` workers.

    Examples
    --------
    >>> makespan([3.0, 1.0, 1.0, 1.0], 1), makespan([3.0, 1.0, 1.0, 1.0], 2), makespan([3.0, 1.0, 1.0, 1.0], 4)
    (6.0, 3.0, 3.0)
    """
    if slots >= len(seconds):
        return max(seconds, default=0.0)
    busy_until = [0.0] * slots
    for work_s in seconds:
        heapq.heapreplace(busy_until, busy_until[0] + work_s)
    return max(busy_until)


def modelled_round_s(rounds: pd.DataFrame, calls: pd.DataFrame, slots: Mapping[str, int]) -> pd.Series[float]:
    """Return the modelled seconds of each round, indexed as ``rounds``.

    Parameters
    ----------
    calls
        Their rows of ``invocations``. A client's attempts follow one another; only clients that succeeded in the end
        held up the round. An attempt that an invoker waited for took as long as that invoker.
    slots
        How many clients train at once, by run.
    """
    clients = calls[calls["function"] == "client"]
    clients = clients.assign(work_s=_work_seconds(clients, calls), succeeded=clients["status"] == "success")
    by_client = clients.groupby([*_ROUND, "client_id"], sort=True).agg(
        work_s=("work_s", "sum"), succeeded=("succeeded", "any")
    )
    done = by_client[by_client["succeeded"]]
    spans: dict[object, float] = {}
    for key, work in done.groupby(level=_ROUND, sort=False)["work_s"]:
        run_id, _ = key
        spans[key] = makespan(work.tolist(), slots[str(run_id)])
    fan_outs = _fan_out_seconds(clients)
    keys = list(rounds[_ROUND].itertuples(index=False, name=None))
    around = [max(0.0, row_s - fan_outs.get(key, 0.0)) for key, row_s in zip(keys, rounds["round_s"], strict=True)]
    modelled = [outside + spans.get(key, 0.0) for key, outside in zip(keys, around, strict=True)]
    return pd.Series(modelled, index=rounds.index, dtype="float64")


def _work_seconds(clients: pd.DataFrame, calls: pd.DataFrame) -> pd.Series[float]:
    own, invokers = attempt_seconds(clients), calls[calls["function"] == "invoker"]
    if invokers.empty:
        return own
    around = pd.Series(attempt_seconds(invokers).to_numpy(), pd.MultiIndex.from_frame(invokers[_ATTEMPT]))
    waited = around.groupby(level=_ATTEMPT).max().reindex(pd.MultiIndex.from_frame(clients[_ATTEMPT]))
    return pd.Series(np.fmax(own.to_numpy(), waited.to_numpy()), index=clients.index)


def _fan_out_seconds(clients: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Return from the first work that was sent out to the last answer that counted, by run and round."""
    answered = clients[clients["succeeded"] & clients["client_s"].notna()]
    ends = (answered["submitted_at"] + answered["client_s"].astype("float64")).groupby(
        [answered[name] for name in _ROUND]
    )
    starts = clients.groupby(_ROUND)["submitted_at"].min()
    spans = (ends.max() - starts).dropna()
    runs, numbers = (spans.index.get_level_values(name) for name in _ROUND)
    found = zip(runs, numbers, spans, strict=True)
    return {(str(run), int(number)): float(span) for run, number, span in found}
