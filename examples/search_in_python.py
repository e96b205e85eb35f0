"""A search on a table in Python, from the space to predictions.

Usage: search_in_python.py TABLE TARGET
"""

import sys

import nas

table, target = sys.argv[1:]
space = {
    "depth": nas.Range(1, 3),
    "width": [16, 64],
    "learning_rate": nas.Range(1e-3, 1e-1, log=True),
    "epochs": 5,
}
study = nas.search(space, table, target, trials=10, folds=3, name="example")

best = study.best
print(f"{best.network}: {best.value:.3f} over the folds")
if best.test_value is not None:
    print(f"{best.test_value:.3f} on rows that the search never used")

# The effect of depth, with the other parameters averaged out.
for level in study.explain("depth").effects[0].levels:
    print(f"depth {level.label}: {level.n_complete} trials, best {level.best}")

# One network of your own choice, trained on the same folds and diagnosed.
chosen = nas.train(space, name="example", depth=1, activation="sigmoid")
print(chosen.diagnosis.summary)

# A study is kept in a database, and can be loaded later by its name.
print(nas.load("example").predict(table)[:5])
