"""The tests, and what several of them share. Here alone: that the shared assertions tell what they compared, as those of test files do."""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.{name}" for name in ("cluster_lake", "demo_truth", "pings", "integration.flow", "spark.changes", "spark.gold", "spark.topics"))
)
