"""GPT-2's blocks in plain NumPy: causal attention by a mask, gelu, and the log-probabilities of the tokens that came.

    python examples/gpt2_blocks.py [--seed 0]

`log_probabilities` scores a text, as one does to compare models or to weight a policy gradient. The weights here are
random ones; a checkpoint's have the same names and shapes.
"""

import argparse

import numpy as np
from _race import race

import fastsig

WIDTH, HEADS, LAYERS, CONTEXT, VOCABULARY = 64, 4, 2, 128, 8000


def random_parameters(rng):
    """name: array, in float32, with the names of GPT-2's checkpoints."""
    linear = {
        "attn.c_attn": (WIDTH, 3 * WIDTH),
        "attn.c_proj": (WIDTH, WIDTH),
        "mlp.c_fc": (WIDTH, 4 * WIDTH),
        "mlp.c_proj": (4 * WIDTH, WIDTH),
    }
    norms = [f"h.{i}.ln_{k}" for i in range(LAYERS) for k in (1, 2)]
    shapes = {"wte.weight": (VOCABULARY, WIDTH), "wpe.weight": (CONTEXT, WIDTH)}
    for i in range(LAYERS):
        for name, shape in linear.items():
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[1:]}
    for name in [*norms, "ln_f"]:
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    return {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def linear(p, name, x):
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def layer_norm(p, name, x):
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(1e-5))
    return centred / scale * p[f"{name}.weight"] + p[f"{name}.bias"]


def attention_weights(scores):
    """Each place looks at itself and at what came before; the mask costs no copy of the scores."""
    return fastsig.softmax(scores, where=np.tri(scores.shape[-1], dtype=bool), out=scores)


def attention(p, name, x):
    """Of x with shape (batch, time, width)."""
    batch, time, _ = x.shape
    query, key, value = linear(p, f"{name}.c_attn", x).reshape(batch, time, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(WIDTH / HEADS))
    heads = attention_weights(scores) @ value
    return linear(p, f"{name}.c_proj", heads.swapaxes(1, 2).reshape(x.shape))


def logits(p, tokens):
    """Of the token that follows each of these, shape (batch, time, vocabulary)."""
    x = p["wte.weight"][tokens] + p["wpe.weight"][: tokens.shape[-1]]
    for i in range(LAYERS):
        x = x + attention(p, f"h.{i}.attn", layer_norm(p, f"h.{i}.ln_1", x))
        hidden = linear(p, f"h.{i}.mlp.c_fc", layer_norm(p, f"h.{i}.ln_2", x))
        x = x + linear(p, f"h.{i}.mlp.c_proj", fastsig.gelu(hidden, "tanh", out=hidden))
    return layer_norm(p, "ln_f", x) @ p["wte.weight"].T


def log_probabilities(p, tokens):
    """Of each token but the first, given those before it."""
    return -fastsig.cross_entropy(logits(p, tokens[:, :-1]), tokens[:, 1:])


def numpy_attention_weights(scores):
    causal = np.tri(scores.shape[-1], dtype=bool)
    e = np.exp(np.where(causal, scores, -np.inf) - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def numpy_chosen(scores, tokens):
    shifted = scores - scores.max(-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return np.take_along_axis(log_softmax, tokens[..., None], -1)[..., 0]


def chosen(scores, tokens):
    return -fastsig.cross_entropy(scores, tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of weights and tokens (default: %(default)s)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    parameters = random_parameters(rng)
    tokens = rng.integers(VOCABULARY, size=(2, CONTEXT))

    found = log_probabilities(parameters, tokens)
    print(f"{LAYERS} blocks, {tokens.shape[0]} texts of {CONTEXT} of {VOCABULARY} tokens, in {found.dtype}")
    print(f"  mean log-probability {found.mean():.4f}, perplexity {np.exp(-found.mean(dtype=float)):.0f}")
    print("NumPy's expressions -> fastsig")
    scores = rng.normal(0, 2, (2, HEADS, CONTEXT, CONTEXT)).astype(np.float32)
    theirs, ours = race("attention weights", numpy_attention_weights, lambda x: attention_weights(x.copy()), scores)
    print(f"  largest difference: {np.abs(theirs - ours).max():.1e}")
    scores = logits(parameters, tokens[:, :-1])
    theirs, ours = race("log-probabilities of the tokens", numpy_chosen, chosen, scores, tokens[:, 1:])
    print(f"  largest difference: {np.abs(theirs - ours).max():.1e}")


if __name__ == "__main__":
    main()
