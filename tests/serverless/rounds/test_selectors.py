"""Who is chosen by the durations of earlier rounds: laws that hold for any durations, and what it is for."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serverless.rounds.clustering import grouped
from serverless.rounds.selectors import Drawn, FastestMix, Past, selector_of
from task.job import FederatedJob
from task.selection import select_clients

JOB = FederatedJob(clients=12, clients_per_round=4, rounds=10, selection="fastest_mix", seed=5)
SLOW = (9, 10, 11)


def seconds(client, server_round=1):
    return (8.0 if client in SLOW else 1.0) + 0.01 * client + 0.001 * server_round


def run(job, rounds, took=seconds, misses=lambda client, server_round: False):
    """Select and note round after round; return who was chosen, and the durations that counted."""
    selector, chosen, durations = selector_of(job), [], {}
    for server_round in range(1, rounds + 1):
        chosen.append(selector.select(server_round))
        durations[server_round] = {
            client: took(client, server_round) for client in chosen[-1] if not misses(client, server_round)
        }
        selector.note(server_round, durations[server_round])
    return chosen, durations


few = settings(max_examples=8)  # each groups the clients many times
histories = st.lists(
    st.lists(st.one_of(st.none(), st.floats(0.001, 1e4)), min_size=12, max_size=12), min_size=1, max_size=8
)


@pytest.mark.slow
@few
@given(history=histories, per_round=st.integers(1, 12), seed=st.integers(0, 5))
def test_any_durations_and_misses_give_as_many_clients_as_wanted_each_once(history, per_round, seed):
    job = replace(JOB, clients_per_round=per_round, seed=seed)
    selector = selector_of(job)
    for server_round, durations in enumerate(history, start=1):
        chosen = selector.select(server_round)
        assert len(chosen) == len(set(chosen)) == per_round
        assert set(chosen) <= set(range(12))
        assert list(chosen) == sorted(chosen)
        selector.note(server_round, {client: durations[client] for client in chosen if durations[client] is not None})


@pytest.mark.slow
@few
@given(history=histories, cut=st.integers(0, 8))
def test_a_run_that_goes_on_chooses_what_it_would_have_chosen(history, cut):
    def took(client, server_round):
        return history[(server_round - 1) % len(history)][client]

    def misses(client, server_round):
        return took(client, server_round) is None

    chosen, durations = run(JOB, 9, took, misses)
    resumed = selector_of(JOB, {server_round: durations[server_round] for server_round in range(1, cut + 1)})
    assert resumed.select(cut + 1) == chosen[cut]


def test_everybody_is_asked_before_anybody_is_asked_again():
    chosen, _ = run(JOB, 3)
    assert sorted(client for clients in chosen for client in clients) == list(range(12))


def test_fast_clients_come_first_and_slow_ones_are_mixed_in_towards_the_end():
    chosen, _ = run(JOB, 10)
    slow_by_round = [len(set(clients) & set(SLOW)) for clients in chosen]
    assert slow_by_round[3] == 0  # the first round after everybody was asked once
    assert slow_by_round[-1] == 3  # it begins with the slowest
    counts = Counter(client for clients in chosen for client in clients)
    assert max(counts[client] for client in SLOW) <= min(counts[client] for client in range(9))


def test_within_a_group_those_come_first_that_were_asked_least():
    chosen, _ = run(JOB, 9)
    counts = Counter(client for clients in chosen for client in clients)
    fast = [counts[client] for client in range(9)]
    assert max(fast) - min(fast) <= 1


@pytest.mark.slow
def test_the_seed_and_the_durations_decide_and_nothing_else():
    assert run(JOB, 10) == run(JOB, 10)
    assert run(JOB, 10)[0] != run(replace(JOB, seed=6), 10)[0]
    assert run(JOB, 10)[0] != run(JOB, 10, lambda client, server_round: seconds(11 - client))[0]


@pytest.mark.slow
@few
@given(history=histories, power=st.integers(-6, 6))
def test_in_other_units_of_time_the_same_clients_are_chosen(history, power):
    def took(client, server_round):
        return history[(server_round - 1) % len(history)][client] or 1.0

    assert run(JOB, 9, took)[0] == run(JOB, 9, lambda *asked: took(*asked) * 2.0**power)[0]  # exact in binary


def test_one_that_misses_sits_out_twice_as_long_each_time_and_comes_back():
    past = Past()
    spans = []
    for server_round in (1, 3, 6):
        past.note(server_round, None)
        spans.append([later for later in range(server_round + 1, 20) if past.sits_out_in(later)])
    assert spans == [[2], [4, 5], [7, 8, 9, 10]]
    past.note(11, 1.0)
    assert not past.sits_out_in(12)
    past.note(13, None)
    assert past.sits_out_in(14)
    assert not past.sits_out_in(15)


@pytest.mark.slow
def test_who_sits_out_is_asked_only_when_all_others_are_too_few():
    def misses(client, server_round):
        return client == 0

    chosen, _ = run(replace(JOB, clients=4, clients_per_round=3), 8, misses=misses)
    first = next(number for number, clients in enumerate(chosen) if 0 in clients)
    assert 0 not in chosen[first + 1]
    everybody, _ = run(replace(JOB, clients=4, clients_per_round=4), 5, misses=misses)
    assert all(clients == (0, 1, 2, 3) for clients in everybody)


@pytest.mark.slow
def test_misses_make_a_fast_client_a_slow_one():
    """Client 0 is as fast as the others when it answers, but it misses every other time: others go before it."""
    job = replace(JOB, clients=6, clients_per_round=2, rounds=40)
    asked = Counter()

    def misses(client, server_round):
        asked[client] += 1
        return client == 0 and asked[0] % 2 == 1

    chosen, _ = run(job, 20, lambda client, server_round: 1.0 + 0.01 * client, misses)
    counts = Counter(client for clients in chosen for client in clients)
    assert counts[0] < min(counts[client] for client in range(1, 6))


def test_random_and_fixed_do_not_look_at_durations():
    for selection in ("random", "fixed"):
        job = replace(JOB, selection=selection)
        selector = selector_of(job, {1: {0: 1.0}})
        assert isinstance(selector, Drawn)
        assert [selector.select(number) for number in (1, 2, 3)] == [select_clients(job, n) for n in (1, 2, 3)]
    assert isinstance(selector_of(JOB), FastestMix)


def test_groups_are_those_that_one_sees():
    assert grouped_of([1.0, 1.1, 9.0, 9.2, 1.05]) == [{0, 1, 4}, {2, 3}]


def test_one_like_no_other_is_a_group_of_its_own():
    assert {5} in grouped_of([1.0, 1.01, 1.02, 1.03, 1.01, 50.0])


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0, 3.0], [1.0, 2.0]])
def test_where_nothing_parts_them_they_are_one_group(values):
    assert len(set(grouped_of(values)[0])) == len(values)


def grouped_of(values):
    import numpy as np

    labels = grouped(np.array([[value, 0.0] for value in values]))
    return [{place for place, label in enumerate(labels) if label == wanted} for wanted in dict.fromkeys(labels)]
