"""TensorFlow, imported once and set up the same way in every worker.

One thread per client: it makes the arithmetic repeatable, and it lets a backend run as many clients at once as it has
cores without any of them taking another's.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # LLVM takes 256-bit vectors by default; with 512 (where the CPU has them) Adam and Nadam take a quarter to a third
    # less, and every element is computed as before.
    "XLA_FLAGS": "--xla_cpu_prefer_vector_width=512",
}


@cache
def tensorflow() -> Any:
    """Import TensorFlow with one thread, on the CPU.

    Raises
    ------
    RuntimeError
        If TensorFlow was already set to work with more threads in this process: its results could differ.
    """
    os.environ.update(ONE_THREAD)
    import tensorflow as tf  # noqa: PLC0415 - the variables above must be set first

    threading = tf.config.threading
    for read, write in (
        (threading.get_intra_op_parallelism_threads, threading.set_intra_op_parallelism_threads),
        (threading.get_inter_op_parallelism_threads, threading.set_inter_op_parallelism_threads),
    ):
        if read() != 1:
            write(1)
    return tf
