"""What became of each fault under each policy, as a table to read."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.world import Day

HEADER = """# Faults

Each fault below is made to happen on purpose, by a proxy in front of the platform or the object store or by a client
function that goes wrong, in a run of two rounds with three clients on the embedded server and MinIO (a directory where
it says so), under each policy for a round. Every run must end with exactly the weights that the counted updates give
when they are averaged afresh, with no attempt lost or written twice, nothing left in the store, and no second
invocation of work that was done. A cell says which clients' updates were averaged, by round, and how many attempts that
took.

`python -m pytest tests/faults --fault-matrix docs/faults.md` wrote this file; every run of the tests makes it anew
and prints it.

"""
LEGEND = """
## What it looks like in `invocations`

The attempts of a piece of work that met the fault, in their order, `status` first, then `error_kind`. A success with an
`error_kind` got over it: the answer was lost or late, and its record was found; the function ran once.

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
        shown += [
            _row(name, "<br>".join(found) or "no trace: got over within the attempt")
            for name, found in self.traces.items()
        ]
        return HEADER + "\n".join(lines) + "\n" + LEGEND + "\n".join(shown) + "\n"


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
