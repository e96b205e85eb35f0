"""Which parameters mattered: two of Optuna's evaluators, with what each rests on."""

from dataclasses import dataclass

import optuna
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from nas.analysis.levels import searched_parameters
from nas.errors import NasError
from nas.seeds import derive_seed
from nas.study.record import study_record
from nas.wording import counted

MIN_COMPLETE_TRIALS = 5
# fANOVA's time grows with the square of the trials while its trees may be as deep as they like: a
# minute for 1,000 trials of 18 parameters. Trees of depth 6 take a second, and their shares differ
# as little as those of another seed; fewer trees, or a sample of the trials, do worse.
MAX_VALUES = 1500  # of parameters in complete trials, beyond which the trees are shallow
DEEP, SHALLOW = 64, 6


@dataclass(frozen=True)
class Importance:
    """Shares of importance, by evaluator and parameter.

    Attributes:
        study: Name of the study.
        shares: `{evaluator: {parameter: share}}`; an evaluator's shares sum to 1.
        left_out: Parameters that an evaluator does not assess, with the reason.
        n_complete: Complete trials, on which both rest.
        n_left_out: Pruned and failed trials, which neither sees.
    """

    study: str
    shares: dict[str, dict[str, float]]
    left_out: dict[str, dict[str, str]]
    n_complete: int
    n_left_out: int


def importance(study: optuna.Study, seed: int = 0) -> Importance:
    """Assesses every searched parameter with fANOVA and PED-ANOVA.

    fANOVA (Hutter et al. 2014, ICML) fits a forest and decomposes its variance over the whole
    space; PED-ANOVA (Watanabe et al. 2023, IJCAI) compares the best tenth of the trials with the
    rest, and so says what mattered among good ones. With more than `MAX_VALUES` values fANOVA's
    trees are shallow, so that it answers within seconds.

    Raises:
        NasError: When there are too few complete trials, or nothing varies.
    """
    record = study_record(study)
    n_complete = len(record.complete)
    if n_complete < MIN_COMPLETE_TRIALS:
        raise NasError(
            record.name,
            counted(n_complete, "complete trial"),
            f"at least {MIN_COMPLETE_TRIALS} to tell importance",
            "Run 'nas search' for more trials, or with --pruner none.",
        )
    searched = searched_parameters(record)
    everywhere = [
        name for name in searched if all(name in trial.params for trial in record.complete)
    ]
    values = {trial.value for trial in record.complete}
    if not searched or len(values) == 1:
        raise NasError(
            record.name,
            "nothing differs between the trials",
            "trials with different parameters and scores",
        )
    depth = DEEP if n_complete * len(everywhere) <= MAX_VALUES else SHALLOW
    shares: dict[str, dict[str, float]] = {}
    left_out: dict[str, dict[str, str]] = {}
    fanova = FanovaImportanceEvaluator(seed=derive_seed("importance", seed), max_depth=depth)
    for name, evaluator, parameters in (
        ("fanova", fanova, everywhere),
        ("ped_anova", PedAnovaImportanceEvaluator(), searched),
    ):
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, params=parameters
        )
        shares[name] = {key: float(share) for key, share in found.items()}
        left_out[name] = {
            key: "conditional: not in every complete trial"
            for key in searched
            if key not in shares[name]
        }
    return Importance(record.name, shares, left_out, n_complete, len(record.counted) - n_complete)


def ranked_parameters(importance: Importance) -> list[str]:
    """All assessed parameters, the most important by any evaluator first."""
    top: dict[str, float] = {}
    for shares in importance.shares.values():
        for name, share in shares.items():
            top[name] = max(share, top.get(name, 0.0))
    return sorted(top, key=lambda name: -top[name])


def rests_on(importance: Importance) -> str:
    """What the shares rest on, in a sentence."""
    left_out = importance.n_left_out
    ones = "one is" if left_out == 1 else "ones are"
    return (
        f"From {counted(importance.n_complete, 'complete trial')}; "
        f"{left_out} pruned or failed {ones} left out."
    )
