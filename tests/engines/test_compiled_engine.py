"""The compiled engine: the contract, and what is its own."""

import pytest

pytest.register_assert_rewrite("contract")

from contract import EngineContract  # noqa: E402

from nas.engines.compiled_engine import CompiledEngine  # noqa: E402


class TestCompiledEngine(EngineContract):
    engine_class = CompiledEngine
