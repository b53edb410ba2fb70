"""Who the clients are, and what each was last asked to do: on SQLite, and on a real PostgreSQL."""

import pytest

from serverless.register.clients import Activation, RegisterError, open_register


def test_clients_come_back_as_they_were_enrolled(register, make_client):
    clients = [make_client(id_, group=group) for id_, group in ((2, "edge"), (0, "cloud"), (1, "edge"))]
    register.enrol(clients)
    assert register.clients() == tuple(sorted(clients, key=lambda client: client.client_id))
    assert register.activations()[2] == Activation(2, "idle", 0, 0)


def test_an_attempt_goes_from_its_beginning_to_its_end(register, make_client):
    register.enrol([make_client(7)])
    assert register.begin(7, 3, 1, submitted_at=12.5)
    assert register.activations() == {7: Activation(7, "in_flight", 3, 1, None, 12.5)}
    assert register.accepted(7, 3, 1, "abc")
    assert register.activations() == {7: Activation(7, "in_flight", 3, 1, "abc", 12.5)}
    assert register.ended(7, 3, 1, "finished", report='{"num_examples": 600}')
    assert register.activations() == {7: Activation(7, "finished", 3, 1, "abc", 12.5, '{"num_examples": 600}')}


def test_the_platforms_name_may_come_with_the_end(register, make_client):
    register.enrol([make_client(7)])
    register.begin(7, 3, 1, submitted_at=12.5)
    register.ended(7, 3, 1, "failed", activation_id="late")
    assert register.activations()[7].activation_id == "late"


def test_a_new_attempt_forgets_what_the_last_one_left(register, make_client):
    register.enrol([make_client(7)])
    register.begin(7, 3, 1, submitted_at=1.0)
    register.ended(7, 3, 1, "failed", activation_id="first", report="it went wrong")
    register.begin(7, 3, 2, submitted_at=2.0)
    assert register.activations()[7] == Activation(7, "in_flight", 3, 2, None, 2.0)


@pytest.mark.parametrize("again", [(3, 2), (3, 1), (2, 9)])
def test_what_was_begun_is_not_begun_again(register, make_client, again):
    register.enrol([make_client(7)])
    assert register.begin(7, 3, 2, submitted_at=1.0)
    before = register.activations()
    assert not register.begin(7, *again, submitted_at=2.0)
    assert register.activations() == before


def test_a_late_answer_does_not_overwrite_what_was_asked_since(register, make_client):
    register.enrol([make_client(7)])
    register.begin(7, 3, 1, submitted_at=1.0)
    register.begin(7, 4, 1, submitted_at=2.0)
    before = register.activations()
    assert not register.ended(7, 3, 1, "finished", report="late")
    assert not register.accepted(7, 3, 1, "late")
    assert register.activations() == before


def test_an_end_is_told_once(register, make_client):
    register.enrol([make_client(7)])
    register.begin(7, 3, 1, submitted_at=1.0)
    assert register.ended(7, 3, 1, "finished")
    assert not register.ended(7, 3, 1, "failed")
    assert register.activations()[7].state == "finished"


def test_the_activations_of_one_round(register, make_client):
    register.enrol([make_client(id_) for id_ in range(3)])
    register.begin(0, 4, 1, submitted_at=1.0)
    register.begin(2, 5, 1, submitted_at=1.0)
    assert list(register.activations(5)) == [2]


def test_it_survives_its_process_and_enrolling_again_keeps_the_activations(where, make_client):
    with open_register(**where) as before:
        before.enrol([make_client(7), make_client(8)])
        before.begin(7, 3, 1, submitted_at=1.0)
        before.accepted(7, 3, 1, "abc")
    with open_register(**where) as after:
        moved = [make_client(id_, invocation_url="http://127.0.0.1:9999/function/client") for id_ in (7, 8)]
        after.enrol(moved)
        assert after.clients() == tuple(moved)
        assert after.activations()[7] == Activation(7, "in_flight", 3, 1, "abc", 1.0)


def test_federations_do_not_see_each_other(where, make_client):
    other = {**where, "federation": where["federation"] + "-other"}
    with open_register(**where) as mine, open_register(**other) as theirs:
        for register in (mine, theirs):
            register.enrol([make_client(7)])
        mine.begin(7, 3, 1, submitted_at=1.0)
        assert theirs.activations()[7].state == "idle"
        mine.forget()
        assert mine.clients() == ()
        assert len(theirs.clients()) == 1


def test_nobody_is_asked_who_is_not_enrolled(register):
    with pytest.raises(RegisterError, match=r"client 9 is not in the register of run-\d+.*: enrol it first"):
        register.begin(9, 1, 1, submitted_at=1.0)


def test_enrolling_nobody_changes_nothing(register):
    register.enrol([])
    assert register.clients() == ()
