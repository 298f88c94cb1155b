"""Where records come from, one folder for each kind of source. Here: which kind a contract has. Not here: what records mean (`silver`)."""

from lakehouse.contracts.model import Contract, FileSource, KafkaSource, PostgresSource
from lakehouse.sources.files import Files
from lakehouse.sources.postgres import Postgres
from lakehouse.sources.protocol import Source


def source_of(contract: Contract) -> Source:
    """The contract's source."""
    match contract.source:
        case FileSource() as files:
            return Files(contract, files)
        case KafkaSource() as kafka:
            from lakehouse.sources.kafka import Kafka  # here, since its client library is loaded only where there are topics

            return Kafka(contract, kafka)
        case PostgresSource() as postgres:
            return Postgres(contract, postgres)
