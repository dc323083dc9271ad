"""The examples run with the packages they are about, and what they print of equal results holds."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import PACKAGE

from fastsig import _backend

EXAMPLES = PACKAGE.parent / "examples"


def python(*arguments):
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=180)


def run(name, *arguments):
    """What an example printed."""
    done = python(str(EXAMPLES / name), *arguments)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    print(done.stdout)
    return done.stdout


def differences(printed):
    return [float(number) for number in re.findall(r"difference.*[: ](\d\S*e[+-]\d+)", printed)]


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("dask_softmax.py", "dask"),
        ("sklearn_drop_in.py", "sklearn"),
        ("boosted_margins.py", "xgboost"),
        ("boosted_margins.py", "lightgbm"),
        ("boosting_objective.py", "xgboost"),
        ("boosting_objective.py", "lightgbm"),
        ("keras_numpy.py", "keras"),
        ("compiled_callers.py", "numba"),
        ("logsumexp_swap.py", "hmmlearn"),
        ("onnxruntime_logits.py", "onnxruntime"),
    ],
)
def test_a_package_is_missing(name, needed):
    folder, path = str(EXAMPLES), str(EXAMPLES / name)
    code = (
        f"import runpy, sys; sys.modules[{needed!r}] = None; sys.path.insert(0, {folder!r}); runpy.run_path({path!r})"
    )
    done = python("-c", code)
    assert done.returncode == 1
    assert re.fullmatch(rf"This example needs {needed}[.\w]*: pip install 'fastsig-ufuncs\[\w+\]'\n", done.stderr)


def test_dask_softmax():
    """A store that is larger than the memory of its one worker, which stays within it."""
    printed = run("dask_softmax.py", "--megabytes", "300", "--workers", "1")
    assert "threads of fastsig in a worker  {1}" in printed
    (stored,), (peak,) = re.findall(r"(\d+) MB of logits", printed), re.findall(r"peak memory.* (\d+) MB", printed)
    assert int(stored) > 256 > int(peak)
    assert max(differences(printed)) < 1e-5


@pytest.mark.skipif(not _backend.threads, reason="cython_api needs compiled kernels")
def test_compiled_callers():
    """numba's code and quad's call the kernels, with an array's bits."""
    printed = run("compiled_callers.py")
    assert "has the bits of arrays: True" in printed
    assert len(differences(printed)) == 6 and max(differences(printed)) < 1e-13


def test_logsumexp_swap(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    printed = run("logsumexp_swap.py")
    assert len(differences(printed)) == 5 and max(differences(printed)) < 1e-9


def test_llm_sampler():
    printed = run("llm_sampler.py")
    assert "100% of 100 tokens are the same" in printed
    assert len(re.findall("times as fast", printed)) == 3


@pytest.fixture
def llm_sampler(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import llm_sampler

    return llm_sampler


@pytest.mark.parametrize("top_k", [None, 1, 5, 50, 10**6])
@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("temperature", [0.2, 1, 3])
def test_sampler_selects_what_sorting_would(llm_sampler, top_k, top_p, temperature):
    """The same token for the same random number, flat distributions included."""
    rng = np.random.default_rng(0)
    for spread in (0.01, 1, 6):
        logits = rng.normal(0, spread, 2000).astype(np.float32)
        for seed in range(20):
            tokens = [
                function(logits, np.random.default_rng(seed), temperature, top_k, top_p)
                for function in (llm_sampler.sample_sorted, llm_sampler.sample)
            ]
            assert tokens[0] == tokens[1]


def test_sampler_frequencies(llm_sampler):
    """Tokens come as often as their probabilities say; no temperature is the likeliest one."""
    logits, rng = np.log(np.array([0.1, 0.4, 0.3, 0.15, 0.05], np.float32)), np.random.default_rng(0)
    drawn = np.bincount([llm_sampler.sample(logits, rng, 1, None, 0.8) for _ in range(5000)], minlength=5) / 5000
    np.testing.assert_allclose(drawn, np.array([0, 0.4, 0.3, 0.15, 0]) / 0.85, atol=0.03)
    drawn = np.bincount([llm_sampler.sample(logits, rng, 1, 2, 1.0) for _ in range(5000)], minlength=5) / 5000
    np.testing.assert_allclose(drawn, np.array([0, 0.4, 0.3, 0, 0]) / 0.7, atol=0.03)
    assert llm_sampler.sample(logits, rng, 0) == 1


def test_sklearn_drop_in():
    printed = run("sklearn_drop_in.py")
    found = differences(printed)
    assert len(found) == 7
    assert max(found) < 1e-6


def test_boosted_margins():
    printed = run("boosted_margins.py")
    found = differences(printed)
    assert len(found) == 4
    assert max(found) < 1e-6


def test_boosting_objective():
    """As the packages' own objectives: the same trees, and margins that differ by what float32 rounds."""
    found = differences(run("boosting_objective.py"))
    assert len(found) == 4
    assert max(found) < 5e-6


def test_gpt2_blocks():
    found = differences(run("gpt2_blocks.py"))
    assert len(found) == 2
    assert max(found) < 1e-5


def test_gpt2_blocks_in_torch(monkeypatch):
    """The same model, in float64, of torch's functions; its weights are normal(0, 0.2) all of them, norms' included."""
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(EXAMPLES)
    import gpt2_blocks as example

    rng = np.random.default_rng(1)
    arrays = {name: array.astype(float) for name, array in example.random_parameters(rng).items()}
    p = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tokens = rng.integers(example.VOCABULARY, size=(3, 20))

    def linear(name, x):
        return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

    def norm(name, x):
        return torch.nn.functional.layer_norm(x, (example.WIDTH,), p[f"{name}.weight"], p[f"{name}.bias"])

    x = p["wte.weight"][tokens[:, :-1]] + p["wpe.weight"][:19]
    for i in range(example.LAYERS):
        three = linear(f"h.{i}.attn.c_attn", norm(f"h.{i}.ln_1", x)).split(example.WIDTH, -1)
        query, key, value = (part.reshape(3, 19, example.HEADS, -1).transpose(1, 2) for part in three)
        heads = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + linear(f"h.{i}.attn.c_proj", heads.transpose(1, 2).reshape(x.shape))
        hidden = torch.nn.functional.gelu(linear(f"h.{i}.mlp.c_fc", norm(f"h.{i}.ln_2", x)), approximate="tanh")
        x = x + linear(f"h.{i}.mlp.c_proj", hidden)
    logits = norm("ln_f", x) @ p["wte.weight"].T
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), torch.from_numpy(tokens[:, 1:]), reduction="none")
    np.testing.assert_allclose(example.log_probabilities(arrays, tokens), -loss.numpy(), rtol=1e-6)


def test_keras_numpy():
    printed = run("keras_numpy.py")
    assert "on numpy, 17 functions swapped" in printed
    found = differences(printed)
    assert len(found) == 6
    assert max(found) < 2e-6


def test_onnxruntime_logits():
    printed = run("onnxruntime_logits.py")
    found = [*differences(printed), *map(float, re.findall(r"predict_proba: (\S+)", printed))]
    assert len(found) == 3
    assert max(found) < 1e-6
