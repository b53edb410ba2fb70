"""What a worker's environment holds, so that it computes like every other."""

import os
import subprocess
import sys

from task.engines.runtime import ONE_THREAD, arithmetic


def test_choices_of_kernels_are_handed_on_and_nothing_else():
    environ = {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "AVX512F", "SECRET": "s", "PATH": "/bin"}
    assert arithmetic(environ | {"OMP_NUM_THREADS": "8"}) == ONE_THREAD | {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F",
    }


PRODUCT = """
import hashlib, numpy as np
rng = np.random.default_rng(0)
a, b = (rng.standard_normal(shape, np.float32) for shape in ((20, 784), (784, 50)))
print(hashlib.sha256((a @ b).tobytes()).hexdigest())
"""


def product(environ):
    done = subprocess.run([sys.executable, "-c", PRODUCT], env=environ, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_worker_with_a_bare_environment_rounds_as_this_one_does():
    mine = {**os.environ, **ONE_THREAD}
    bare = {"PATH": os.environ["PATH"], **arithmetic(mine)}
    assert product(mine) == product(bare)
