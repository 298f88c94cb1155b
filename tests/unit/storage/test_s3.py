"""What the three clients of an object store are told, and what settings name one; no server is asked."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lakehouse.engine.config import engine_config
from lakehouse.settings import Settings
from lakehouse.storage import s3

OWN = {"s3_endpoint": "http://127.0.0.1:9000", "warehouse": "s3://lake/warehouse"}


def test_a_lake_on_an_object_store_is_known_by_sparks_name_for_it() -> None:
    assert Settings(**OWN).warehouse == "s3a://lake/warehouse"


def test_an_endpoint_means_path_style_and_a_region_unless_told_otherwise() -> None:
    chosen = Settings(**OWN)
    assert (chosen.s3_path_style, chosen.s3_region) == (True, "us-east-1")
    assert Settings(**OWN, s3_path_style=False, s3_region="eu-central-1").s3_path_style is False


@pytest.mark.parametrize("endpoint", ["minio:9000", "http://key:secret@host:9000", "http://host/bucket", "ftp://host"])
def test_an_endpoint_is_a_host_and_holds_no_key(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="AWS_ACCESS_KEY_ID"):
        Settings(s3_endpoint=endpoint)


def test_a_bucket_on_aws_needs_its_region() -> None:
    with pytest.raises(ValidationError, match="LAKEHOUSE_S3_REGION"):
        Settings(landing="s3a://lake/landing")


def test_all_three_clients_are_told_the_same() -> None:
    chosen = Settings(**OWN)
    spark, delta, fs = s3.spark_conf(chosen), s3.delta_options(chosen), s3.fsspec_options(chosen)
    assert spark["fs.s3a.endpoint"] == delta["aws_endpoint"] == fs["endpoint_url"] == "http://127.0.0.1:9000"
    assert spark["fs.s3a.endpoint.region"] == delta["aws_region"] == fs["client_kwargs"]["region_name"] == "us-east-1"
    assert (spark["fs.s3a.path.style.access"], delta["aws_virtual_hosted_style_request"]) == ("true", "false")
    assert fs["config_kwargs"]["s3"] == {"addressing_style": "path"}


def test_keys_are_in_nothing_that_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    chosen = Settings(**OWN)
    told = repr((chosen, engine_config(chosen), s3.spark_conf(chosen), s3.delta_options(chosen), s3.fsspec_options(chosen)))
    assert "the-key" not in told
    assert "the-secret" not in told


def test_only_a_lake_that_names_an_object_store_needs_its_jars_and_all_share_one_cache() -> None:
    with_s3, without = engine_config(Settings(**OWN)), engine_config(Settings())
    assert with_s3.further
    assert not without.further
    assert with_s3.aot_key() == without.aot_key()
    assert with_s3.fingerprint() != without.fingerprint()


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (FileNotFoundError("The specified bucket does not exist"), "there is no bucket lake"),
        (PermissionError("The access key ID you provided does not exist in our records."), "does not know the access key"),
        (PermissionError("Access Denied"), "may not do this"),
        (OSError("Generic S3 error: Server returned non-2xx status code: 503 Service Unavailable"), "too busy"),
        (OSError("Generic S3 error: error sending request: client error (Connect)"), "nobody answers"),
        (OSError("Generic S3 error: error sending request: client error (Connect): invalid peer certificate: UnknownIssuer"), "authority"),
        (OSError("SSL validation failed for https://s3/lake: [SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate"), "authority"),
        (
            OSError("s3a: (certificate_unknown) PKIX path building failed\n\tat org.apache.spark.sql.execution.QueryExecution$.withInternalError(Q.scala:872)"),
            "authority",
        ),
        (OSError("s3a: (internal_error) InvalidAlgorithmParameterException: the trustAnchors parameter must be non-empty"), "authority"),
        (OSError("An error occurred (InternalError) when calling the PutObject operation"), "may be full"),
    ],
)
def test_an_answer_is_told_with_its_meaning(error: OSError, means: str) -> None:
    found = s3.explain("s3a://lake/warehouse/gold/t", error, Settings(**OWN))
    assert found is not None
    assert means in str(found)
    assert found.next_step


def test_a_file_that_is_not_there_is_no_trouble_of_the_store() -> None:
    assert s3.explain("s3a://lake/x", FileNotFoundError("lake/x"), Settings(**OWN)) is None
