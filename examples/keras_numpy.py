"""Keras 3 on its NumPy backend, with fastsig in place of the backend's activation functions.

    python examples/keras_numpy.py

`fastsig_activations` is what to copy. The NumPy backend only predicts; it is how a trained model is served without
TensorFlow, JAX's compiler or PyTorch at work.
"""

import contextlib
import os
import sys

import numpy as np
from _race import race

import fastsig

os.environ["KERAS_BACKEND"] = "numpy"
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the backend imports jax for convolutions
try:
    import keras
    from keras.src.backend.numpy import nn
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[keras]'")

OURS = {
    "relu": fastsig.relu,
    "relu6": fastsig.relu6,
    "sigmoid": fastsig.sigmoid,
    "tanh": fastsig.tanh,
    "softplus": fastsig.softplus,
    "softsign": fastsig.softsign,
    "silu": fastsig.silu,
    "log_sigmoid": fastsig.log_sigmoid,
    "leaky_relu": lambda x, negative_slope=0.2: fastsig.leaky_relu(x, negative_slope),  # another default than torch's
    "hard_sigmoid": fastsig.hard_sigmoid,
    "hard_silu": fastsig.hard_swish,
    "elu": fastsig.elu,
    "selu": fastsig.selu,
    "celu": fastsig.celu,
    "gelu": lambda x, approximate=True: fastsig.gelu(x, "tanh" if approximate else "none"),
    "softmax": fastsig.softmax,
    "log_softmax": fastsig.log_softmax,
}


@contextlib.contextmanager
def fastsig_activations():
    """Within this block, Keras' NumPy backend computes its activation functions with fastsig."""
    before = {name: getattr(nn, name) for name in OURS}
    for name, function in OURS.items():
        setattr(nn, name, function)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(nn, name, function)


def compare_functions():
    """The largest difference that the swap makes, for every function and by the name Keras knows it by."""
    x = np.random.default_rng(0).normal(0, 5, 10_000).astype(np.float32).reshape(100, 100)
    worst = {}
    for name in OURS:
        theirs = np.asarray(getattr(keras.ops, name)(x))
        with fastsig_activations():
            ours = np.asarray(getattr(keras.ops, name)(x))
        worst[name] = np.abs(ours - theirs).max() if ours.dtype == theirs.dtype else np.inf
    return worst


def main():
    worst = compare_functions()
    name = max(worst, key=worst.get)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}, {len(worst)} functions swapped")
    print(f"  largest difference: {worst[name]:.1e} ({name})")
    rows = np.random.default_rng(0).normal(size=(4096, 64)).astype(np.float32)
    print(f"predict of 64-256-256-10 for {rows.shape[0]} rows, Keras -> with fastsig")
    for activation in ("relu", "gelu", "silu", "tanh", "selu"):
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense
        layers = [dense(256, activation), dense(256, activation), dense(10, "softmax")]
        model = keras.Sequential([keras.Input((64,)), *layers])

        def predict(rows, model=model):
            return model.predict(rows, batch_size=len(rows), verbose=0)

        def predict_swapped(rows, predict=predict):
            with fastsig_activations():
                return predict(rows)

        theirs, ours = race(activation, predict, predict_swapped, rows, rounds=5)
        print(f"    largest difference of a probability: {np.abs(theirs - ours).max():.1e}")


if __name__ == "__main__":
    main()
