"""The names that people choose among; light to import, for the command line."""

from typing import Literal

Task = Literal["binary", "multiclass", "regression"]
# Of numbers: to mean 0 and deviation 1; by quartiles, with outliers drawn in; to a normal
# distribution; from minimum and maximum to [0, 1] or to [-1, 1]; or none.
Scaling = Literal["standard", "robust", "quantile", "unit", "symmetric", "none"]
# Of the target of a regression: itself or its logarithms, to mean 0 and deviation 1.
TargetScaling = Literal["standard", "log"]
ClassWeight = Literal["none", "balanced"]
SamplerName = Literal["tpe", "random", "grid", "qmc", "cmaes", "gp"]
PrunerName = Literal["racing", "halving", "median", "none"]
StopName = Literal["auto", "never"]
EngineName = Literal["auto", "compiled", "keras"]
ReportFormat = Literal["html", "md"]
# The networks of the winner, one for each fold; or those of so many of the best trials.
Ensemble = Literal["folds"] | int
