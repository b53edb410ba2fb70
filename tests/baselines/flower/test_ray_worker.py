"""A worker of Flower's simulation has TensorFlow only if its clients train with it, and Keras never."""

import subprocess
import sys

import pytest

from baselines.flower.federation import ENVIRONMENT
from baselines.flower.ray_worker import HOOK

WORKER = """
import sys
from ray._private.runtime_env.setup_hook import load_and_execute_setup_hook
assert load_and_execute_setup_hook(sys.argv[1]) is None
import flwr.simulation.ray_transport.ray_actor
assert "tensorflow" not in sys.modules
from baselines.flower.client_app import load_engine
load_engine("tensorflow")
assert "tensorflow" in sys.modules and "keras" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.training
def test_flower_imports_no_tensorflow_in_a_worker_and_a_client_does_without_keras():
    ((variable, hook),) = HOOK.items()
    assert ENVIRONMENT[variable] == hook
    from ray._private.ray_constants import WORKER_PROCESS_SETUP_HOOK_ENV_VAR

    assert variable == WORKER_PROCESS_SETUP_HOOK_ENV_VAR
    subprocess.run([sys.executable, "-c", WORKER, hook], check=True, timeout=300)
