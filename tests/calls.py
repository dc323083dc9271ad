"""Every function in every way to call it that has code of its own, for tests that care how a call ends rather than
what it computes. Needs no other package than NumPy, so that a new interpreter can import it."""

import numpy as np

from fastsig._catalog import TABLE, expanded


def calls(package, shape, dtype="float32", seed=0):
    """{name: a function without arguments that gives a list of arrays, the same ones at every call}."""
    rng = np.random.default_rng(seed)
    x, grad, weights = (rng.normal(0, 9, shape).astype(dtype) for _ in range(3))
    mask, whole = rng.random(shape) < 0.7, rng.integers(-9, 9, shape)
    found = {}

    def add(name, function, *arguments, **keywords):
        def call():
            result = function(*arguments, **keywords)
            return list(result) if isinstance(result, tuple) else [np.asarray(result)]

        found[name] = call

    def add_into(name, function, *arguments, **keywords):
        def call():
            out = np.full_like(x, 77)
            function(*arguments, out=out, **keywords)
            return [out]

        found[name] = call

    for row in TABLE:
        function, gradient = getattr(package, row.name), getattr(package.backward, row.name)
        if row.kind == "loss":
            for axis in (-1, 0):
                rows = x[..., 0] if axis == -1 else x[0]
                target = rng.integers(0, x.shape[axis], rows.shape)
                shares = np.abs(x) / np.abs(x).sum(axis, keepdims=True)
                for name, given, options in (
                    ("classes", target, {}),
                    ("masked", target, {"where": mask}),
                    ("smoothed", target, {"label_smoothing": 0.1, "ignore_index": 0}),
                    ("shares", shares, {}),
                ):
                    add(f"{row.name} {axis} {name}", function, x, given, axis, **options)
                    add(f"{row.name} {axis} {name} backward", gradient, rows, x, given, axis, **options)
            continue
        if row.kind == "halves":
            for axis in (axis for axis in (-1, 0) if x.shape[axis] % 2 == 0):
                add(f"{row.name} {axis}", function, x, axis)
                add(f"{row.name} {axis} typed", function, x, axis, dtype=dtype)
                of_result = np.split(grad, 2, axis)[0]
                add(f"{row.name} {axis} backward", gradient, of_result, x, axis)
                add(f"{row.name} {axis} backward of a number", gradient, 2.0, x, axis)
            continue
        if row.operands:
            given, few = [np.abs(grad) / 40] * len(row.operands), [0.25] * len(row.operands)
            add(row.name, function, x, *given)
            add(f"{row.name} strided", function, x[:, ::2], *(each[:, ::2] for each in given))
            add(f"{row.name} integers", function, whole, *given)
            add(f"{row.name} of numbers", function, x, *few)
            add_into(f"{row.name} masked", function, x, *given, where=mask)
            add(f"{row.name} backward", gradient, grad, x, *given)
            number = getattr(package.scalar, row.name)
            add(f"{row.name} scalar", lambda f=number, few=few: [f(value, *few) for value in (-1.5, 0.25, 7)])
            continue
        if row.kind == "elementwise":
            for name, variant in expanded(row):
                word = {variant.choice.name: variant.choice.default} if variant.choice else {}
                add(name, function, x, **word)
                add(f"{name} strided", function, x[:, ::2], **word)
                add(f"{name} integers", function, whole, **word)
                add_into(f"{name} into", function, x, **word)
                add_into(f"{name} masked", function, x, where=mask, **word)
                add(f"{name} backward", gradient, grad, x, **word)
                number = getattr(package.scalar, row.name)
                add(f"{name} scalar", lambda f=number, word=word: [f(value, **word) for value in (-1.5, 0.25, 7)])
            if row.parameters:
                parameters = [np.full(shape[-1], parameter.default, dtype) for parameter in row.parameters]
                add(f"{row.name} parameters", function, x, *parameters)
                add(f"{row.name} parameters backward", gradient, grad, x, *parameters)
            continue
        for axis in (-1, 0, None, (1, 0)):
            name = f"{row.name} {axis}"
            add(name, function, x, axis)
            add(f"{name} where", function, x, axis, where=mask)
            if row.kind == "rows":
                add_into(f"{name} into", function, x, axis)
                add(f"{name} backward", gradient, grad, x, axis)
                add(f"{name} backward where", gradient, grad, x, axis, where=mask)
                (parameter,) = row.parameters
                numbers = {"number": 0.7}
                if isinstance(axis, int):
                    numbers["numbers"] = rng.uniform(0.5, 2, np.delete(shape, axis))
                for word, number in numbers.items():
                    given = {parameter.name: number}
                    add(f"{name} {word}", function, x, axis, **given)
                    add(f"{name} {word} where", function, x, axis, where=mask, **given)
                    add(f"{name} {word} backward", gradient, grad, x, axis, **given)
            else:
                add(f"{name} weights", function, x, axis, weights, return_sign=True, keepdims=True)
                add(f"{name} backward", gradient, 2.0, x, axis)
    return found


def results(work):
    return {name: call() for name, call in work.items()}


def same(got, expected):
    """To the bit, NaNs included."""
    return len(got) == len(expected) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(got, expected)
    )


if __name__ == "__main__":  # for tools that watch a program
    import fastsig

    fastsig.set_num_threads(2)
    for shape in ((1, 1), (3, 40), (70, 5), (20, 600), (40, 2000)):
        for dtype in ("float16", "float32", "float64"):
            for call in calls(fastsig, shape, dtype).values():
                call()
