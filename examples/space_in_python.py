"""A search space built in Python, written as YAML for the command line, and sampled."""

from pathlib import Path

import nas
from nas.space import RandomSuggester, dump_space
from nas.spec import Problem

space = nas.SearchSpace(
    {
        "depth": nas.Range(1, 4),
        "width": nas.Range(16, 128, log=True),
        "activation": ["relu", "gelu"],
        "optimizer": ["adam", "sgd"],
        "momentum": nas.parameter(nas.Range(0.0, 0.99), optimizer="sgd"),
        "learning_rate": nas.Range(1e-4, 1e-1, log=True),
        "epochs": 10,
    },
    name="mine",
    data="wine",
)

Path("mine.yaml").write_text(dump_space(space), encoding="utf-8")
print("Written: mine.yaml. Now: nas search --space mine.yaml --trials 20")

problem = Problem("multiclass", n_inputs=13, n_outputs=3)
for seed in range(3):
    spec = space.sample(RandomSuggester(seed), problem)
    print(f"{spec.describe()}: {spec.n_weights:,} weights")
