"""The site's pictures, drawn from the functions themselves.

Every function of the table gets one of itself and its slope, and one of its errors, measured while it is drawn against
the reference of the tests. The others are those of choosing.md.
"""

import importlib.util
import itertools

import matplotlib as mpl
import numpy as np
import oracle
import pages
import report
import scipy.special
from matplotlib.figure import Figure

import fastsig
from fastsig._catalog import TABLE, expanded

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]  # Okabe and Ito's, safe for colour-blind readers
DASHES = ["-", "--", "-.", ":"]
WIDTH = 5.4  # inches, of all pictures: the page scales them, and on a phone their text can still be read
STYLE = report.STYLE | {
    "axes.prop_cycle": mpl.cycler(color=COLOURS, linestyle=DASHES),
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.xmargin": 0,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 2,
}
OTHERS = (1, -1)  # the other entries of the rows in the pictures of functions along an axis


def panels(height, *shape, **options):
    """A new figure, and its axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(*shape, **options)


# -------------------------------------------------------------------------------- functions and slopes


def given(row, parameters):
    """What is not told by name, taken out of the parameters, or else the table's example."""
    return [parameters.pop(name, value) for name, value in row.operands.items()]


def values(row, x, **parameters):
    """What to draw over x, one column a curve: along an axis, rows of x and OTHERS."""
    function, operands = getattr(fastsig, row.name), given(row, parameters)
    if row.kind == "elementwise":
        return function(x, *operands, **parameters)[:, None]
    if row.kind == "halves":
        return np.concatenate([function(np.stack(np.broadcast_arrays(*pair)), axis=0) for pair in ((1, x), (x, 1))]).T
    rows = np.stack(np.broadcast_arrays(x, *OTHERS), axis=-1)
    return function(rows, *operands, axis=-1).reshape(len(x), -1)


def slopes(row, x, **parameters):
    """Their derivatives: by fastsig.backward, or along an axis by central differences."""
    if row.kind == "elementwise":
        operands = given(row, parameters)
        return getattr(fastsig.backward, row.name)(np.ones_like(x), x, *operands, **parameters)[:, None]
    h = 1e-5
    return (values(row, x + h) - values(row, x - h)) / (2 * h)


def domain(row):
    """From -6 to 6, or that part of it where there is anything to see."""
    x = np.linspace(-6, 6, 1201)
    defined = x[np.isfinite(values(row, x)).all(axis=1)]
    return x if len(defined) == len(x) else np.linspace(defined[0], defined[-1], 1201)


def settings(row):
    """(Label or one for each entry, keywords) of a function's curves: the defaults, then each parameter at another
    value."""
    first = ", ".join(f"{name}={value:g}" for name, value in row.operands.items()) or row.name
    entries = {"rows": [f"entry {entry}" for entry in ("x", *OTHERS)], "halves": ["a = 1, b = x", "a = x, b = 1"]}
    yield entries.get(row.kind, first), {}
    for parameter in row.parameters if row.kind == "elementwise" else ():
        value = parameter.default * (10 if abs(parameter.default) < 0.1 else 2)
        yield f"{parameter.name}={value:g}", {parameter.name: value}
    for _, variant in itertools.islice(expanded(row), 1, None):
        yield f"{row.choice.name}={variant.choice.default!r}", {row.choice.name: variant.choice.default}


def draw_function(row):
    """A function beside its slope."""
    figure, (left, right) = panels(2.5, 1, 2)
    x = domain(row)
    for label, parameters in settings(row):
        left.plot(x, values(row, x, **parameters), label=label)
        right.plot(x, slopes(row, x, **parameters))
    others = ", ".join(map(str, OTHERS))
    left.set(title=row.name if row.kind in {"elementwise", "halves"} else f"{row.name} of (x, {others})", xlabel="x")
    right.set(title="slope", xlabel="x")
    if len(row.name) > 24:  # than what there is room for
        left.title.set_fontsize(9)
    for panel in (left, right):
        panel.locator_params(axis="x", steps=[1, 2, 5, 10])
    if len(left.lines) > 1:
        left.legend()
    return figure


# -------------------------------------------------------------------------------- errors


def elementwise_errors(row, dtype, edges, each=2000):
    """The largest error in every interval."""
    x = np.random.default_rng(0).uniform(edges[:-1, None], edges[1:, None], (len(edges) - 1, each)).astype(dtype)
    parameters = oracle.defaults(row, dtype)
    got = oracle.function(fastsig, row)(x, **parameters)
    return oracle.ulp_error(got, oracle.reference(row, x, **parameters)).max(axis=1)


def halves_errors(row, dtype, edges, each=2000):
    """The same of the second half, beside first halves of all sizes."""
    rng = np.random.default_rng(0)
    b = rng.uniform(edges[:-1, None], edges[1:, None], (len(edges) - 1, each))
    x = np.concatenate([10 ** rng.uniform(-10, 10, b.shape), b], axis=1).astype(dtype)
    return oracle.ulp_error(getattr(fastsig, row.name)(x), oracle.of_halves(row, x)).max(axis=1)


def peers_of(row):
    """(Name, function) of others that do the same along the last axis, of those that are installed."""
    if row.kind != "rows":
        return
    yield "SciPy", lambda x: eval(row.elsewhere["SciPy"], {"scipy": scipy, "x": x, "axis": -1})
    if importlib.util.find_spec("torch"):
        import torch

        yield "torch", lambda x: eval(row.torch, {"torch": torch, "x": torch.from_numpy(x), "axis": -1}).numpy()


def row_errors(row, dtype, edges, function=None):
    """The largest error of the entries whose distance to their row's maximum, or minimum, lies in every interval."""
    function = function or getattr(fastsig, row.name)
    rng = np.random.default_rng(0)
    x = (rng.normal(0, 1, (4000, 100)) * rng.uniform(0.1, 30, (4000, 1))).astype(dtype)
    errors = oracle.ulp_error(function(x), oracle.along(row, x))
    x = oracle.upwards(row, x)
    below = np.digitize(x.max(axis=1, keepdims=True) - x, edges) - 1
    return np.array([errors[below == i].max(initial=0) for i in range(len(edges) - 1)])


def draw_error(row):
    """A function's errors in ULP beside the table's bounds."""
    figure, axes = panels(2.4)
    if row.kind != "rows":
        positive = np.geomspace(1e-2, 1e3, 80)
        edges = np.concatenate([-positive[::-1], [0], positive])
        measure = halves_errors if row.kind == "halves" else elementwise_errors
        axes.set_xscale("symlog", linthresh=1e-2, linscale=0.3)
        axes.set_xticks([-1e3, -10, -0.1, 0.1, 10, 1e3], ["-1000", "-10", "-0.1", "0.1", "10", "1000"])
    else:
        edges, measure = np.linspace(0, 80, 81), row_errors
    middle = (edges[:-1] + edges[1:]) / 2
    dtypes = ["float32", "float64"][: 1 + oracle.HAS_LONG_DOUBLE]  # float64 needs a wider type to compare with
    for dtype, bound, colour in zip(dtypes, row.max_ulp, COLOURS):
        axes.plot(middle, measure(row, dtype, edges), color=colour, linestyle="-", linewidth=1.2, label=dtype)
        axes.plot(middle, np.full_like(middle, bound), color=colour, linestyle=":", linewidth=1.5)
        for (name, peer), dashes in zip(peers_of(row), DASHES[1:]):
            errors = row_errors(row, dtype, edges, peer)
            axes.plot(middle, errors, color=colour, linestyle=dashes, linewidth=0.8, label=f"{name}, {dtype}")
    distance = "x - min(x)" if row.negates else "max(x) - x"
    axes.set(xlabel={"rows": distance, "halves": "b"}.get(row.kind, "x"), ylabel="largest error, ULP", ylim=(0, None))
    if row.kind == "rows":  # theirs grow
        axes.set_yscale("symlog", linthresh=4)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure


# -------------------------------------------------------------------------------- choosing an activation

VANISHING = 0.05  # shaded where a slope is below this: five such layers leave 3e-7 of a gradient
FOUR = {"sigmoid": {}, "tanh": {}, "relu": {}, "leaky_relu": {"negative_slope": 0.1}}
LABELS = {name: " ".join([name, *(f"({value})" for value in given.values())]) for name, given in FOUR.items()}


def draw_slopes():
    """Four functions with their slopes, shaded where learning stalls."""
    figure, axes = panels(4.0, 2, 2, sharex=True, sharey=True)
    x = np.linspace(-6, 6, 1201)
    for panel, (name, given) in zip(axes.flat, FOUR.items()):
        slope = getattr(fastsig.backward, name)(np.ones_like(x), x, **given)
        panel.fill_between(x, 0, 1, where=slope < VANISHING, transform=panel.get_xaxis_transform(), color=report.SHADE)
        panel.plot(x, getattr(fastsig, name)(x, **given), label="function")
        panel.plot(x, slope, label="slope")
        panel.set(title=LABELS[name], ylim=(-1.2, 2.2), xticks=range(-6, 7, 2))
    axes[0, 0].legend()
    return figure


def gradients_by_layer(name, given, layers=20, width=256):
    """The mean size of the gradient at every layer of a random network, first layer first, as a share of the last's."""
    rng = np.random.default_rng(0)
    gain = 2.0 if "relu" in name else 1.0  # He's initialisation, or Glorot's
    weights = rng.normal(0, np.sqrt(gain / width), (layers, width, width))
    activations, inputs = rng.normal(0, 1, (256, width)), []
    for matrix in weights:
        inputs.append(activations @ matrix)
        activations = getattr(fastsig, name)(inputs[-1], **given)
    gradient, sizes = rng.normal(0, 1, activations.shape), []
    for matrix, x in zip(weights[::-1], inputs[::-1]):
        gradient = getattr(fastsig.backward, name)(gradient, x, **given)
        sizes.append(np.abs(gradient).mean())
        gradient = gradient @ matrix.T
    return np.array(sizes[::-1]) / sizes[0]


def draw_depth():
    """Gradients through twenty layers."""
    figure, axes = panels(3.0)
    for name, given in FOUR.items():
        sizes = gradients_by_layer(name, given)
        axes.plot(range(1, 1 + len(sizes)), sizes, label=LABELS[name])
    axes.set(yscale="log", xlabel="layer", ylabel="gradient / last layer's", xticks=[1, 5, 10, 15, 20])
    axes.legend()
    return figure


def dead_units(name, given, steps=500, units=64, learning_rate=0.06):
    """At every step of a training that is too fast: the share of hidden units without a gradient for any of the data,
    and the loss."""
    rng = np.random.default_rng(0)
    x = np.linspace(-2, 2, 200)[:, None]
    target = np.sin(3 * x)
    first, bias = rng.normal(0, 1, (1, units)), rng.normal(0, 1, units)
    second, offset = rng.normal(0, np.sqrt(2 / units), (units, 1)), 0.0
    backward, dead, losses = getattr(fastsig.backward, name), [], []
    for _ in range(steps):
        inputs = x @ first + bias
        hidden = getattr(fastsig, name)(inputs, **given)
        error = hidden @ second + offset - target
        gradient = backward(2 * error @ second.T / len(x), inputs, **given)
        dead.append((backward(np.ones_like(inputs), inputs, **given) == 0).all(axis=0).mean())
        losses.append((error**2).mean())
        second -= learning_rate * hidden.T @ (2 * error / len(x))
        offset -= learning_rate * (2 * error).mean()
        first -= learning_rate * x.T @ gradient
        bias -= learning_rate * gradient.sum(axis=0)
    return np.array(dead), np.array(losses)


def draw_dying():
    """Units that die, and those that cannot."""
    figure, (left, right) = panels(2.5, 1, 2)
    for name in ("relu", "leaky_relu"):
        dead, losses = dead_units(name, FOUR[name])
        left.plot(100 * dead, label=LABELS[name])
        right.plot(losses)
    left.set(title="dead units, %", xlabel="training step", ylim=(-2, 102))
    right.set(title="loss", xlabel="training step", yscale="log")
    left.legend()
    return figure


def draw_outputs():
    """What sigmoid and softmax make of the same logits."""
    figure, axes = panels(2.4, 1, 2, sharey=True)
    logits = np.array([2.0, 1.0, 0.5, -1.5])
    results = {"sigmoid: each for itself": fastsig.sigmoid(logits), "softmax: together 1": fastsig.softmax(logits)}
    for panel, (title, heights), colour in zip(axes, results.items(), COLOURS):
        bars = panel.bar([f"{logit:g}" for logit in logits], heights, color=colour)
        panel.bar_label(bars, fmt="%.2f")
        panel.set(title=title, xlabel="logit", ylim=(0, 1.05), xmargin=0.05)
        panel.grid(axis="x", visible=False)
    return figure


# -------------------------------------------------------------------------------- all


def draw_all(folder):
    """Draw them all."""
    with mpl.rc_context(STYLE), np.errstate(all="ignore"):
        figures = {name: globals()[f"draw_{name}"]() for name in ("slopes", "depth", "dying", "outputs")}
        for row in TABLE:
            figures[row.name] = draw_function(row)
            if pages.has_error_picture(row):
                figures[f"{row.name}-error"] = draw_error(row)
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
