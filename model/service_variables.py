"""A service's environment variables: which the platform sets, and which no operator may set.

The lists follow from what is rendered: the Compose file takes its `environment:` from `compose_environment`, and the
bucket's objects are made from `service_secrets` and `settings` (model/releases.py).
"""

import re
from collections.abc import Mapping

from model.access import BRIDGE_ADDRESS, OTLP_BRIDGE_PORT
from model.data import EXPORTS_PREFIX, SNAPSHOTS_PREFIX, BucketPlan
from model.hops import HEADER_KIB, SERVICE_IDLE_SECONDS
from model.jobs import JOBS, Databases, Job
from model.naming import PRODUCT, spaces_endpoint
from model.services import CATALOGUE, Plane, Runtime, Service, Store

# Settings of every service.
ENVIRONMENT = "PRESENCE360_ENVIRONMENT"
BASE_DOMAIN = "PRESENCE360_BASE_DOMAIN"

STOP_SECONDS = "PRESENCE360_STOP_SECONDS"
"""How long a service may take from SIGTERM on, by its own count."""
_KILL_MARGIN_SECONDS = 10
"""What remains of `stop_grace_seconds` then, for what ending itself takes: Docker kills at its end."""

# Secrets, each of the services that need it.
CONTROL_PLANE_DATABASE_URL = "CONTROL_PLANE_DATABASE_URL"
VALKEY_URL = "VALKEY_URL"
TENANT_CREDENTIALS = "TENANT_CREDENTIALS"
TENANT_DIRECTORY = "TENANT_REGISTRY"
"""Begins the variables by which the control plane reads the directory of tenants; services know them by this name."""
KEY_VARIABLES = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
BUCKET_VARIABLES = ("BUCKET", "ENDPOINT", *KEY_VARIABLES)
"""How a service reaches a private bucket: `TENANT_CREDENTIALS_BUCKET` and so on."""
EXPORTS = "EXPORTS"
"""Begins the variables of the bucket for exports and snapshots: its key is a secret, the others are in Compose."""

# What a migration gets beside the settings of its service.
JOB = "PRESENCE360_JOB"
TENANT_DATABASE_URL = "TENANT_DATABASE_URL"
TENANT_ID = "TENANT_ID"

DROPLET = "PRESENCE360_DROPLET"
"""The droplet's name, which Compose knows on the droplet alone (droplet/converge/staging.py)."""

EXPORT_SECONDS = 5
"""How long a service tries to send one message. The listener has an answer after 6 s at most, and 2 s as a rule."""

METRIC_EXPORT_MILLISECONDS = 30_000
"""How often a service sends its metrics: as often as the others are collected."""

REGISTRY_TOKEN = "REGISTRY_TOKEN"  # noqa: S105 (a name)
"""Becomes the Terraform variable of the registry's token; no service gets it."""


def compose_environment(
    service: Service, exports: BucketPlan | None, telemetry: str | None = None, sample_percent: float = 0
) -> dict[str, str]:
    """Return what the Compose file sets for a service; Compose prefers it to environment files.

    Args:
        service: of the catalogue.
        exports: the bucket for exports and snapshots; None on a laptop, which has none.
        telemetry: the environment's name, where droplets take what services send; None where nothing listens.
        sample_percent: of how many traces in a hundred the spans are sent; 0 where none are kept.
    """
    stop = str(service.stop_grace_seconds - _KILL_MARGIN_SECONDS)
    variables = {
        "HOME": "/tmp",  # noqa: S108  in the container
        "PRESENCE360_SERVICE": service.name,
        DROPLET: f"${{{DROPLET}:-local}}",
        STOP_SECONDS: stop,
        **(_telemetry(service, telemetry, sample_percent) if telemetry else {"OTEL_SDK_DISABLED": "true"}),
    }
    if service.port and service.runtime is Runtime.NODE:
        # Next.js's server listens on $HOSTNAME, which Docker sets to the container's id (Next.js, with-docker
        # example).
        variables |= {
            "HOSTNAME": "0.0.0.0",  # noqa: S104  in the container
            "PORT": str(service.port),
            # In milliseconds (Next.js, dist/build/utils.js, which writes the standalone server.js).
            "KEEP_ALIVE_TIMEOUT": str(SERVICE_IDLE_SECONDS * 1000),
        }
    elif service.port:
        variables |= {
            "UVICORN_HOST": "0.0.0.0",  # noqa: S104  in the container
            "UVICORN_PORT": str(service.port),
            # Only nginx reaches the port: it is published on loopback, and containers do not see each other.
            "FORWARDED_ALLOW_IPS": "*",
            "UVICORN_TIMEOUT_KEEP_ALIVE": str(SERVICE_IDLE_SECONDS),
            # Else a WebSocket's handshake takes half of what other requests may have (websockets/http11.py).
            "WEBSOCKETS_MAX_LINE_LENGTH": str(HEADER_KIB * 1024),
            # Without it uvicorn waits for open streams until Docker kills it, and all other requests with it
            # (uvicorn/server.py, `shutdown`).
            "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": stop,
            # It has the query string, which may hold people's data; nginx's log has none.
            "UVICORN_ACCESS_LOG": "false",
        }
    if service.exports and exports:
        variables |= {
            f"{EXPORTS}_BUCKET": exports.name,
            f"{EXPORTS}_ENDPOINT": spaces_endpoint(exports.region),
            f"{EXPORTS}_REGION": exports.region,
            f"{EXPORTS}_PREFIX": EXPORTS_PREFIX,
            "SNAPSHOTS_PREFIX": SNAPSHOTS_PREFIX,
        }
    return variables


def job_environment(job: Job) -> dict[str, str]:
    """Return what a job gets that is no secret, beside `settings:`."""
    return {"HOME": "/tmp", "PRESENCE360_SERVICE": job.service, JOB: job.name}  # noqa: S108  in the container


def job_secrets(job: Job) -> tuple[str, ...]:
    """Return what a job gets for each database: how to reach it, and with a tenant's the tenant's id.

    Nothing else that is secret: neither what its service may know, nor what the operators list for the service.
    """
    match job.databases:
        case Databases.CONTROL_PLANE:
            return (CONTROL_PLANE_DATABASE_URL,)
        case Databases.TENANTS:
            return (TENANT_DATABASE_URL, TENANT_ID)
    return ()


def _telemetry(service: Service, environment: str, sample_percent: float) -> dict[str, str]:
    """Return how OpenTelemetry's SDKs are set up (its specification, "Environment Variable Specification")."""
    resource = {
        "service.namespace": PRODUCT,
        "deployment.environment.name": environment,
        "host.name": f"${{{DROPLET}:-local}}",
    }
    return {
        "OTEL_SERVICE_NAME": service.name,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{name}={value}" for name, value in resource.items()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{BRIDGE_ADDRESS}:{OTLP_BRIDGE_PORT}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        # Tries again for so long, and holds the end of a process up for as long. In milliseconds (OpenTelemetry
        # specification, "OTLP Exporter Configuration"), but for Python's SDK, which takes seconds.
        "OTEL_EXPORTER_OTLP_TIMEOUT": str(
            EXPORT_SECONDS if service.runtime is Runtime.PYTHON else EXPORT_SECONDS * 1000
        ),
        # What Victoria Metrics takes: sums since the start of the process, not since the last message.
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": str(METRIC_EXPORT_MILLISECONDS),
        "OTEL_METRIC_EXPORT_TIMEOUT": str(METRIC_EXPORT_MILLISECONDS // 3),
        # Where no traces are kept, their ids are passed on all the same; logs are the container's output.
        "OTEL_TRACES_EXPORTER": "otlp" if sample_percent else "none",
        # nginx decides for what a request begins; for the rest, such as a scheduled task, each service.
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio" if sample_percent else "parentbased_always_off",
        "OTEL_TRACES_SAMPLER_ARG": f"{sample_percent / 100:g}",
        "OTEL_LOGS_EXPORTER": "none",
        # nginx begins a trace for each request. What else a client sends along is nobody's.
        "OTEL_PROPAGATORS": "tracecontext",
        # Python's instrumentation still defaults to names from before the conventions were stable.
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    }


def service_secrets(service: Service) -> frozenset[str]:
    """Return the names of the secrets that the platform itself gives to a service."""
    names: set[str] = set()
    if Store.POSTGRES in service.stores and service.plane is Plane.CONTROL:
        names |= {CONTROL_PLANE_DATABASE_URL, *_named(TENANT_DIRECTORY, BUCKET_VARIABLES)}
    if service.uses_tenants_databases:
        names |= _named(TENANT_CREDENTIALS, BUCKET_VARIABLES)
    if Store.VALKEY in service.stores:
        names.add(VALKEY_URL)
    if service.exports:
        names |= _named(EXPORTS, KEY_VARIABLES)
    return frozenset(names)


def _named(prefix: str, parts: tuple[str, ...]) -> set[str]:
    return {f"{prefix}_{part}" for part in parts}


_ANY_BUCKET = BucketPlan(name="", region="", ttl_days={})

PLATFORM_VARIABLES = frozenset({ENVIRONMENT, BASE_DOMAIN}).union(
    *(
        compose_environment(service, _ANY_BUCKET, telemetry).keys() | service_secrets(service)
        for service in CATALOGUE.values()
        for telemetry in (None, "any")
    ),
    *(job_environment(job).keys() | set(job_secrets(job)) for job in JOBS.values()),
)
"""Every variable that the platform sets for one service, or job, or another."""

_OWN_PREFIX = "PRESENCE360_"

_HARMFUL: Mapping[re.Pattern[str], str] = {
    # ld.so(8), "ENVIRONMENT" and "Secure-execution mode".
    re.compile(
        r"LD_[A-Z0-9_]+|GCONV_PATH|GLIBC_TUNABLES|LOCPATH"
    ): "makes programs load other code, or changes libc",
    # execvp(3) and bash(1).
    re.compile(r"PATH|BASH_ENV"): "decides which programs a service starts",
    # Python documentation, "Command line and environment".
    re.compile(
        r"PYTHON(PATH|HOME|STARTUP|USERBASE|PLATLIBDIR|BREAKPOINT|PYCACHEPREFIX|INSPECT)"
    ): "decides which code Python loads",
    # Celery 5.7, celery/bin/celery.py (options with `envvar`, which come without a prefix as well, and
    # `auto_envvar_prefix`), celery/concurrency/__init__.py and celery/fixups/django.py.
    re.compile(
        r"(CELERY_)?(APP|LOADER|CONFIG_MODULE|WORKDIR)|CELERY_CUSTOM_WORKER_POOL|CELERY_WORKER_\w+"
        r"|DJANGO_SETTINGS_MODULE"
    ): "decides which code Celery loads, or how it starts",
    # Billiard 4.3, billiard/common.py; Next.js 16, next/dist/server/lib/start-server.js: without the handlers that the
    # image's code registers, the process is killed in the middle of its work.
    re.compile(r"REMAP_SIGTERM|NEXT_MANUAL_SIG_HANDLE"): "decides how a service ends",
    # Celery 5.7, celery/contrib/rdb.py: a client of it runs any code.
    re.compile(r"CELERY_RDB_(HOST|PORT)"): "decides where Celery's debugger listens",
    # Gunicorn 27, gunicorn/app/base.py and gunicorn/arbiter.py: each of them is its command line or a file descriptor.
    re.compile(r"GUNICORN_\w+"): "decides which code Gunicorn loads, or where it listens",
    # Node.js documentation, "Command-line API", "Environment variables".
    re.compile(
        r"NODE_(PATH|REPL_EXTERNAL_MODULE|COMPILE_CACHE|ICU_DATA)"
    ): "decides which code Node.js loads",
    re.compile(r"NODE_(V8_COVERAGE|REDIRECT_WARNINGS|REPL_HISTORY)"): "makes Node.js write files",
    # OpenSSL documentation, openssl-env(7).
    re.compile(
        r"OPENSSL_(CONF|CONF_INCLUDE|ENGINES|MODULES)"
    ): "makes OpenSSL load other code, or accept weak TLS",
    # Node.js documentation, as above.
    re.compile(r"NODE_TLS_REJECT_UNAUTHORIZED"): "switches the check of certificates off",
    # Python documentation, ssl, `create_default_context`.
    re.compile(r"SSLKEYLOGFILE"): "writes the keys of TLS connections into a file",
}
"""By the whole name: what a variable of it does."""

_UVICORN = "UVICORN_"
"""Begins a variable for each of uvicorn's options (uvicorn/main.py, `auto_envvar_prefix`)."""
_HARMLESS_UVICORN = (
    "BACKLOG", "DATE_HEADER", "H11_MAX_INCOMPLETE_EVENT_SIZE", "LIMIT_CONCURRENCY", "LIMIT_MAX_REQUESTS",
    "LIMIT_MAX_REQUESTS_JITTER", "LOG_LEVEL", "SERVER_HEADER",
    "TIMEOUT_WORKER_HEALTHCHECK", "USE_COLORS", "WORKERS", "WS_MAX_QUEUE", "WS_MAX_SIZE", "WS_PER_MESSAGE_DEFLATE",
    "WS_PING_INTERVAL", "WS_PING_TIMEOUT",
)  # fmt: skip
"""The options of uvicorn 0.54 (uvicorn/main.py) that set limits and what is logged. The others load code (`--app-dir`,
`--env-file`, `--factory`, `--http`, `--interface`, `--log-config`, `--loop`, `--reload`, `--ws`), listen elsewhere
(`--fd`, `--uds`), want TLS where nginx speaks none (`--ssl-...`), or change what a service sees or answers."""

NODE_OPTIONS = "NODE_OPTIONS"
HARMLESS_NODE_OPTIONS = (
    "--disable-warning", "--dns-result-order", "--enable-source-maps", "--max-http-header-size", "--max-old-space-size",
    "--max-semi-space-size", "--no-deprecation", "--no-network-family-autoselection", "--no-warnings",
    "--stack-trace-limit", "--throw-deprecation", "--trace-deprecation", "--trace-uncaught", "--trace-warnings",
    "--unhandled-rejections", "--v8-pool-size",
)  # fmt: skip
"""What `NODE_OPTIONS` may hold: others load code, open a debugger, weaken TLS, or write files (Node.js documentation,
"Command-line API", `NODE_OPTIONS`)."""

_IN_THE_IMAGE = "Remove it. Which programs and libraries a service loads is decided in its image."


def why_not(variable: str, value: str | None) -> tuple[str, str] | None:
    """Return why no operator may set a variable, and what to do; None if one may.

    Args:
        variable: its name.
        value: as the file has it; None for a secret, whose value no file has.
    """
    if variable in PLATFORM_VARIABLES:
        return (
            "is set by the platform itself",
            "Remove it, or choose another name: services get the platform's value. docs/services.md lists what they "
            "get.",
        )
    if variable == REGISTRY_TOKEN:
        return "is the token that images are pulled with, and no service gets it", "Choose another name."
    if variable.startswith(_OWN_PREFIX):
        return (
            f"begins with {_OWN_PREFIX}, as the platform's own variables do",
            "Choose another name: the platform may set a variable of this name tomorrow.",
        )
    return _harm(variable, value)


def _harm(variable: str, value: str | None) -> tuple[str, str] | None:
    for pattern, does in _HARMFUL.items():
        if pattern.fullmatch(variable):
            return does, _IN_THE_IMAGE
    if variable.startswith(_UVICORN) and variable.removeprefix(_UVICORN) not in _HARMLESS_UVICORN:
        return (
            "is an option of uvicorn that may load other code, or make it listen elsewhere",
            f"Remove it: such options belong to the image. Allowed after {_UVICORN}: {', '.join(_HARMLESS_UVICORN)}.",
        )
    if variable == NODE_OPTIONS and (harmful := _harmful_options(value)):
        return (
            f"may not hold {harmful}",
            "Remove that: it may load code, open a debugger or weaken TLS. Allowed: "
            f"{', '.join(HARMLESS_NODE_OPTIONS)}.",
        )
    return None


def _harmful_options(value: str | None) -> str:
    """Return the options that are not known to be harmless, in words; empty if there are none."""
    if value is None:
        return "a secret, which nobody can check"
    # Node.js splits at blanks and takes quotes and backslashes away; V8's own options may have _ for - .
    words = re.sub(r"[\"'\\]", "", value).split()
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    return ", ".join(one for one in options if one.replace("_", "-") not in HARMLESS_NODE_OPTIONS)
