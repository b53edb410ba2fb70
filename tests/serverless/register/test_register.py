"""Who the clients are, and what each was last asked to do: on SQLite, and on a real PostgreSQL."""

import pytest

from serverless.register.clients import Activation, RegisterError, open_register


def test_clients_that_were_enrolled_are_idle(register):
    register.enrol([2, 0, 1])
    assert register.activations() == {id_: Activation(id_, "idle", 0, 0) for id_ in range(3)}


def test_an_attempt_goes_from_its_beginning_to_its_end(register):
    register.enrol([7])
    assert register.begin(7, 3, 1, submitted_at=12.5)
    assert register.activations() == {7: Activation(7, "in_flight", 3, 1, 12.5)}
    assert register.ended(7, 3, 1, "finished", report='{"num_examples": 600}')
    assert register.activations() == {7: Activation(7, "finished", 3, 1, 12.5, '{"num_examples": 600}')}


def test_a_new_attempt_forgets_what_the_last_one_left(register):
    register.enrol([7])
    register.begin(7, 3, 1, submitted_at=1.0)
    register.ended(7, 3, 1, "failed", report="it went wrong")
    register.begin(7, 3, 2, submitted_at=2.0)
    assert register.activations()[7] == Activation(7, "in_flight", 3, 2, 2.0)


@pytest.mark.parametrize("again", [(3, 2), (3, 1), (2, 9)])
def test_what_was_begun_is_not_begun_again(register, again):
    register.enrol([7])
    assert register.begin(7, 3, 2, submitted_at=1.0)
    before = register.activations()
    assert not register.begin(7, *again, submitted_at=2.0)
    assert register.activations() == before


def test_a_late_answer_does_not_overwrite_what_was_asked_since(register):
    register.enrol([7])
    register.begin(7, 3, 1, submitted_at=1.0)
    register.begin(7, 4, 1, submitted_at=2.0)
    before = register.activations()
    assert not register.ended(7, 3, 1, "finished", report="late")
    assert register.activations() == before


def test_an_end_is_told_once(register):
    register.enrol([7])
    register.begin(7, 3, 1, submitted_at=1.0)
    assert register.ended(7, 3, 1, "finished")
    assert not register.ended(7, 3, 1, "failed")
    assert register.activations()[7].state == "finished"


def test_the_activations_of_one_round(register):
    register.enrol(range(3))
    register.begin(0, 4, 1, submitted_at=1.0)
    register.begin(2, 5, 1, submitted_at=1.0)
    assert list(register.activations(5)) == [2]


def test_it_survives_its_process_and_enrolling_again_keeps_the_activations(where):
    with open_register(**where) as before:
        before.enrol([7, 8])
        before.begin(7, 3, 1, submitted_at=1.0)
    with open_register(**where) as after:
        after.enrol([7, 8, 9])
        assert list(after.activations()) == [7, 8, 9]
        assert after.activations()[7] == Activation(7, "in_flight", 3, 1, 1.0)


def test_federations_do_not_see_each_other(where):
    other = {**where, "federation": where["federation"] + "-other"}
    with open_register(**where) as mine, open_register(**other) as theirs:
        for register in (mine, theirs):
            register.enrol([7])
        mine.begin(7, 3, 1, submitted_at=1.0)
        assert theirs.activations()[7].state == "idle"
        mine.forget()
        assert mine.activations() == {}
        assert len(theirs.activations()) == 1


def test_nobody_is_asked_who_is_not_enrolled(register):
    with pytest.raises(RegisterError, match=r"client 9 is not in the register of run-\d+.*: enrol it first"):
        register.begin(9, 1, 1, submitted_at=1.0)


def test_enrolling_nobody_changes_nothing(register):
    register.enrol([])
    assert register.activations() == {}
