"""What a worker of Flower's simulation does first, before it imports Flower."""

from __future__ import annotations

from task.engines.lean_import import lean_import

HOOK = {"__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR": f"{__name__}.hide_tensorflow"}  # Ray's variable: what is called then


def hide_tensorflow() -> None:
    """Import Flower as where TensorFlow is not installed; a client that trains with it imports it afterwards.

    Flower uses it for GPUs only, and would import all of it, Keras included, in each worker.
    """
    with lean_import("tensorflow"):
        import flwr.simulation.ray_transport.utils  # noqa: F401, PLC0415 - this is what looks for TensorFlow
