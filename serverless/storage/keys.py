"""The keys of a run's objects: every attempt has its own, so that no two can overwrite each other."""

from __future__ import annotations

TEST_KEY = "data/test.npz"


def data_key(client_id: int) -> str:
    """Return where a client's images are."""
    return f"data/client-{client_id:05d}.npz"


def weights_key(server_round: int, attempt: int = 1) -> str:
    """Return where an attempt at a round's average puts the global weights."""
    return f"weights/round-{server_round:05d}-attempt-{attempt}.safetensors"


def evaluation_key(server_round: int, attempt: int) -> str:
    """Return where it puts their evaluation."""
    return f"evaluations/round-{server_round:05d}-attempt-{attempt}.json"


def update_key(server_round: int, client_id: int, attempt: int) -> str:
    """Return where a client's attempt puts its update."""
    return f"updates/round-{server_round:05d}/client-{client_id:05d}-attempt-{attempt}.safetensors"


def copy_key(server_round: int, client_id: int, attempt: int) -> str:
    """Return where an invoker puts a client's copy of the global weights: beside the update."""
    return f"updates/round-{server_round:05d}/client-{client_id:05d}-attempt-{attempt}-weights.safetensors"


def state_key(server_round: int, client_id: int, attempt: int) -> str:
    """Return where a client's attempt puts what it keeps."""
    return f"states/client-{client_id:05d}/round-{server_round:05d}-attempt-{attempt}.safetensors"


def server_state_key(server_round: int, attempt: int) -> str:
    """Return where it puts the state of the strategy."""
    return f"states/server/round-{server_round:05d}-attempt-{attempt}.safetensors"
