"""Logistic regression, two classes and ten, in plain NumPy with fastsig's activation functions.

    python examples/logistic_regression.py [--output activations.png] [--seed 0]

Trains both models by gradient descent in float32, in `fit`, puts them beside scikit-learn's, and draws four activation
functions above their slopes, where vanishing gradients and the dying ReLU can be seen.
"""

import argparse
import sys

import numpy as np

import fastsig

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss as sklearn_log_loss
    from sklearn.model_selection import train_test_split
    from tqdm import tqdm
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[examples]'")

C = 1.0  # inverse strength of the L2 penalty, scikit-learn's convention and default
MOMENTUM = 0.9  # share of each step carried over to the next; without it some ten times as many are needed
LEAK = 0.1  # slope of the leaky ReLU in the picture; the usual 0.01 could not be told from 0
VANISHING = 0.05  # the picture shades where a slope is below this: five such layers leave a gradient of 3e-7
BLUE, VERMILION, SHADE = "#0072B2", "#D55E00", "#E8E8E8"  # Okabe and Ito's: safe for colour-blind readers


def split_and_standardise(dataset, seed):
    """Return X_train, X_test, y_train, y_test; features in float32, scaled by the training statistics."""
    X_train, X_test, y_train, y_test = train_test_split(
        dataset.data, dataset.target, test_size=0.25, stratify=dataset.target, random_state=seed
    )
    mean, std = X_train.mean(axis=0), X_train.std(axis=0)
    std[std == 0] = 1  # some pixels of the digits are blank in every image
    X_train, X_test = (((X - mean) / std).astype(np.float32) for X in (X_train, X_test))
    return X_train, X_test, y_train, y_test


def probabilities(logits):
    """Class probabilities, shape (n, classes), of two-class logits (n,) or many-class logits (n, classes)."""
    if logits.ndim == 1:
        # sigmoid(-z) and not 1 - sigmoid(z), which in float32 is 0 for every z above 17.4.
        return np.stack([fastsig.sigmoid(-logits), fastsig.sigmoid(logits)], axis=-1)
    return fastsig.softmax(logits)


def log_loss(logits, labels):
    """Mean negative log-likelihood, from the logits: the log of a probability that underflows is -inf."""
    if logits.ndim == 1:
        return fastsig.binary_cross_entropy_with_logits(logits, labels.astype(logits.dtype)).mean()
    return fastsig.cross_entropy(logits, labels).mean()


def log_loss_gradient(logits, labels):
    """Its derivative by each logit: prediction minus target, and a share of the mean."""
    share = 1 / len(labels)
    if logits.ndim == 1:
        return fastsig.backward.binary_cross_entropy_with_logits(share, logits, labels.astype(logits.dtype))
    return fastsig.backward.cross_entropy(share, logits, labels)


def fit(X, y, steps):
    """Minimise log-loss + |weights|^2 / (2 C n) by full-batch gradient descent; return weights and bias."""
    n, features = X.shape
    classes = y.max() + 1
    steepest = 1 / 4 if classes == 2 else 1 / 2  # slope of the activation
    outputs = () if classes == 2 else (classes,)
    weights, bias = np.zeros((features, *outputs), dtype=np.float32), np.zeros(outputs, dtype=np.float32)
    weights_velocity, bias_velocity = np.zeros_like(weights), np.zeros_like(bias)
    penalty = 1 / (C * n)
    # One over the largest curvature the loss can have: as far as a step can go without overshooting.
    learning_rate = 1 / (steepest * np.linalg.norm(X, ord=2) ** 2 / n + penalty)

    bar = "  training |{bar}| {n_fmt}/{total_fmt} steps{postfix}"
    # On a terminal it moves; a log gets its last line alone.
    often = 0.02 if sys.stdout.isatty() else float("inf")
    progress = tqdm(range(steps), bar_format=bar, ncols=76, mininterval=often, file=sys.stdout)
    for step in progress:
        logits = X @ weights + bias
        if step % 20 == 0:
            loss = log_loss(logits, y) + penalty / 2 * np.sum(weights**2)
            progress.set_postfix_str(f"loss {loss:.4f}", refresh=False)
        error = log_loss_gradient(logits, y)
        weights_velocity = MOMENTUM * weights_velocity - learning_rate * (X.T @ error + penalty * weights)
        bias_velocity = MOMENTUM * bias_velocity - learning_rate * error.sum(axis=0)  # no penalty on the bias
        weights += weights_velocity
        bias += bias_velocity
    return weights, bias


def compare(title, dataset, steps, seed):
    """Train our model and scikit-learn's on the same data, and print how both do on the test set."""
    X_train, X_test, y_train, y_test = split_and_standardise(dataset, seed)
    names = dataset.target_names
    print(f"\n{title}: {len(names)} classes, {X_train.shape[1]} features, {len(X_train)} training samples")

    weights, bias = fit(X_train, y_train, steps)
    logits = X_test @ weights + bias
    ours = probabilities(logits)
    model = LogisticRegression(C=C, tol=1e-6, max_iter=10_000).fit(X_train, y_train)
    theirs = model.predict_proba(X_test)

    new = 0  # the first test sample stands for one that arrives after training
    guess = ours[new].argmax()
    rows = [
        ("test accuracy", (ours.argmax(axis=-1) == y_test).mean(), model.score(X_test, y_test)),
        ("test log-loss", log_loss(logits, y_test), sklearn_log_loss(y_test, theirs)),
        (f"new sample: P({names[guess]})", ours[new, guess], theirs[new, guess]),
    ]
    print(f"\n  {'':<28}{'NumPy + fastsig':>16}{'scikit-learn':>16}")
    for label, our_value, their_value in rows:
        print(f"  {label:<28}{our_value:>16.4f}{their_value:>16.4f}")
    print(f"  {'new sample: true label':<28}{names[y_test[new]]!s:>16}")
    print(f"  {'dtype':<28}{ours.dtype!s:>16}{theirs.dtype!s:>16}")


def functions_and_slopes(x):
    """Columns of the picture: title, values, slopes, and notes for the slopes' panel as (x, y, text)."""
    s, t = fastsig.sigmoid(x), fastsig.tanh(x)
    vanishes = [(-4.4, 0.6, "gradient\nvanishes"), (4.4, 0.6, "gradient\nvanishes")]
    dies = [(-3, 0.6, "gradient is\nexactly 0:\na unit that stays\nhere is dead")]
    learns = [(-3, 0.25, f"gradient is {LEAK}:\nstill learning")]
    return [
        ("sigmoid", s, s * (1 - s), [*vanishes, (0, 0.34, "at most\n0.25")]),
        ("tanh", t, 1 - t**2, vanishes),
        ("ReLU", fastsig.relu(x), np.where(x > 0, 1.0, 0.0), dies),
        (f"leaky ReLU (slope {LEAK})", fastsig.leaky_relu(x, LEAK), np.where(x > 0, 1.0, LEAK), learns),
    ]


def draw(path):
    """Save a picture of four activation functions, each above its slope, shaded where learning stalls."""
    x = np.linspace(-6, 6, 1201)
    with rc_context({"font.size": 12, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(14, 7), dpi=120, layout="constrained")
        axes = figure.subplots(2, 4, sharex=True)
        columns = zip(functions_and_slopes(x), axes.T, strict=True)
        for (title, values, slopes, notes), (above, below) in columns:
            above.plot(x, values, color=BLUE, linewidth=2.5)
            below.plot(x, slopes, color=VERMILION, linewidth=2.5)
            for panel in above, below:
                full_height = panel.get_xaxis_transform()
                panel.fill_between(x, 0, 1, where=slopes < VANISHING, transform=full_height, color=SHADE)
                panel.locator_params(axis="y", nbins=6)
                panel.margins(x=0)
            for note in notes:
                below.text(*note, ha="center", va="center", fontsize=11)
            above.set_title(title, weight="bold")
            below.set(xlabel="x", ylim=(-0.05, 1.05), xticks=range(-6, 7, 2))
        axes[0, 0].set_ylabel("activation")
        axes[1, 0].set_ylabel("its slope, the gradient")
        figure.savefig(path)


def main():
    """Train, compare, draw, and say which fastsig did the work."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", default="activations.png", help="the picture (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="for the train/test split (default: %(default)s)")
    arguments = parser.parse_args()

    compare("Breast cancer, with fastsig.sigmoid", load_breast_cancer(), 2000, arguments.seed)
    compare("Handwritten digits, with fastsig.softmax", load_digits(), 3000, arguments.seed)
    draw(arguments.output)
    print(f"\nFour activation functions and their slopes: {arguments.output}\n")
    fastsig.show_config()


if __name__ == "__main__":
    main()
