"""How assets, checks and sensors reach Spark and the tables' metadata: dagster-pyspark's and dagster-deltalake's resources, pointed at the lake.

Nothing is started or opened before it is asked for. Not here: what they are used for.
"""

from __future__ import annotations

from typing import Any, cast

import dagster as dg
from dagster_deltalake import DeltaTableResource, LocalConfig, S3Config
from dagster_deltalake.config import ClientConfig
from dagster_pyspark import LazyPySparkResource
from deltalake import DeltaTable

from lakehouse.engine.session import compile_for, connect
from lakehouse.orphans import PROCESS, this_process
from lakehouse.settings import settings
from lakehouse.storage.s3 import is_s3
from lakehouse.tables import Table


class SparkEngine(LazyPySparkResource):
    """A Spark Connect session on the lake's engine, opened (and the engine started) when first asked for, closed with the run."""

    spark_config: dict[str, Any] = {}

    @property
    def spark_session(self) -> Any:
        """The run's session."""
        if self._spark_session is None:
            session = connect()
            self._spark_session = cast(Any, session)
            compile_for(session, 0)  # until a step knows better: most of a run's queries are over logs
        return self._spark_session

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Have the run say which process it is, so that it can be ended when that was killed."""
        if context.instance is not None and context.run is not None and PROCESS not in context.run.tags:
            context.instance.add_run_tags(context.run.run_id, this_process())

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the session, where one was opened."""
        if self._spark_session is not None:
            self._spark_session.stop()
            self._spark_session = None


class TableMetadata(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Versions, schemas and file statistics of the lake's tables, read from their logs without Spark."""

    def load(self, table: Table) -> DeltaTable:
        """The table at its newest version. Raises when there is none."""
        chosen, url = settings(), table.location(settings().warehouse)
        if not is_s3(url):
            return DeltaTableResource(url=url, storage_options=LocalConfig()).load()
        bucket_in_host = str(not chosen.s3_path_style).lower()
        store = S3Config(endpoint=chosen.s3_endpoint or None, region=chosen.s3_region, virtual_hosted_style_request=bucket_in_host)
        return DeltaTableResource(url=url, storage_options=store, client_options=ClientConfig(allow_http=True)).load()


RESOURCES: dict[str, Any] = {"spark": SparkEngine(), "tables": TableMetadata()}
