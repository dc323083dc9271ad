"""What the before-and-after examples share: two ways to do the same, called in turn, by their least times."""

import time


def race(what, before, after, *arguments, rounds=7):
    """Call two functions with the same arguments, print the least time of each; what their last calls returned."""
    functions, times, results = (before, after), ([], []), [before(*arguments), after(*arguments)]
    for _ in range(rounds):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            results[i] = function(*arguments)
            times[i].append(time.perf_counter() - start)
    one, other = (min(each) * 1e3 for each in times)
    print(f"  {what:<56} {one:9.3f} ms -> {other:9.3f} ms  {one / other:6.2f} times as fast")
    return results
