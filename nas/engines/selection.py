"""Which engine trains a network, and why."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from nas.encoding import FoldData
from nas.engines.base import Engine
from nas.engines.compiled_engine import CompiledEngine, unsupported
from nas.engines.keras_engine import KerasEngine
from nas.errors import NasError
from nas.metrics import Metric
from nas.spec import TrialSpec

EngineName = Literal["auto", "compiled", "keras"]


class Choice(NamedTuple):
    """An engine, and why it is this one."""

    engine: Engine
    reason: str


class Selection:
    """The engines for some folds, each made when it is first chosen.

    Args:
        folds: Encoded folds.
        metric: What they are scored by.
        wanted: An engine's name, or `auto` for the compiled one wherever it can.
    """

    def __init__(self, folds: Sequence[FoldData], metric: Metric, wanted: EngineName) -> None:
        self._folds, self._metric, self._wanted = folds, metric, wanted
        self._made: dict[type[Engine], Engine] = {}

    def choose(self, spec: TrialSpec) -> Choice:
        """The engine for a network.

        Raises:
            NasError: When the compiled engine is wanted, and cannot train it.
        """
        if self._wanted == "keras":
            return Choice(self._engine(KerasEngine), "asked for")
        reason = unsupported(spec)
        if not reason:
            asked = self._wanted == "compiled"
            return Choice(self._engine(CompiledEngine), "asked for" if asked else "dense network")
        if self._wanted == "compiled":
            raise NasError(
                "--engine", f"compiled cannot train this network: {reason}", fix="Use auto."
            )
        return Choice(self._engine(KerasEngine), reason)

    def _engine(self, engine_class: type[Engine]) -> Engine:
        if engine_class not in self._made:
            self._made[engine_class] = engine_class(self._folds, self._metric)
        return self._made[engine_class]
