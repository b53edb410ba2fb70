"""Many threads and processes at one register: of each change exactly one comes through, and none is lost."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from hypothesis import given, settings
from hypothesis import strategies as st

from serverless.register.clients import open_register

PROJECT = Path(__file__).parents[3]
THREADS = 16
# a keeper's process: claims whatever it can get, and ends it; prints what it got
WORKER = """
import sys
from serverless.register.clients import open_register
url, federation, password_env, name = sys.argv[1:]
with open_register(url, federation, password_env or None) as register:
    print("ready", flush=True)
    sys.stdin.readline()
    for client_id in register.activations():
        for attempt in (1, 2, 3):
            if register.begin(client_id, 1, attempt, submitted_at=1.0):
                ended = register.ended(client_id, 1, attempt, "finished", report=name)
                print(client_id, attempt, int(ended), flush=True)
"""


def at_once(count, work):
    barrier = Barrier(count)

    def run(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def test_one_of_many_threads_begins_an_attempt(register):
    register.enrol([0])
    for server_round in range(1, 6):
        begun = at_once(THREADS, lambda number, r=server_round: register.begin(0, r, 1, submitted_at=float(number)))
        assert sum(begun) == 1
        assert register.activations()[0].submitted_at == begun.index(True)


def test_no_end_of_many_is_lost(register):
    register.enrol(range(THREADS))
    for id_ in range(THREADS):
        register.begin(id_, 1, 1, submitted_at=1.0)
    assert all(at_once(THREADS, lambda id_: register.ended(id_, 1, 1, "finished", report=str(id_))))
    found = register.activations()
    assert [(found[id_].state, found[id_].report) for id_ in range(THREADS)] == [
        ("finished", str(id_)) for id_ in range(THREADS)
    ]


def test_processes_share_it(where):
    with open_register(**where) as register:
        register.enrol(range(20))
        words = (where["url"], where["federation"], where.get("password_env", ""))
        command = [sys.executable, "-c", WORKER, *words]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": PROJECT}
        workers = [subprocess.Popen([*command, f"worker-{n}"], **pipes) for n in range(4)]
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        said = []
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for number, worker in enumerate(workers):
            out, _ = worker.communicate(timeout=120)
            assert worker.returncode == 0
            said += [(*map(int, line.split()), f"worker-{number}") for line in out.splitlines()]
        assert len({(client, attempt) for client, attempt, *_ in said}) == len(said)  # nothing was begun twice
        last = {client: (ended, name) for client, attempt, ended, name in said if attempt == 3}
        assert len(last) == 20
        for client, activation in register.activations().items():
            ended, name = last[client]
            assert ended
            assert (activation.state, activation.report) == ("finished", name)


MOVES = st.lists(
    st.tuples(st.sampled_from(["begin", "finished", "failed"]), st.integers(1, 3), st.integers(1, 3)),
    max_size=12,
)


@given(moves=MOVES)
@settings(max_examples=60)
def test_it_only_moves_forward_like_the_three_lines_that_describe_it(tmp_path_factory, moves):
    """Against a model: an attempt begins if it is later than the last; it ends if it is the last and in flight."""
    folder = tmp_path_factory.mktemp("model")
    last, state = (0, 0), "idle"
    with open_register(f"sqlite:///{folder}/r.sqlite", "run") as register:
        register.enrol([0])
        for move, server_round, attempt in moves:
            asked = (server_round, attempt)
            if move == "begin":
                expected = asked > last
                assert register.begin(0, *asked, submitted_at=1.0) == expected
                last, state = (asked, "in_flight") if expected else (last, state)
            else:
                expected = asked == last and state == "in_flight"
                assert register.ended(0, *asked, move) == expected
                state = move if expected else state
            found = register.activations()[0]
            assert ((found.server_round, found.attempt), found.state) == (last, state)
