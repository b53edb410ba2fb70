"""What became of each fault under each policy, as a table to read."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.world import Day

HEADER = """# Faults: what happens when something breaks?

This page is for people who want to know whether a fault can change the weights or the tables. Each fault below is made
on purpose, under each round policy. A proxy in front of the platform or the object store makes it, or a client function
that fails. Each run has two rounds and three clients, on the embedded server and MinIO (a directory where the name says
so).

Every run must pass these checks:

- The final weights are exactly the average of the updates that were counted. The test computes this average again.
- No attempt is lost or written twice, no object is left in the store, and no work that was done is invoked again.

A cell shows the clients whose updates were averaged in round 1 / round 2, and the number of attempts.
`python -m pytest tests/faults --fault-matrix docs/faults.md` wrote this file. Every run of these tests
prints the tables again.

"""
LEGEND = """
## What a fault looks like in the table `invocations`

A line shows the attempts at one piece of work that met the fault, in order: `status` and, in brackets, `error_kind`. A
`success` with an `error_kind` is work whose answer was lost or late. The keeper found the platform's record of it. The
function ran once.

"""
UNSEEN = """
These faults leave no trace there, because they are solved within the attempt: {}.
"""


@dataclass
class Matrix:
    """Collects cells by fault and policy."""

    cells: dict[str, dict[str, str]] = field(default_factory=dict)
    traces: dict[str, list[str]] = field(default_factory=dict)

    def add(self, fault: str, policy: str, day: Day) -> None:
        """Enter a run that kept the laws."""
        averaged = " / ".join(" ".join(map(str, clients)) for clients in day.participants)
        self.cells.setdefault(fault, {})[policy] = f"{averaged}, {len(day.invocations)} attempts"
        self.traces.setdefault(fault, [])
        self.traces[fault] += [trace for trace in traces(day) if trace not in self.traces[fault]]

    def text(self) -> str:
        """Return the two tables as Markdown."""
        policies = list(dict.fromkeys(policy for row in self.cells.values() for policy in row))
        lines = [_row("fault", *policies), _row(*["---"] * (1 + len(policies)))]
        lines += [_row(name, *(row.get(policy, "–") for policy in policies)) for name, row in self.cells.items()]
        shown = [_row("fault", "attempts"), _row("---", "---")]
        shown += [_row(name, "<br>".join(found)) for name, found in self.traces.items() if found]
        unseen = "; ".join(name for name, found in self.traces.items() if not found)
        return HEADER + "\n".join(lines) + "\n" + LEGEND + "\n".join(shown) + "\n" + UNSEEN.format(unseen or "none")


def traces(day: Day) -> list[str]:
    """Return, for each piece of work that did not simply succeed at once, what became of its attempts."""
    found = []
    for _, rows in day.invocations.groupby(["server_round", "function", "client_id"], dropna=False):
        if rows["error_kind"].isna().all():
            continue  # a success, or a straggler of a closed round
        steps = [_step(row) for row in rows.sort_values("attempt").to_dict("records")]
        found.append(f"{rows['function'].iloc[0]}: {' → '.join(steps)}")
    return sorted(set(found))


def _step(row: dict[str, object]) -> str:
    kind = row["error_kind"]
    return f"{row['status']} ({kind})" if isinstance(kind, str) else str(row["status"])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
