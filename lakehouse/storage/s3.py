"""The S3 API: what each of its three clients (Spark's s3a, delta-rs, s3fs) is told, and what its errors mean.

Each takes credentials from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`) or the machine's role by itself:
they are in no option here, so in no file, log or commit. Not here: who reads what (`storage`, `engine`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.errors import StorageError

if TYPE_CHECKING:  # see `lakehouse.storage`
    from lakehouse.settings import Settings

SCHEMES = ("s3a://", "s3://")
CONNECT_SECONDS, ANSWER_SECONDS = 5, 30
_TRIES = 4


def is_s3(url: str) -> bool:
    """Whether it lies in an object store."""
    return url.startswith(SCHEMES)


def bucket_of(url: str) -> str:
    """The bucket of a URL."""
    return url.partition("://")[2].partition("/")[0]


def fsspec_options(chosen: Settings) -> dict[str, Any]:
    """For `s3fs`. Listings are never answered from memory: other processes write."""
    style = "path" if chosen.s3_path_style else "auto"
    patience = {"connect_timeout": CONNECT_SECONDS, "read_timeout": ANSWER_SECONDS, "retries": {"max_attempts": 2, "mode": "standard"}}  # s3fs tries again, too
    return {
        "endpoint_url": chosen.s3_endpoint or None,
        "client_kwargs": {"region_name": chosen.s3_region},
        "config_kwargs": {"s3": {"addressing_style": style}, **patience},
        "use_listings_cache": False,
    }


def delta_options(chosen: Settings) -> dict[str, str]:
    """For delta-rs."""
    own = {"aws_endpoint": chosen.s3_endpoint, "aws_allow_http": "true"} if chosen.s3_endpoint else {}
    patience = {"connect_timeout": f"{CONNECT_SECONDS}s", "timeout": f"{ANSWER_SECONDS}s", "max_retries": str(_TRIES), "retry_timeout": "60s"}
    return {**own, **patience, "aws_region": chosen.s3_region, "aws_virtual_hosted_style_request": str(not chosen.s3_path_style).lower()}


def spark_conf(chosen: Settings) -> dict[str, str]:
    """For the engine and its executors."""
    return {
        **({"fs.s3a.endpoint": chosen.s3_endpoint} if chosen.s3_endpoint else {}),
        "fs.s3a.endpoint.region": chosen.s3_region,
        "fs.s3a.path.style.access": str(chosen.s3_path_style).lower(),
        # The defaults wait minutes for a server that went away. These ride out half a minute of it, and throttling for longer.
        "fs.s3a.connection.establish.timeout": "15s",  # it takes no less
        "fs.s3a.connection.timeout": f"{ANSWER_SECONDS}s",
        "fs.s3a.attempts.maximum": str(_TRIES),
        "fs.s3a.retry.limit": "6",
        "fs.s3a.retry.interval": "500ms",
        "fs.s3a.connection.maximum": "200",
    }


@dataclass(frozen=True)
class _Said:
    """Words by which an answer is known, what it means, and what to do."""

    words: tuple[str, ...]
    means: str
    mend: str


_ANSWERS = (
    _Said(("NoSuchBucket", "bucket does not exist"), "there is no bucket {bucket}", "Make the bucket, or correct LAKEHOUSE_WAREHOUSE and LAKEHOUSE_LANDING."),
    _Said(
        (
            "NoCredentials",
            "Unable to locate credentials",
            "Unable to load credentials",
            "credential provider",
            "No AWS Credentials",
            "PartialCredentials",
            "169.254.169.254",
        ),
        "there are no credentials",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role; then, where the engine runs: lakehouse engine stop",
    ),
    _Said(
        ("RequestTimeTooSkewed", "difference between the request time"),
        "this machine's clock and the server's differ by more than it takes",
        "Set the clock (NTP).",
    ),
    _Said(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "access key ID you provided", "signature we calculated", "InvalidToken", "ExpiredToken"),
        "it does not know the access key, or the secret does not fit",
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN); then, where the engine runs: lakehouse engine stop",
    ),
    _Said(
        ("AccessDenied", "Forbidden", "Access Denied"),
        "the access key may not do this",
        "Give it the right to list, read, write and delete in {bucket}.",
    ),
    _Said(
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "301 Moved"), "the bucket is in another region", "Set LAKEHOUSE_S3_REGION to the bucket's region."
    ),
    _Said(
        (
            "SlowDown",
            "ServiceUnavailable",
            "Service Unavailable",
            "reduce your request rate",
            # By itself the word is in the trace of any of Spark's errors (`withInternalError`).
            "(InternalError)",
            ":InternalError",
            ">InternalError<",
            "Internal Server Error",
            "Bad Gateway",
            "Gateway Time",
        ),
        "it was too busy, again and again",
        "Run the same command again when it is well. Should it stay so, it may be full: some servers say it like that; then make room there.",
    ),
    _Said(("StorageFull", "InsufficientStorage", "Insufficient Storage", "QuotaExceeded"), "it is full", "Make room there; then run the same command again."),
    _Said(
        ("SSL validation failed", "CERTIFICATE_VERIFY_FAILED", "invalid peer certificate", "PKIX path building failed", "trustAnchors parameter"),
        "its certificate is of no authority that is trusted here",
        "Name that authority's to each client (docs/deploy.md, \"A certificate of one's own authority\"); then: lakehouse engine stop",
    ),
    _Said(
        ("EndpointConnection", "Could not connect", "error sending request", "Connect timeout", "ConnectTimeout", "ReadTimeout", "Connection refused")
        + ("timed out", "dns error", "error trying to connect", "client error (Connect)"),
        "nobody answers",
        "Check LAKEHOUSE_S3_ENDPOINT, the network and a proxy (NO_PROXY).",
    ),
    _Said(
        ("response body error", "IncompleteRead", "ContentLengthError", "ConnectionClosed", "Connection was closed", "Connection reset", "Premature end"),
        "the connection broke off, again and again",
        "Run the same command again. Should it stay so, look at the network between here and there.",
    ),
)


def explain(url: str, error: BaseException, chosen: Settings) -> StorageError | None:
    """What an error of one of the three clients means; None when it is none of theirs, or says only that a file isn't there."""
    text = " ".join(f"{type(e).__name__} {e}" for e in _chain(error))
    bucket = bucket_of(url)
    for answer in _ANSWERS:
        if any(word in text for word in answer.words):
            return StorageError(
                f"The object store {chosen.s3_endpoint or 'AWS S3'} was asked for {url}: {answer.means.format(bucket=bucket)}.",
                state="What was committed before stays; nothing half-written is visible.",
                next_step=answer.mend.format(bucket=bucket),
            )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
