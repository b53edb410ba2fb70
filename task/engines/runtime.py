"""The environment variables that decide how a process computes, and TensorFlow, imported with them.

Every process that learns computes on the CPU with one thread. This makes the arithmetic repeatable, and a backend can
run as many clients at once as it has cores, without a client taking the core of another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

from task.engines.lean_import import lean_import

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # LLVM takes 256-bit vectors by default; with 512 (where the CPU has them) Adam and Nadam take a quarter to a third
    # less, and every element is computed as before.
    "XLA_FLAGS": "--xla_cpu_prefer_vector_width=512",
}

# TensorFlow imports these if they are there, and works without them. Keras alone brings scikit-learn, pandas and
# Matplotlib where they are installed, and takes half of the import.
_NOT_NEEDED = ("h5py", "keras", "scipy")
_NAMES = "tensorflow._api.v2"  # what users write behind `tf.`: each module of it imports all that it has names for
# `tf.distribute` and `tf.lite` are also folders of TensorFlow. The first import from such a folder takes the name for
# it, so it must not come after ours; the one in rpc_ops even needs the name.
_TAKE_NAMES = ("python.distribute.experimental.rpc.rpc_ops", "lite")

_KERNELS = ("DNNL_", "MKL_", "NPY_", "ONEDNN_", "OPENBLAS_", "TF_ENABLE_ONEDNN_OPTS")


def arithmetic(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a worker needs which does not inherit the environment, so that it rounds as others do.

    They are :data:`ONE_THREAD`, and the variables of ``environ`` by which users choose the kernels of NumPy and
    TensorFlow: with another ``OPENBLAS_CORETYPE``, for example, the last bits of a matrix product differ.
    """
    return {**{name: value for name, value in environ.items() if name.startswith(_KERNELS)}, **ONE_THREAD}


@cache
def tensorflow() -> Any:
    """Import TensorFlow with one thread, on the CPU, and without what no engine needs, above all Keras.

    A later ``import keras`` works as always, and all that TensorFlow has is loaded when it is asked for.

    Raises
    ------
    RuntimeError
        If TensorFlow was already set to work with more threads in this process: its results could differ.
    """
    os.environ.update(ONE_THREAD)
    with lean_import(*_NOT_NEEDED, lazy=_NAMES):
        import tensorflow as tf  # noqa: PLC0415 - the variables above must be set first

        behind_tf = dict(vars(tf))
        for module in _TAKE_NAMES:
            with suppress(ImportError):  # another version of TensorFlow
                import_module(f"tensorflow.{module}")
        vars(tf).update(behind_tf)
        threading, _ = tf.config.threading, tf.raw_ops.Relu  # what engines use of these names is loaded now
    for read, write in (
        (threading.get_intra_op_parallelism_threads, threading.set_intra_op_parallelism_threads),
        (threading.get_inter_op_parallelism_threads, threading.set_inter_op_parallelism_threads),
    ):
        if read() != 1:
            write(1)
    return tf
