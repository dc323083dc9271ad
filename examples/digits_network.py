"""A small neural network that reads handwritten digits, trained with nothing but NumPy and fastsig.

    python examples/digits_network.py [--seed 0] [--epochs 60]

64 pixels, 64 hidden units with gelu, 10 classes with softmax. The backward pass is written out, in
`loss_and_gradients`: fastsig.backward.cross_entropy and fastsig.backward.gelu take the gradient through the loss and
the hidden layer in one pass over memory each.
"""

import argparse
import sys
import time

import numpy as np

import fastsig

try:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[examples]'")

HIDDEN = 64
BATCH = 64
LEARNING_RATE = 0.1
MOMENTUM = 0.9


def load(seed):
    """X_train, X_test, y_train, y_test: pixels in [0, 1] in float32."""
    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    return train_test_split(pixels, digits.target, test_size=0.25, stratify=digits.target, random_state=seed)


def initial_parameters(rng, features, classes):
    """Weights and biases of both layers, He's initialisation."""
    parameters = []
    for fan_in, fan_out in ((features, HIDDEN), (HIDDEN, classes)):
        parameters.append(rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)).astype(np.float32))
        parameters.append(np.zeros(fan_out, np.float32))
    return parameters


def forward(parameters, X):
    """The hidden layer's input and output, and the logits."""
    weights1, bias1, weights2, bias2 = parameters
    before = X @ weights1 + bias1
    hidden = fastsig.gelu(before)
    return before, hidden, hidden @ weights2 + bias2


def loss_and_gradients(parameters, X, y):
    """Mean cross-entropy and its gradient with respect to every parameter, by backpropagation."""
    before, hidden, logits = forward(parameters, X)
    loss = fastsig.cross_entropy(logits, y).mean()

    grad_logits = fastsig.backward.cross_entropy(1 / len(y), logits, y)
    grad_before = grad_logits @ parameters[2].T
    fastsig.backward.gelu(grad_before, before, out=grad_before)
    return loss, [X.T @ grad_before, grad_before.sum(0), hidden.T @ grad_logits, grad_logits.sum(0)]


def accuracy(parameters, X, y):
    return (forward(parameters, X)[-1].argmax(-1) == y).mean()


def train(X, y, epochs, seed):
    """Stochastic gradient descent with momentum; prints the mean loss now and then."""
    rng = np.random.default_rng(seed)
    parameters = initial_parameters(rng, X.shape[1], y.max() + 1)
    velocities = [np.zeros_like(parameter) for parameter in parameters]
    for epoch in range(1, epochs + 1):
        order, losses = rng.permutation(len(X)), []
        rate = LEARNING_RATE * (1 - (epoch - 1) / epochs)  # smaller and smaller steps settle in a minimum
        for start in range(0, len(X), BATCH):
            batch = order[start : start + BATCH]
            loss, gradients = loss_and_gradients(parameters, X[batch], y[batch])
            losses.append(loss)
            for parameter, velocity, gradient in zip(parameters, velocities, gradients, strict=True):
                velocity *= MOMENTUM
                velocity -= rate * gradient
                parameter += velocity
        if epoch == 1 or epoch % (epochs // 4) == 0:
            print(f"  epoch {epoch:3}  loss {np.mean(losses):.4f}  training accuracy {accuracy(parameters, X, y):.4f}")
    return parameters


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights and the batches")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the training set (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.epochs < 4:
        parser.error("--epochs must be 4 or more")

    X_train, X_test, y_train, y_test = load(arguments.seed)
    print(f"Handwritten digits: {len(X_train)} to train on, {len(X_test)} to test; 64-{HIDDEN}-10 with fastsig.gelu")
    start = time.perf_counter()
    parameters = train(X_train, y_train, arguments.epochs, arguments.seed)
    print(f"  {time.perf_counter() - start:.1f} s in {parameters[0].dtype}")
    print(f"  test accuracy {accuracy(parameters, X_test, y_test):.4f}\n")
    fastsig.show_config()


if __name__ == "__main__":
    main()
