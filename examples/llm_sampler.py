"""A language model's sampler in NumPy: temperature, top-k and top-p over 128k logits.

    python examples/llm_sampler.py [--seed 0]

`sample` is all there is to copy. Most of a plain sampler's time goes into sorting the whole vocabulary; here only
tokens that can be in the nucleus are sorted, which leaves the softmax.
"""

import argparse

import numpy as np
from _race import race

import fastsig

VOCABULARY = 128_256


def sample(logits, rng, temperature=0.8, top_k=None, top_p=0.95):
    """The next token's number, drawn from the `top_k` likeliest and of these from the fewest that have `top_p`."""
    if temperature == 0:
        return int(logits.argmax())
    tokens = None
    if top_k is not None and top_k < logits.size:
        tokens = np.argpartition(logits, -top_k)[-top_k:]
        logits = logits[tokens]
    probabilities = fastsig.softmax(logits, temperature=temperature)
    # The tokens below this have less than 1 - top_p among them all: none of these is in the nucleus.
    likely = np.flatnonzero(probabilities >= (1 - top_p) / probabilities.size)
    likely = likely[np.argsort(-probabilities[likely], kind="stable")]
    cumulative = probabilities[likely].cumsum(dtype=float)
    nucleus = cumulative[: cumulative.searchsorted(top_p) + 1]
    drawn = likely[nucleus.searchsorted(rng.random() * nucleus[-1], side="right")]
    return int(drawn if tokens is None else tokens[drawn])


def sample_sorted(logits, rng, temperature=0.8, top_k=None, top_p=0.95):
    """The same as it is often written: all of the vocabulary sorted, and NumPy's expression for a softmax."""
    order = np.argsort(-logits, kind="stable")[:top_k]
    probabilities = numpy_softmax(logits[order] / np.float32(temperature))
    cumulative = probabilities.cumsum(dtype=float)
    nucleus = cumulative[: cumulative.searchsorted(top_p) + 1]
    return int(order[nucleus.searchsorted(rng.random() * nucleus[-1], side="right")])


def numpy_softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def made_up_logits(rng):
    """Some likely tokens above many unlikely ones, as a language model gives them."""
    logits = rng.normal(0, 2, VOCABULARY).astype(np.float32)
    logits[rng.choice(VOCABULARY, 40, replace=False)] += rng.normal(12, 2, 40).astype(np.float32)
    return logits


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of logits and draws (default: %(default)s)")
    arguments = parser.parse_args()
    logits = made_up_logits(np.random.default_rng(arguments.seed))

    print(f"One step over {VOCABULARY} logits")
    race("softmax alone: NumPy -> fastsig", numpy_softmax, fastsig.softmax, logits)
    for top_k in (None, 50):
        label = f"sampler, top-p 0.95{f' and top-k {top_k}' if top_k else ''}"
        race(
            f"{label}: sorted -> as here", sample_sorted, sample, logits, np.random.default_rng(0), 0.8, top_k, rounds=3
        )

    draws = []
    for function in (sample_sorted, sample):
        rng = np.random.default_rng(arguments.seed)
        draws.append([function(logits, rng) for _ in range(100)])
    print(
        f"  {np.mean(np.equal(*draws)):.0%} of 100 tokens are the same, {len(set(draws[1]))} different ones among them"
    )


if __name__ == "__main__":
    main()
