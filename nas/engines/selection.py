"""Which engine trains a network, and why."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from nas.choices import EngineName
from nas.encoding import FoldData
from nas.engines.lane_end import LookAtEnds
from nas.engines.lanes import Engine
from nas.engines.shapes import unsupported
from nas.engines.startup import start_jax, start_tensorflow
from nas.errors import NasError
from nas.families.suggestions import BuildModel
from nas.metrics import Metric
from nas.spec import TrialSpec


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
        build: The function that builds custom networks; see `nas.families.custom`. None where
            there are none.
        single_thread: Whether this process is to use one thread only.
        look_at_ends: See `CompiledEngine`; given where it has a GPU to itself, which TensorFlow
            must not see then. None on a processor.
    """

    def __init__(
        self,
        folds: Sequence[FoldData],
        metric: Metric,
        wanted: EngineName,
        build: BuildModel | None = None,
        single_thread: bool = False,
        look_at_ends: LookAtEnds | None = None,
    ) -> None:
        self._folds, self._metric, self._wanted = folds, metric, wanted
        self._build, self._single_thread = build, single_thread
        self._look_at_ends = look_at_ends
        self._made: dict[str, Engine] = {}

    def choose(self, spec: TrialSpec) -> Choice:
        """The engine for a network.

        Raises:
            NasError: When the compiled engine is wanted, and cannot train it, or a custom
                network's function is not at hand.
        """
        if self._wanted == "keras":
            return Choice(self._keras(), "asked for")
        reason = unsupported(spec)
        if not reason:
            asked = self._wanted == "compiled"
            return Choice(self._compiled(), "asked for" if asked else "dense network")
        if self._wanted == "compiled":
            raise NasError(
                "--engine", f"compiled cannot train this network: {reason}", fix="Use auto."
            )
        return Choice(self._keras(), reason)

    def _keras(self) -> Engine:
        if "keras" not in self._made:
            start_tensorflow(self._single_thread, without_gpu=self._look_at_ends is not None)
            from nas.engines.keras_engine import KerasEngine

            self._made["keras"] = KerasEngine(self._folds, self._metric, self._build)
        return self._made["keras"]

    def _compiled(self) -> Engine:
        if "compiled" not in self._made:
            start_jax()
            from nas.engines.compiled_engine import CompiledEngine, memory_of_device

            engine = partial(CompiledEngine, self._folds, self._metric)
            look = self._look_at_ends
            self._made["compiled"] = engine() if look is None else engine(memory_of_device(), look)
        return self._made["compiled"]
