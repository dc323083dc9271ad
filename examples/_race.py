"""What the before-and-after examples share: two ways to do the same, called in turn, by their least times."""

import time


def duration(seconds):
    """Three digits, in milliseconds or microseconds."""
    value, unit = (seconds * 1e3, "ms") if seconds >= 1e-3 else (seconds * 1e6, "µs")
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def race(what, before, after, *arguments, rounds=7):
    """Call two functions with the same arguments, print the least time of each; what their last calls returned."""
    functions, times, results = (before, after), ([], []), [before(*arguments), after(*arguments)]
    for _ in range(rounds):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            results[i] = function(*arguments)
            times[i].append(time.perf_counter() - start)
    one, other = map(min, times)
    print(f"  {what:<56} {duration(one):>10} -> {duration(other):>10}  {one / other:6.2f} times as fast")
    return results
