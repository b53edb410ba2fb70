"""CPU seconds by role against an invented tree of processes whose seconds are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.collect.cpu_by_role import Accounts, Seen

ROOT = 1
ROLES = ("controller", "client", "flower")


@dataclass
class Tree:
    """Processes as the kernel keeps them: orphans go to the first one, a parent that waits is told of its children."""

    living: dict[int, Seen] = field(default_factory=lambda: {ROOT: Seen("controller", 0, 0.0, 0.0)})
    true_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    keys: Iterator[int] = field(default_factory=lambda: count(2))  # never used again, as with a pid and its birth

    def start(self, parent: int, role: str) -> int:
        pid = next(self.keys)
        self.living[pid] = Seen(role, parent, 0.0, 0.0)
        return pid

    def burn(self, pid: int, seconds: float) -> None:
        process = self.living[pid]
        self.living[pid] = Seen(process.role, process.parent, process.own_s + seconds, process.reaped_s)
        self.true_s[process.role] += seconds

    def end(self, pid: int, *, waited_for: bool = True) -> None:
        ended = self.living.pop(pid)
        for child, process in list(self.living.items()):
            if process.parent == pid:
                self.living[child] = Seen(process.role, ROOT, process.own_s, process.reaped_s)
        if waited_for:
            parent = self.living[ended.parent]
            told = parent.reaped_s + ended.own_s + ended.reaped_s
            self.living[ended.parent] = Seen(parent.role, parent.parent, parent.own_s, told)

    @property
    def kernel_s(self) -> float:
        return sum(process.own_s + process.reaped_s for process in self.living.values())


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "burn", "burn", "end", "end unwaited", "sample"]),
        st.integers(0, 50),
        st.sampled_from(ROLES),
        st.integers(1, 400),
    ),
    min_size=25,
    max_size=60,
)


def play(events: list[tuple[str, int, str, int]], accounts: Accounts, *, careful: bool, unwaited: bool) -> Tree:
    """Let a tree live; ``careful`` samples before every end, so that all that ends has been seen."""
    tree = Tree()
    before = 0.0
    for what, number, role, hundredths in [*events, ("sample", 0, "", 0)]:
        pid = sorted(tree.living)[number % len(tree.living)]
        if what == "start":
            tree.start(pid, role)
        elif what == "burn":
            tree.burn(pid, hundredths / 100)
        elif what.startswith("end") and pid != ROOT:
            if careful:
                accounts.update(tree.living)
            tree.end(pid, waited_for=what == "end" or not unwaited)
        elif what == "sample":
            accounts.update(tree.living)
            assert sum(accounts.cpu_s.values()) >= before - 1e-9
            before = sum(accounts.cpu_s.values())
    return tree


@given(EVENTS)
def test_the_roles_add_up_to_all_that_the_kernel_knows(events: list[tuple[str, int, str, int]]) -> None:
    accounts = Accounts()
    tree = play(events, accounts, careful=False, unwaited=False)
    assert sum(accounts.cpu_s.values()) == pytest.approx(tree.kernel_s)
    assert sum(accounts.cpu_s.values()) == pytest.approx(sum(tree.true_s.values()))
    assert accounts.not_waited_for_s == pytest.approx(0.0, abs=1e-9)


@given(EVENTS)
def test_seconds_that_were_seen_stay_with_their_role(events: list[tuple[str, int, str, int]]) -> None:
    accounts = Accounts()
    tree = play(events, accounts, careful=True, unwaited=False)
    for role in ROLES:
        assert accounts.cpu_s.get(role, 0.0) == pytest.approx(tree.true_s[role])


@given(EVENTS)
def test_what_nobody_waited_for_is_known_beside_what_the_kernel_knows(events: list[tuple[str, int, str, int]]) -> None:
    accounts = Accounts()
    tree = play(events, accounts, careful=False, unwaited=True)
    assert sum(accounts.cpu_s.values()) == pytest.approx(tree.kernel_s + accounts.not_waited_for_s)
    assert sum(accounts.cpu_s.values()) <= sum(tree.true_s.values()) + 1e-6


def test_what_an_ended_process_did_after_the_last_sample_counts_for_its_role() -> None:
    accounts, tree = Accounts(), Tree()
    client = tree.start(ROOT, "client")
    tree.burn(client, 1.0)
    accounts.update(tree.living)
    tree.burn(client, 0.5)
    tree.end(client)
    accounts.update(tree.living)
    assert accounts.cpu_s == {"controller": 0.0, "client": 1.5}


def test_a_helper_that_no_sample_saw_counts_for_who_started_it() -> None:
    accounts, tree = Accounts(), Tree()
    emulator = tree.start(ROOT, "emulator")
    accounts.update(tree.living)
    helper = tree.start(emulator, "client")
    tree.burn(helper, 0.25)
    tree.end(helper)
    accounts.update(tree.living)
    assert accounts.cpu_s == {"controller": 0.0, "emulator": 0.25}


def test_a_process_that_ends_while_a_sample_is_taken_counts_once() -> None:
    """Its parent was read before it ended, it itself could not be read any more."""
    accounts = Accounts()
    accounts.update({1: Seen("controller", 0, 1.0, 0.0), 2: Seen("client", 1, 3.0, 0.0)})
    accounts.update({1: Seen("controller", 0, 1.0, 0.0)})
    assert accounts.cpu_s == {"controller": 1.0, "client": 3.0}
    accounts.update({1: Seen("controller", 0, 1.0, 3.25)})
    assert accounts.cpu_s == pytest.approx({"controller": 1.25, "client": 3.0})
    assert accounts.not_waited_for_s == 0.0


def test_an_orphan_whose_parent_ended_with_it_counts_once_though_another_waited_for_it() -> None:
    accounts = Accounts()
    before = {
        1: Seen("controller", 0, 1.0, 0.0),
        2: Seen("flower", 1, 1.0, 0.0),
        3: Seen("flower", 2, 2.0, 0.0),
        4: Seen("client", 3, 5.0, 0.0),
    }
    accounts.update(before)
    accounts.update({1: Seen("controller", 0, 1.0, 5.0), 2: Seen("flower", 1, 1.0, 2.0)})
    assert accounts.cpu_s == {"controller": 1.0, "flower": 3.0, "client": 5.0}
