"""What the processes of a run use while it goes on, by role.

The sampler lives in the process that watches the run, not in the run. `scripts/benchmark.py metering` measures what
it takes: among 97 processes of a busy machine with two cores, one sample of 5 processes took 1.2 ms of CPU time, one of
13 2.2 ms and one of 101 10.9 ms: 0.1 %, 0.2 % and, because the next one comes later then, 0.5 % of a core. Every run
keeps its own figure (``sampler_cpu_s``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from machine.clocks import now
from metrics.collect.cpu_by_role import Accounts, Seen
from metrics.collect.row_files import append
from metrics.collect.row_types import SampleRow

ROLE_VARIABLE = "FL_PROCESS_ROLE"
CONTROLLER = "controller"
EVERY_S = 1.0
_MOST_UNWRITTEN = 10_000  # rows that wait for a disk with room: some 20 minutes
MOST_OF_A_CORE = 0.005  # what sampling may take: where a sample takes long, the next one comes later

# Other people's programs inherit the controller's role; their file names show what they are. Ray's workers,
# which carry Flower's clients, rename themselves to `ray::<what they do>`.
_ROLES_BY_PREFIX = (
    ("ray::IDLE", "client"),
    ("ray::ClientApp", "client"),
    ("ray::", "ray"),
    ("default_worker.py", "client"),
    ("flwr-clientapp", "client"),
    ("flower", "flower"),
    ("baselines.flower.", "flower"),  # `python -m`: Flower's servers, and the guard of its processes
    ("flwr", "flower"),
    ("minio", "object_store"),
    ("juicefs", "object_store"),
)


@dataclass
class Sampler:
    """Writes a :class:`~metrics.collect.row_types.SampleRow` per role of a run's process tree.

    Parameters
    ----------
    run_id
        Key of the run.
    directory
        The run's own folder.
    root_pid
        The run's first process; it and its descendants are sampled. The last sample is best taken when it has ended and
        nobody has waited for it yet: then the CPU seconds of all its children are in its own account.

    Attributes
    ----------
    peak_total_rss_bytes
        Highest sum of resident sets in a sample; ``None`` before the first.
    own_cpu_s
        CPU seconds that the samples themselves have used in the process that takes them.
    problem
        Why samples could not be written when they were taken, and which file; ``None`` if all could.
    """

    run_id: str
    directory: Path
    root_pid: int
    peak_total_rss_bytes: int | None = None
    own_cpu_s: float = 0.0
    problem: str | None = None
    _last_cpu_s: float = 0.0
    _unwritten: list[SampleRow] = field(default_factory=list)
    _roles: dict[psutil.Process, str] = field(default_factory=dict)
    _accounts: Accounts = field(default_factory=Accounts)

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all roles at the last sample."""
        return sum(self._accounts.cpu_s.values())

    @property
    def interval_s(self) -> float:
        """Seconds from the last sample to the next: more than :data:`EVERY_S` where there is much to look at."""
        return max(EVERY_S, self._last_cpu_s / MOST_OF_A_CORE)

    @property
    def not_waited_for_s(self) -> float:
        """CPU seconds of ended processes for which nobody waited, so that they are in no parent's account."""
        return self._accounts.not_waited_for_s

    def sample(self) -> list[SampleRow]:
        """Take a sample and keep it; nothing is kept once the run's first process is gone."""
        start = time.thread_time()
        rows = self._rows(now(), self._tree())
        if rows:
            self._keep(rows)
            self.peak_total_rss_bytes = max(self.peak_total_rss_bytes or 0, sum(row.rss_bytes for row in rows))
        self._last_cpu_s = time.thread_time() - start
        self.own_cpu_s += self._last_cpu_s
        return rows

    def _keep(self, rows: list[SampleRow]) -> None:
        """Write rows. Where that fails the run goes on, and they are written together with the next ones."""
        self._unwritten = [*self._unwritten, *rows][-_MOST_UNWRITTEN:]
        try:
            append(self.directory, *self._unwritten)
        except OSError as error:
            self.problem = str(error)
        else:
            self._unwritten = []

    def _rows(self, sampled_at: float, tree: list[psutil.Process]) -> list[SampleRow]:
        seen: dict[Hashable, Seen] = {}
        living: Counter[str] = Counter()
        resident: Counter[str] = Counter()
        pids = {process.pid: process for process in tree}
        for process in tree:
            with suppress(psutil.Error), process.oneshot():  # one that ends meanwhile is in its parent's account
                times, role = process.cpu_times(), self._role(process)
                living[role] += process.status() != psutil.STATUS_ZOMBIE
                resident[role] += process.memory_info().rss
                seen[process] = Seen(
                    role=role,
                    parent=pids.get(process.ppid()),
                    own_s=times.user + times.system,
                    reaped_s=times.children_user + times.children_system,
                )
        if not seen:
            return []
        self._accounts.update(seen)
        return [
            SampleRow(
                run_id=self.run_id,
                sampled_at=sampled_at,
                role=role,
                processes=living[role],
                cpu_s=cpu_s,
                rss_bytes=resident[role],
            )
            for role, cpu_s in sorted(self._accounts.cpu_s.items())
        ]

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.root_pid)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []

    def _role(self, process: psutil.Process) -> str:
        """Return a process's role; it is asked for once, unless it may become another or has ended."""
        known = self._roles.get(process)
        is_root = process.pid == self.root_pid
        if known is not None and (is_root or known != CONTROLLER):
            return known
        try:
            role = role_of(process, is_root=is_root)
        except psutil.ZombieProcess:
            if known is None:
                raise
            role = known
        self._roles[process] = role
        return role


def role_of(process: psutil.Process, *, is_root: bool = False) -> str:
    """Return the role of a process: what its environment says, else what its command line shows.

    A role of ``controller`` counts for the run's first process only: its descendants inherit the variable.

    Raises
    ------
    psutil.Error
        If the process is gone.
    """
    try:
        stated = process.environ().get(ROLE_VARIABLE, CONTROLLER)
    except psutil.AccessDenied:  # it forbids that, as Flower's SuperExec does: only root may look into it
        stated = CONTROLLER
    if is_root or stated != CONTROLLER:
        return stated
    return role_of_command(process.cmdline())


def role_of_command(command: list[str]) -> str:
    """Return the role that a command line shows; ``controller`` if it shows none.

    Examples
    --------
    >>> role_of_command(["/venv/bin/python", "-m", "baselines.flower.serve", "flower-superlink"])
    'flower'
    >>> role_of_command(["ray::ClientAppActor.run"])
    'client'

    JuiceFS writes one line with blanks over its words:

    >>> role_of_command(["/venv/bin/juicefs --no-agent gateway sqlite3:///runs/meta.db", "", ""])
    'object_store'
    """
    words = [Path(word) for word in " ".join(command[:3]).split()[:3]]
    for prefix, role in _ROLES_BY_PREFIX:
        if any(word.name.startswith(prefix) for word in words):
            return role
    return "ray" if any("ray" in word.parts for word in words) else CONTROLLER
