"""Whatever an operator gets wrong: the exact text that is shown, from the real files with one small edit each.

The line is found by a text that marks it, so that the real files may grow; the rest is literal.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from model.errors import InvalidInputError
from model.ip_ranges import REGIONS as REGION_NAMES
from model.ip_ranges import RESERVED_BY_REGION, RESERVED_EVERYWHERE
from model.known_environments import ENVIRONMENTS_LOCK, format_environments
from model.known_tenants import format_lock
from model.loader import load_environments
from model.services import CATALOGUE, PLATFORM_HOSTS
from model.sold import SINGLE_NODE_SIZES
from model.tenants import RESERVED_SLUGS
from tests.model.workspace import PRODUCTION, PRODUCTION_TENANTS, STAGING, STAGING_TENANTS, Workspace

Edit = tuple[str, str, str]
Told = tuple[str, str, str]


@dataclass(frozen=True)
class Row:
    """One mistake.

    Attributes:
        name: what is wrong.
        edits: file, what stands there, what the operator makes of it.
        told: for each problem its file, a text on its line, and the text after file and line.
    """

    name: str
    edits: tuple[Edit, ...]
    told: tuple[Told, ...]

    def with_edit(self, old: str, new: str) -> "Row":
        """Return the same mistake after one more edit of staging's environment.yaml."""
        return replace(self, edits=(*self.edits, (STAGING, old, new)))

    def but(self, text: str) -> "Row":
        """Return the same edit with another text for its one problem."""
        ((file, marker, _),) = self.told
        return replace(self, told=((file, marker, text),))

    def on(self, marker: str) -> "Row":
        """Return the same mistake on the line that holds another text."""
        ((file, _, text),) = self.told
        return replace(self, told=((file, marker, text),))


def env(name: str, old: str, new: str, *told: tuple[str, str]) -> Row:
    """One edit of staging's environment.yaml."""
    return Row(name, ((STAGING, old, new),), tuple((STAGING, *one) for one in told))


def tenants(name: str, old: str, new: str, *told: tuple[str, str]) -> Row:
    """One edit of staging's tenants.yaml; the first church's name stands in a comment, too."""
    if old == "Grace Chapel":
        old, new = f"name: {old}", f"name: {new}"
    return Row(name, ((STAGING_TENANTS, old, new),), tuple((STAGING_TENANTS, *one) for one in told))


def expected(workspace: Workspace, told: tuple[Told, ...]) -> str:
    """Write out what must be told; `line <text>` stands for the number of the line that holds the text."""

    def told_line(file: str, marker: str, text: str) -> str:
        place = f"{file}:{workspace.line(file, marker)}" if marker else file
        numbered = re.sub(r"line <(.+?)>", lambda found: f"line {workspace.line(file, found[1])}", text)
        return f"environments/{place}: {numbered}"

    count = f"{len(told)} problem{'s' if len(told) > 1 else ''}"
    lines = [told_line(*one) for one in told]
    return "\n".join([*lines, "", f"{count} in the environment files; nothing was written."])


NAME_RULE = "The church's name as people write it."
SLUG_RULE = (
    "The tenant's host name below the base domain: 1 to 63 of a-z, 0-9 and hyphens without a hyphen at either end, "
    "unique, and not a name the platform uses. It may change."
)
ID_RULE = (
    "A version 1-8 UUID in lower case that never changes: it names the tenant's database. Leave it out once and "
    "`make synth` shows a fresh one to paste."
)
LABEL_RULE = "Use 1 to 20 of a-z, 0-9 and hyphens, starting with a letter, ending without a hyphen."
TEXT_RULE = (
    "Write one line of text: no blanks at its ends, and no control, zero-width or direction characters."
)
RANGE_RULE = (
    "The VPC's range: private (RFC 1918), between /16 and /28, overlapping no range that DigitalOcean "
    "reserves or another "
    "environment uses. It can never be changed."
)
RANGE_REMEDY = (
    "Choose a private range between /16 and /28 that overlaps no reserved range, for example 10.60.0.0/20."
)
ADMIN_RULE = "The only addresses that can reach SSH. No range may be wider than /24 (IPv4) or /48 (IPv6)."
KEYS_RULE = (
    "Administrators' public keys by name, in OpenSSH's one-line form. Droplets get them when they are created: a "
    "change replaces every droplet, one group after the other."
)
KEY_REMEDY = "Paste the whole line of the .pub file, in quotes, on one line."
DOMAIN_RULE = (
    "The domain under which its services answer, in lower case, such as staging.example.org: no https:// before it, "
    "no dot at its end."
)
NOT_YAML = "Check the indentation, quotes and colons near this line."
PRIVATE_KEY_TOLD = (
    "this is a private key, and this file is in git\n    Remove it and make a new pair of keys: this one is exposed. "
    "Only the line of the .pub file belongs here."
)
WRITE_OUT = "Write the value out."
SIZE_REMEDY = "Write `replicas: 2` for a fixed number, or `autoscale: {min: 2, max: 6, cpu: 0.6}` for a pool."
RELEASES_RULE = (
    'What runs: a tag such as "1.4.2", or a digest such as sha256:..., for every service. A change here is a release: '
    "droplets fetch it and apply it in turns, and no droplet is replaced."
)
REGION_RULE = "Where the environment runs. It can never be changed."
REGIONS = f"Choose one of: {', '.join(REGION_NAMES)}."
SERVICES = f"Choose one of: {', '.join(CATALOGUE)}."
TOP_KEYS = (
    "Write `key: value` lines. Its keys: environment, description, region, base_domain, network, groups, postgres, "
    "valkey, storage, limits, registry, releases, settings, secrets, database_logs, dns, deploy, hardening, "
    "migrations, observability, backups, new_sizes, public_settings, status, accepted_losses, jobs, maintenance, "
    "account."
)

# What stands in the real files.
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
KEY_LINE = f'    ops: "{ED25519} replace-me@staging.example"'
PRODUCTION_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "AEB" + "AQEB" * 10
APP_SERVICES = "[tenant-api, web-tenant, control-plane-api, web-control-plane]"
WORKER_SIZE = "    size: s-2vcpu-2gb\n    replicas: 1"
GRACE = "  - id: 3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001\n    slug: grace\n    name: Grace Chapel\n"
DESCRIPTION = "description: Presence360 Church, staging. Test data only."


def ip_range(name: str, written: str, *faults: str) -> Row:
    told = tuple(("ip_range:", f"network.ip_range: {fault}\n    {RANGE_REMEDY}") for fault in faults)
    return env(name, "10.60.0.0/20", written, *told)


YAML_TRAPS = [
    tenants(
        "a status that there is not",
        "slug: grace\n",
        "slug: grace\n    status: paused\n",
        (
            "status: paused",
            "tenants[0].status: 'paused' is not one of the allowed values\n"
            "    Choose one of: active, suspended, retired.",
        ),
    ),
    tenants(
        "a tier without its cluster",
        "slug: grace\n",
        "slug: grace\n    tier: dedicated\n",
        (
            "tier: dedicated",
            "tenants[0].tier: the tier is 'dedicated', but `dedicated` does not describe its cluster\n"
            '    For a new church, add `dedicated: {size: db-s-2vcpu-4gb, nodes: 2, version: "17", '
            "maintenance: {...}}`. "
            "For one that has data, write `tier: shared` and begin with step 1 of docs/runbooks/move-to-dedicated.md.",
        ),
    ),
    tenants(
        "a copy of what serves",
        "slug: grace\n",
        "slug: grace\n    shared_copy: kept\n",
        (
            "shared_copy: kept",
            "tenants[0].shared_copy: with `tier: shared` the shared database is in use, so there is no copy of it\n"
            "    Remove it: it is only for `tier: dedicated`.",
        ),
    ),
    tenants(
        "a cluster that serves and is given up",
        "slug: grace\n",
        "slug: grace\n    tier: dedicated\n    dedicated:\n      size: db-s-2vcpu-4gb\n      nodes: 1\n"
        '      version: "17"\n      maintenance: {day: monday, hour: "02:00"}\n      retired: true\n',
        (
            "retired: true",
            "tenants[0].dedicated.retired: this tenant uses the dedicated cluster\n"
            "    Remove it. To retire the tenant with its cluster, write `status: retired`.",
        ),
    ),
    tenants(
        "a standby of a tenant's own that is not sold",
        "slug: grace\n",
        'slug: grace\n    dedicated: {size: db-s-1vcpu-1gb, version: "17", maintenance: {day: monday, hour: "02:00"},\n'
        "      nodes: 2}\n",
        (
            "nodes: 2}",
            "tenants[0].dedicated.nodes: db-s-1vcpu-1gb has one node only, and `nodes` is 2\n"
            "    Write `nodes: 1`, or choose a larger size.",
        ),
    ),
    tenants(
        "a cell that there is not",
        "slug: grace\n",
        "slug: grace\n    cell: cell-2\n",
        (
            "cell: cell-2",
            "tenants[0].cell: there is no cell 'cell-2' in `postgres.cells` of environment.yaml\n"
            "    Add it there first. Without `cell`, a tenant is in the environment's own cluster.",
        ),
    ),
    tenants(
        "the first cell by a number",
        "slug: grace\n",
        "slug: grace\n    cell: cell-1\n",
        (
            "cell: cell-1",
            "tenants[0].cell: 'cell-1' is not allowed\n"
            "    Write cell-2, cell-3 and so on: the environment's own stack is the first cell. The cell that "
            "holds its "
            "data, one of `postgres.cells` of environment.yaml. Without it, the environment's own cluster. It "
            "can never "
            "be changed.",
        ),
    ),
    env(
        "an extension that reaches out of its database",
        "  clusters:\n    shared:\n",
        "  extensions: [citext, dblink]\n  clusters:\n    shared:\n",
        (
            "dblink",
            "postgres.extensions[1]: 'dblink' is not one of the allowed values\n"
            "    Choose one of: btree_gin, btree_gist, citext, cube, dict_int, fuzzystrmatch, hstore, intarray, isn, "
            "lo, ltree, pg_trgm, pgcrypto, seg, tablefunc, tcn, tsm_system_rows, tsm_system_time, unaccent, uuid-ossp.",
        ),
    ),
    env(
        "a cell that is called anything",
        "  clusters:\n    shared:\n",
        "  cells:\n    second:\n      nodes: 1\n  clusters:\n    shared:\n",
        (
            "    second:",
            "postgres.cells.second: the name 'second' is not allowed\n"
            "    Write cell-2, cell-3 and so on: the environment's own stack is the first cell.",
        ),
        (
            "    second:",
            "postgres.cells.second.maintenance: this key is missing\n"
            "    Add `maintenance:`. When DigitalOcean may restart it.",
        ),
        (
            "    second:",
            "postgres.cells.second.size: this key is missing\n"
            "    Add `size:`. The size of each node, such as db-s-1vcpu-2gb. It can only grow.",
        ),
        (
            "    second:",
            "postgres.cells.second.version: this key is missing\n"
            '    Add `version:`. The major version, in quotes: "17". It can only grow.',
        ),
    ),
    env(
        "a key twice",
        "region: fra1\n",
        "region: fra1\nregion: lon1 # mine\n",
        ("# mine", "the key 'region' is listed twice\n    Remove one of the two."),
    ),
    tenants(
        "a key twice in an entry",
        "slug: hope\n",
        "slug: hope\n    slug: faith\n",
        ("slug: faith", "the key 'slug' is listed twice\n    Remove one of the two."),
    ),
    tenants(
        "an anchor and its alias",
        "slug: grace\n    name: Grace Chapel",
        "slug: &it grace\n    name: *it",
        ("&it", f"anchors and tags are not allowed\n    {WRITE_OUT}"),
        ("*it", f"alias *it is not allowed\n    {WRITE_OUT}"),
    ),
    env(
        "an anchor on a mapping",
        "  shared:\n",
        "  shared: &one\n",
        ("&one", f"anchors and tags are not allowed\n    {WRITE_OUT}"),
    ),
    tenants(
        "a tag",
        "slug: grace",
        "slug: !!str 7",
        ("!!str", f"anchors and tags are not allowed\n    {WRITE_OUT}"),
    ),
    tenants(
        "a merge key",
        "slug: grace\n",
        "slug: grace\n    <<: {name: x}\n",
        (
            "<<",
            "tenants[0].<<: the key '<<' is unknown\n"
            "    Allowed here: cell, credentials, database, dedicated, id, limits, maintenance, name, queue_prefix, "
            "shared_copy, slug, status, tier.",
        ),
    ),
    tenants(
        "a second document",
        "name: River of Life Church\n",
        "name: River of Life Church\n--- # second\ntenants: []\n",
        ("# second", "a second document starts here\n    Write one document per file."),
    ),
    tenants(
        "a second document after an empty one",
        "tenants:\n  - id: 3f",
        "---\n--- # second\ntenants:\n  - id: 3f",
        ("# second", "a second document starts here\n    Write one document per file."),
    ),
    env(
        "a tab",
        "    size: s-2vcpu-2gb",
        "\tsize: s-2vcpu-2gb",
        (
            "\tsize",
            "this is not YAML: found character that cannot start any token\n    Indent with spaces, not with tabs.",
        ),
    ),
    env(
        "wrong indentation",
        "    size: s-2vcpu-4gb",
        "   size: s-2vcpu-4gb",
        (
            "size: s-2vcpu-4gb",
            f"this is not YAML: did not find expected key, in the block that begins on line <  app:>\n    {NOT_YAML}",
        ),
    ),
    env(
        "a list that is not closed",
        "services: [worker]\n",
        "services: [worker\n",
        (
            "size: s-2vcpu-2gb",
            "this is not YAML: did not find expected ',' or ']', in the block that begins on line <services: [worker>\n"
            f"    {NOT_YAML}",
        ),
    ),
    env(
        "a quote that is not closed",
        'version: "17"',
        'version: "17',
        (
            'version: "17',
            'a quote opens on this line and closes on line <maintenance: {day: tuesday, hour: "02:00"}>\n'
            "    Close it at the end of the value.",
        ),
    ),
    env(
        "a quote that is not closed, lines above the next one",
        DESCRIPTION,
        DESCRIPTION.replace(": ", ': "', 1),
        (
            "description:",
            "a quote opens on this line and closes on line <    ops:>\n    Close it at the end of the value.",
        ),
    ),
    tenants(
        "a quote that nothing closes",
        "River of Life Church",
        "'River of Life Church",
        (
            "'River",
            "a quote opens on this line and is not closed on it\n    Close it at the end of the value.",
        ),
    ),
    tenants(
        "a number that others read as octal, in the place of a text",
        "slug: grace",
        "slug: 010",
        ("slug: 010", f'tenants[0].slug: 010 is not text\n    Write it in quotes: "010". {SLUG_RULE}'),
    ),
    env(
        "a number that others read as octal",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    replicas: 010",
        (
            "replicas: 010",
            "groups.worker.replicas: 010 begins with 0: some programs read such a number as octal\n"
            "    Write it without the zero. A fixed number of droplets.",
        ),
    ),
    env(
        "a fraction that begins with two zeros",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    autoscale: {min: 1, max: 2, cpu: 01}",
        (
            "cpu: 01",
            "groups.worker.autoscale.cpu: 01 begins with 0: some programs read such a number as octal\n"
            "    Write it without the zero. The average CPU use to aim for, as a fraction: 0.6 is 60 percent.",
        ),
    ),
    env(
        "a private key on one line",
        KEY_LINE,
        '    ops: "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXk"',  # pragma: allowlist secret
        ("ops:", PRIVATE_KEY_TOLD),
    ),
    env(
        "a private key as it stands in its file",
        KEY_LINE,
        "    ops: |\n      -----BEGIN OPENSSH PRIVATE KEY-----\n"  # pragma: allowlist secret
        "      b3BlbnNzaC1rZXk\n      -----END OPENSSH "
        "PRIVATE KEY-----",
        ("-----BEGIN", PRIVATE_KEY_TOLD),
    ),
    tenants(
        "a private key where no YAML is left",
        "tenants:\n",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\ntenants:\n",  # pragma: allowlist secret
        ("-----BEGIN", PRIVATE_KEY_TOLD),
    ),
    env(
        "a colon that is missing",
        "region: fra1\nbase_domain",
        "region fra1\nbase_domain",
        (
            "base_domain",
            f"this is not YAML: could not find expected ':', in the block that begins on line <region fra1>\n "
            f"   {NOT_YAML}",
        ),
    ),
    tenants(
        "a colon in a name",
        "Grace Chapel",
        "Grace: the Chapel",
        ("Grace: the", f"this is not YAML: mapping values are not allowed in this context\n    {NOT_YAML}"),
    ),
    env(
        "a Windows path",
        DESCRIPTION,
        'description: "C:\\path"',
        ("C:", f"this is not YAML: found unknown escape character\n    {NOT_YAML}"),
    ),
    tenants(
        "a placeholder in braces",
        "Grace Chapel",
        "{{ name }}",
        (
            "{{ name }}",
            "a key cannot be a mapping or a list\n"
            "    If this is text that begins with { or [, put all of it in quotes.",
        ),
    ),
    tenants(
        "a number as a key",
        "slug: grace",
        "007: grace",
        ("007", "the key 007 is not text\n    Write the key in quotes."),
    ),
    tenants(
        "a key that is nothing",
        "slug: grace",
        "~: grace",
        ("~", "the key null is not text\n    Write the key in quotes."),
    ),
    tenants(
        "NUL",
        "Grace Chapel",
        "Grace\0Chapel",
        (
            "\0",
            "the control character '\\x00' is not allowed\n"
            "    Remove it; an editor that shows invisible characters helps.",
        ),
    ),
    tenants(
        "a line separator pasted from a word processor",
        "Grace Chapel",
        "Grace\u2028Chapel",
        (
            "\u2028",
            "the control character '\\u2028' is not allowed\n"
            "    Remove it; an editor that shows invisible characters helps.",
        ),
    ),
    tenants(
        "nesting that would exhaust the stack",
        "slug: grace",
        f"slug: {'[' * 3000}{']' * 3000}",
        ("slug: [[", "this is nested too deeply\n    Nest at most 19 levels."),
    ),
]

SHAPES = [
    env(
        "an unknown key",
        "region: fra1",
        "regoin: fra1",
        (
            "environment: staging",
            "region: this key is missing\n    Add `region:`. Where the environment runs. It can never be changed.",
        ),
        (
            "regoin",
            "regoin: the key 'regoin' is unknown\n    Did you mean 'region'? Allowed here: accepted_losses, account, "
            "backups, base_domain, database_logs, deploy, description, dns, environment, groups, hardening, jobs, "
            "limits, "
            "maintenance, migrations, network, new_sizes, observability, postgres, public_settings, region, registry, "
            "releases, secrets, settings, status, storage, valkey.",
        ),
    ),
    env(
        "an unknown key that resembles none",
        "  apex: true",
        "  apex: true\n  zzz:\n    deep: 1",
        ("zzz", "dns.zzz: the key 'zzz' is unknown\n    Allowed here: apex, delegations."),
    ),
    env(
        "a key with a line break cannot fake a message",
        "  apex: true",
        '  apex: true\n  "a\\nstaging: fine": 1',
        (
            "a\\nstaging",
            "dns.'a\\nstaging: fine': the key 'a\\nstaging: fine' is unknown\n"
            "    Allowed here: apex, delegations.",
        ),
    ),
    env(
        "a key that is missing in a mapping",
        "    size: s-2vcpu-2gb\n",
        "",
        (
            "  worker:\n",
            "groups.worker.size: this key is missing\n    Add `size:`. The droplets' size, such as "
            "s-2vcpu-4gb.",
        ),
    ),
    tenants(
        "a key that is missing in a list",
        "    slug: hope\n",
        "",
        ("7d1c2b9a", f"tenants[1].slug: this key is missing\n    Add `slug:`. {SLUG_RULE}"),
    ),
    env(
        "a version number without quotes",
        'version: "17"',
        "version: 17",
        (
            "version:",
            "postgres.clusters.shared.version: 17 is not one of the allowed values\n"
            '    Write it in quotes: "17".',
        ),
    ),
    env(
        "a version that is not sold",
        'version: "17"',
        'version: "9.6"',
        (
            "version:",
            "postgres.clusters.shared.version: '9.6' is not one of the allowed values\n"
            "    Choose one of: 15, 16, 17.",
        ),
    ),
    env(
        "a region with a slip",
        "region: fra1",
        "region: fra11",
        ("region:", f"region: 'fra11' is not one of the allowed values\n    Did you mean 'fra1'? {REGIONS}"),
    ),
    env(
        "a region without Spaces",
        "region: fra1",
        "region: nowhere",
        ("region:", f"region: 'nowhere' is not one of the allowed values\n    {REGIONS}"),
    ),
    env(
        "a value that is missing",
        "region: fra1",
        "region:",
        ("region:", "region: this has no value\n    Where the environment runs. It can never be changed."),
    ),
    env(
        "a mapping that is missing",
        "storage:\n  snapshot_ttl_days: 30\n  export_ttl_days: 7\n",
        "storage:\n",
        (
            "storage:",
            "storage: this has no value\n    Write `key: value` lines. Its keys: "
            "snapshot_ttl_days, export_ttl_days.",
        ),
    ),
    env(
        "a word for a number",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    replicas: two",
        (
            "replicas: two",
            "groups.worker.replicas: 'two' is not a whole number\n"
            "    Write digits only. A fixed number of droplets.",
        ),
    ),
    env(
        "a fraction of a droplet",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    replicas: 1.50",
        (
            "replicas: 1.50",
            "groups.worker.replicas: 1.50 is not a whole number\n"
            "    Write digits only. A fixed number of droplets.",
        ),
    ),
    env(
        "true for a number",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    replicas: true",
        (
            "replicas: true",
            "groups.worker.replicas: true is not a whole number\n"
            "    Write digits only. A fixed number of droplets.",
        ),
    ),
    env(
        "more digits than Python converts",
        WORKER_SIZE,
        f"    size: s-2vcpu-2gb\n    replicas: {'9' * 5000}",
        (
            "replicas: 9",
            f"groups.worker.replicas: {'9' * 57}... is not a whole number\n"
            "    Write digits only. A fixed number of droplets.",
        ),
    ),
    env(
        "not a number",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    autoscale: {min: 1, max: 2, cpu: .nan}",
        (
            ".nan",
            "groups.worker.autoscale.cpu: '.nan' is not a number\n"
            "    The average CPU use to aim for, as a fraction: 0.6 is 60 percent.",
        ),
    ),
    env(
        "an infinite number",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    autoscale: {min: 1, max: 2, cpu: 1e999}",
        (
            "1e999",
            "groups.worker.autoscale.cpu: 1e999 is out of range\n"
            "    Write at most 1.0. The average CPU use to aim for, as a fraction: 0.6 is 60 percent.",
        ),
    ),
    env(
        "a percentage for a fraction",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    autoscale: {min: 1, max: 2, cpu: 60}",
        (
            "cpu: 60",
            "groups.worker.autoscale.cpu: 60 is out of range\n"
            "    Write at most 1.0. The average CPU use to aim for, as a fraction: 0.6 is 60 percent.",
        ),
    ),
    env(
        "no church that may be busy",
        "  tenants: shared\n",
        "  tenants: shared\n  overcommit: 0\n",
        (
            "overcommit",
            "postgres.overcommit: 0 is out of range\n    Write at least 1. How many times the tenants' pools "
            "together may exceed the connections of their cluster: with 5, one church in five may be busy at the same "
            "moment. docs/connections.md says how to choose.",
        ),
    ),
    *(
        env(
            f"an overcommit of {written or 'nothing'}",
            "  tenants: shared\n",
            f"  tenants: shared\n  overcommit: {written}\n",
            (
                "overcommit",
                f"postgres.overcommit: {told} How many times the tenants' pools together may exceed the "
                "connections of their cluster: with 5, one church in five may be busy at the same moment. "
                "docs/connections.md says how to choose.",
            ),
        )
        for written, told in (
            ("'5'", "'5' is not a whole number\n    Write it without quotes: 5."),
            ("'five'", "'five' is not a whole number\n    Write digits only."),
            ("", "this has no value\n    Write a whole number, or remove the line."),
        )
    ),
    *(
        env(
            f"an audit log that is {written or 'nothing'}",
            "\nvalkey:\n",
            f"\nhardening:\n  auditd: {written}\n\nvalkey:\n",
            (
                "auditd",
                f"hardening.auditd: {told} Whether droplets keep the kernel's audit log: who changed users, keys, "
                "units and our configuration, and what people ran. A change replaces the droplets.",
            ),
        )
        for written, told in (
            ("'true'", "'true' is neither true nor false\n    Write it without quotes: true."),
            ("'on'", "'on' is neither true nor false\n    Write `true` or `false`."),
            ("", "this has no value\n    Write `true` or `false`, or remove the line."),
        )
    ),
    *(
        env(
            f"migrations: {what}",
            "\nvalkey:\n",
            f"\nmigrations:\n  {written}\n\nvalkey:\n",
            (written, told),
        )
        for what, written, told in (
            (
                "too many at a time",
                "parallel: 17",
                "migrations.parallel: 17 is out of range\n    Write at most 16. How many databases are migrated at a "
                "time, in all clusters together.",
            ),
            (
                "a share of nobody",
                "share: 0",
                "migrations.share: 0 is out of range\n    Write at least 1. The percentage of active churches that "
                "must be migrated before droplets change to a release.",
            ),
            (
                "a service whose image brings none",
                "services: [web-control-plane]",
                "migrations.services[0]: 'web-control-plane' is not one of the allowed values\n    Did you mean "
                "'control-plane-api'? Choose one of: control-plane-api, tenant-api.",
            ),
            (
                "a service that is listed twice",
                "services: [tenant-api, tenant-api]",
                "migrations.services[1]: 'tenant-api' is listed twice\n    Remove one of the two.",
            ),
        )
    ),
    env(
        "no droplet at all",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    replicas: 0",
        (
            "replicas: 0",
            "groups.worker.replicas: 0 is out of range\n    Write at least 1. A fixed number of droplets.",
        ),
    ),
    env(
        "too many droplets",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    replicas: 21",
        (
            "replicas: 21",
            "groups.worker.replicas: 21 is out of range\n    Write at most 20. A fixed number of droplets.",
        ),
    ),
    env(
        "YAML 1.1's yes",
        "apex: true",
        "apex: yes",
        (
            "apex:",
            "dns.apex: 'yes' is neither true nor false\n    Write `true` or `false`. Whether the base domain "
            "itself serves the tenants' web app.",
        ),
    ),
    tenants(
        "a number for a text, as it was written",
        "slug: grace",
        "slug: 007",
        ("slug: 007", f'tenants[0].slug: 007 is not text\n    Write it in quotes: "007". {SLUG_RULE}'),
    ),
    tenants(
        "a decimal number for a text, as it was written",
        "Grace Chapel",
        "1.10",
        ("1.10", f'tenants[0].name: 1.10 is not text\n    Write it in quotes: "1.10". {NAME_RULE}'),
    ),
    tenants(
        "true for a text",
        "Grace Chapel",
        "True",
        ("True", f'tenants[0].name: true is not text\n    Write it in quotes: "true". {NAME_RULE}'),
    ),
    tenants(
        "a list for a text",
        "Grace Chapel",
        "[Grace, null, false, {a: 1}]",
        (
            "[Grace",
            f"tenants[0].name: ['Grace', null, false, {{a: 1}}] is not text\n    Write text. {NAME_RULE}",
        ),
    ),
    tenants(
        "a name of several lines",
        "Grace Chapel",
        "|\n      Grace\n      Chapel",
        ("name: |", f"tenants[0].name: 'Grace\\nChapel\\n' is not allowed\n    {TEXT_RULE} {NAME_RULE}"),
    ),
    tenants(
        "an empty name", "Grace Chapel", '""', ('""', f"tenants[0].name: this is empty\n    {NAME_RULE}")
    ),
    tenants(
        "a name that is too long",
        "Grace Chapel",
        "x" * 101,
        (
            "xxx",
            f"tenants[0].name: '{'x' * 56}... has 101 characters; at most 100 are allowed\n"
            f"    Shorten it. {NAME_RULE}",
        ),
    ),
    env(
        "one service that is no list",
        "services: [worker]",
        "services: worker",
        (
            "services: worker",
            "groups.worker.services: 'worker' is not a list\n"
            "    Write a list. The services that each of its droplets runs. Only the "
            "group of `observability` may say `[]`.",
        ),
    ),
    env(
        "a list of no services",
        "services: [worker]",
        "services: []",
        ("groups:", "groups: no group runs 'worker'\n    Add worker to the `services` of one group."),
        (
            "services: []",
            "groups.worker.services: this is empty\n    The services that each of its droplets runs. Only the group of "
            "`observability` may say `[]`.",
        ),
    ),
    env(
        "a list in a list",
        "services: [worker]",
        "services: [[worker]]",
        (
            "[[worker]]",
            "groups.worker.services[0]: ['worker'] is not one of the allowed values\n"
            f"    Did you mean 'worker'? {SERVICES}",
        ),
    ),
    env(
        "a service with a slip, the only one of its group",
        "services: [worker]",
        "services: [woker]",
        (
            "[woker]",
            "groups.worker.services[0]: 'woker' is not one of the allowed values\n"
            f"    Did you mean 'worker'? {SERVICES}",
        ),
    ),
    env(
        "an unknown service",
        "[tenant-api, web-tenant, ",
        "[tenant-api, web-tenant,\n      quux, ",
        ("quux", f"groups.app.services[2]: 'quux' is not one of the allowed values\n    {SERVICES}"),
    ),
    env(
        "a text for a mapping",
        'valkey:\n  size: db-s-1vcpu-1gb\n  nodes: 1\n  maintenance: {day: tuesday, hour: "03:00"}',
        "valkey: small",
        (
            "valkey:",
            "valkey: 'small' is not a mapping\n    Write `key: value` lines. Its keys: size, nodes, "
            "maintenance.",
        ),
    ),
    env(
        "a list for a mapping with free keys",
        f"  ssh_keys:\n{KEY_LINE}",
        "  ssh_keys: [a, b]",
        ("ssh_keys:", "network.ssh_keys: ['a', 'b'] is not a mapping\n    Write `key: value` lines."),
    ),
    env(
        "a mapping without entries",
        f"  ssh_keys:\n{KEY_LINE}",
        "  ssh_keys: {}",
        ("ssh_keys:", f"network.ssh_keys: this is empty\n    {KEYS_RULE}"),
    ),
    tenants(
        "a mapping for a list",
        f"tenants:\n{GRACE}",
        "tenants: {a: b}\nthe:\n" + GRACE,
        (
            "tenants: {",
            "tenants: {a: 'b'} is not a list\n    Write a list. One entry for each church, in any order.",
        ),
        ("the:", "the: the key 'the' is unknown\n    Allowed here: tenants."),
    ),
    tenants(
        "an entry that is no mapping",
        GRACE,
        "  - grace\n",
        (
            "- grace",
            "tenants[0]: 'grace' is not a mapping\n    Write `key: value` lines. "
            "Its keys: id, slug, name, status, tier, dedicated, shared_copy, cell, limits, credentials, database, "
            "queue_prefix, maintenance.",
        ),
    ),
    env(
        "a group's name with a capital",
        "  worker:\n",
        "  Worker:\n",
        ("Worker:", f"groups.Worker: the name 'Worker' is not allowed\n    {LABEL_RULE}"),
    ),
    env(
        "a group's name that is too long",
        "  worker:\n",
        f"  {'w' * 21}:\n",
        ("www", f"groups.{'w' * 21}: the name '{'w' * 21}' is not allowed\n    {LABEL_RULE}"),
    ),
    env(
        "an environment's name with an underscore",
        "environment: staging",
        "environment: staging_1",
        (
            "environment:",
            f"environment: 'staging_1' is not allowed\n    {LABEL_RULE} Its name, which is also the "
            "folder's and the stack's.",
        ),
    ),
    env(
        "a base domain that is a URL",
        "base_domain: staging.presence360.app",
        "base_domain: https://staging.presence360.app",
        ("base_domain", f"base_domain: 'https://staging.presence360.app' is not allowed\n    {DOMAIN_RULE}"),
    ),
    env(
        "a base domain with a dot at its end",
        "base_domain: staging.presence360.app",
        "base_domain: staging.presence360.app.",
        ("base_domain", f"base_domain: 'staging.presence360.app.' is not allowed\n    {DOMAIN_RULE}"),
    ),
    env(
        "a base domain in capitals",
        "base_domain: staging.presence360.app",
        "base_domain: Staging.Presence360.app",
        ("base_domain", f"base_domain: 'Staging.Presence360.app' is not allowed\n    {DOMAIN_RULE}"),
    ),
    env(
        "a droplet size that is none",
        "size: s-2vcpu-2gb",
        "size: small",
        (
            "size: small",
            "groups.worker.size: 'small' is not allowed\n    The droplets' size, such as s-2vcpu-4gb.",
        ),
    ),
    env(
        "a droplet size for a database",
        "size: db-s-1vcpu-2gb",
        "size: s-1vcpu-2gb",
        (
            "size: s-1vcpu-2gb",
            "postgres.clusters.shared.size: 's-1vcpu-2gb' is not a size of Postgres that DigitalOcean sold on "
            "26 November 2026\n    With as much memory there is db-s-1vcpu-2gb or db-amd-1vcpu-2gb. If "
            "DigitalOcean has sold it since then, add it to "
            "`new_sizes`.",
        ),
    ),
    env(
        "an hour that is a number",
        '"02:00"',
        "2",
        (
            "hour: 2}",
            'postgres.clusters.shared.maintenance.hour: 2 is not text\n    Write it in quotes: "2". The '
            'hour in UTC, in quotes: "02:00".',
        ),
    ),
    env(
        "an hour that is none",
        '"02:00"',
        '"24:00"',
        (
            "24:00",
            "postgres.clusters.shared.maintenance.hour: '24:00' is not allowed\n"
            '    The hour in UTC, in quotes: "02:00".',
        ),
    ),
    env(
        "a day with a slip",
        'day: tuesday, hour: "02:00"',
        'day: tuseday, hour: "02:00"',
        (
            "tuseday",
            "postgres.clusters.shared.maintenance.day: 'tuseday' is not one of the allowed values\n"
            "    Did you mean 'tuesday'? Choose one of: monday, tuesday, wednesday, thursday, friday, saturday, "
            "sunday.",
        ),
    ),
    env(
        "a key's line that is no key",
        f'"{ED25519} replace-me@staging.example"',
        '"~/.ssh/id.pub"',
        ("id.pub", f"network.ssh_keys.ops: '~/.ssh/id.pub' is not allowed\n    {KEYS_RULE}"),
    ),
    tenants(
        "an id in capitals",
        "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001",
        "3F0A4C1E-8F4E-4C55-9A35-0D7A51C0A001",
        ("3F0A", f"tenants[0].id: '3F0A4C1E-8F4E-4C55-9A35-0D7A51C0A001' is not allowed\n    {ID_RULE}"),
    ),
    tenants(
        "the nil id",
        "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001",
        "00000000-0000-0000-0000-000000000000",
        ("0000-", f"tenants[0].id: '00000000-0000-0000-0000-000000000000' is not allowed\n    {ID_RULE}"),
    ),
    tenants(
        "a slug with a dot and capitals",
        "slug: grace",
        "slug: Grace.Chapel",
        ("Grace.", f"tenants[0].slug: 'Grace.Chapel' is not allowed\n    {SLUG_RULE}"),
    ),
    tenants(
        "a slug that ends with a hyphen",
        "slug: grace",
        "slug: grace-",
        ("grace-", f"tenants[0].slug: 'grace-' is not allowed\n    {SLUG_RULE}"),
    ),
    tenants(
        "a slug of 64 characters",
        "slug: grace",
        f"slug: {'g' * 64}",
        ("ggg", f"tenants[0].slug: '{'g' * 56}... is not allowed\n    {SLUG_RULE}"),
    ),
]

INTERPOLATIONS = [
    tenants(
        f"{mark} in a value",
        "Grace Chapel",
        written,
        (written, f"tenants[0].name: {shown} contains ${{ or %{{, which Terraform would evaluate\n"
         "    Remove it: these files are not templates."),
    )
    for mark, written, shown in (
        ("${", '"${file(1)}"', "'${file(1)}'"),
        ("%{", '"%{if true}"', "'%{if true}'"),
        ("${ spelt by an escape", '"\\x24{file(1)}"', "'${file(1)}'"),
        ("%{ spelt by an escape", '"%\\u007bif true}"', "'%{if true}'"),
    )
]  # fmt: skip
INTERPOLATIONS += [
    env(
        "${ in a key",
        "  apex: true",
        '  apex: true\n  "${a}": 1',
        ("${a}", "dns.${a}: '${a}' contains ${ or %{, which Terraform would evaluate\n"
         "    Remove it: these files are not templates."),
        ("${a}", "dns.${a}: the key '${a}' is unknown\n    Allowed here: apex, delegations."),
    ),
    env(
        "${ in a list",
        "[198.51.100.7/32]",
        "[198.51.100.7/32,\n    '${a}']",
        ("${a}", "network.admin_cidrs[1]: '${a}' contains ${ or %{, which Terraform would evaluate\n"
         "    Remove it: these files are not templates."),
        ("${a}", "network.admin_cidrs[1]: '${a}' is not allowed: a prefix length is missing, such as /32 for one "
         f"address\n    {ADMIN_RULE}"),
    ),
]  # fmt: skip

RULES = [
    env(
        "a service in two groups",
        "services: [worker]",
        "services: [worker, tenant-api]",
        ("[worker, tenant-api]", "groups.worker.services[1]: the group 'app' already runs 'tenant-api'\n"
         "    List it once: a service runs in one group, and its host names point to that group."),
    ),
    env(
        "a service twice in one group",
        "services: [worker]",
        "services: [worker, worker]",
        ("[worker, worker]", "groups.worker.services[1]: the group 'worker' already runs 'worker'\n"
         "    List it once: a service runs in one group, and its host names point to that group."),
    ),
    env(
        "services that no group runs",
        APP_SERVICES,
        "[tenant-api, web-control-plane]",
        ("groups:", "groups: no group runs 'control-plane-api'\n"
         "    Add control-plane-api to the `services` of one group."),
        ("groups:", "groups: no group runs 'web-tenant'\n    Add web-tenant to the `services` of one group."),
    ),
    env(
        "a load balancer for a private group",
        "services: [worker]\n",
        "services: [worker]\n    load_balancer: {size_units: 2}\n",
        ("load_balancer", "groups.worker.load_balancer: none of worker has a public name, so the group has no "
         "load balancer\n    Remove `load_balancer` from this group."),
    ),
    env(
        "replicas and autoscale",
        WORKER_SIZE,
        f"{WORKER_SIZE}\n    autoscale: {{min: 1, max: 2, cpu: 0.6}}",
        ("  worker:\n", f"groups.worker: `replicas` and `autoscale` are both set\n    {SIZE_REMEDY}"),
    ),
    env(
        "neither replicas nor autoscale",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb",
        ("  worker:\n", f"groups.worker: neither `replicas` nor `autoscale` is set\n    {SIZE_REMEDY}"),
    ),
    env(
        "a pool whose minimum is above its maximum",
        WORKER_SIZE,
        "    size: s-2vcpu-2gb\n    autoscale:\n      min: 6\n      max: 2\n      cpu: 0.6",
        ("min: 6", "groups.worker.autoscale.min: 6 is more than max, which is 2\n    Make `min` at most `max`."),
    ),
    ip_range("a public range", "8.8.0.0/16", "8.8.0.0/16 is not a private range (RFC 1918)"),
    ip_range("a range that is too wide", "10.60.0.0/15", "10.60.0.0/15 is not between /16 and /28"),
    ip_range("a range that is too narrow", "10.60.0.0/29", "10.60.0.0/29 is not between /16 and /28"),
    ip_range(
        "a private range that reaches into public addresses",
        "172.0.0.0/11",
        "172.0.0.0/11 is not a private range (RFC 1918)",
        "172.0.0.0/11 is not between /16 and /28",
        "172.0.0.0/11 overlaps 172.17.0.0/16, which containers have on every droplet",
        "172.0.0.0/11 overlaps 172.30.0.0/24, which containers have on every droplet",
    ),
    ip_range(
        "a range that containers have",
        "172.30.0.0/16",
        "172.30.0.0/16 overlaps 172.30.0.0/24, which containers have on every droplet",
    ),
    env(
        "a range with host bits",
        "10.60.0.0/20",
        "10.60.0.1/20",
        ("10.60.0.1", "network.ip_range: '10.60.0.1/20' is not allowed: this has host bits set; the network is "
         f"10.60.0.0/20\n    {RANGE_RULE}"),
    ),
    env(
        "a range without a prefix",
        "10.60.0.0/20",
        "10.60.0.0",
        ("10.60.0.0", "network.ip_range: '10.60.0.0' is not allowed: a prefix length is missing, such as /32 for one "
         f"address\n    {RANGE_RULE}"),
    ),
    env(
        "a range that is none",
        "10.60.0.0/20",
        "10.60/20",
        ("10.60/20", "network.ip_range: '10.60/20' is not allowed: this is not a CIDR such as 203.0.113.7/32\n"
         f"    {RANGE_RULE}"),
    ),
    env(
        "a range of IPv6",
        "10.60.0.0/20",
        "fd00::/64",
        ("fd00", "network.ip_range: 'fd00::/64' is not allowed: DigitalOcean's VPCs have IPv4 ranges only\n"
         f"    {RANGE_RULE}"),
    ),
    env(
        "a range that is a number",
        "10.60.0.0/20",
        "10",
        ("ip_range: 10", "network.ip_range: 10 is not allowed: this is not text; write a CIDR such as "
         f"203.0.113.7/32\n    {RANGE_RULE}"),
    ),
    env(
        "SSH from everywhere",
        "[198.51.100.7/32]",
        "[198.51.100.7/32, 0.0.0.0/0]",
        ("0.0.0.0/0]", "network.admin_cidrs[1]: 0.0.0.0/0 is wider than /24: too much of the internet could reach "
         "SSH\n    List the administrators' own public addresses, such as x.x.x.x/32."),
    ),
    env(
        "SSH from everywhere over IPv6",
        "[198.51.100.7/32]",
        "['2a00::/31']",
        ("2a00::/31", "network.admin_cidrs[0]: 2a00::/31 is wider than /48: too much of the internet could reach "
         "SSH\n    List the administrators' own public addresses, such as x.x.x.x/32."),
    ),
    env(
        "SSH from nowhere",
        "[198.51.100.7/32]",
        "[]",
        ("admin_cidrs", f"network.admin_cidrs: this is empty\n    {ADMIN_RULE}"),
    ),
    env(
        "the only administrator's address has a slip",
        "[198.51.100.7/32]",
        "[198.51.100.7]",
        ("admin_cidrs", "network.admin_cidrs[0]: '198.51.100.7' is not allowed: a prefix length is missing, such as "
         f"/32 for one address\n    {ADMIN_RULE}"),
    ),
    env(
        "a key that was cut in the middle of four characters",
        KEY_LINE,
        f'    ops: "{ED25519[:-2]}"',
        ("ops:", "network.ssh_keys.ops: the middle part is not base64; the key was cut or wrapped\n"
         f"    {KEY_REMEDY}"),
    ),
    env(
        "a key that was cut",
        KEY_LINE,
        f'    ops: "{ED25519[:-4]}"',
        ("ops:", "network.ssh_keys.ops: an ssh-ed25519 key has 51 bytes; this one has 48, so it was cut\n"
         f"    {KEY_REMEDY}"),
    ),
    env(
        "a key of another type that was cut",
        KEY_LINE,
        f'{KEY_LINE}\n    two: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDd"',
        ("two:", "network.ssh_keys.two: the middle part ends too early or too late; the key was cut\n"
         f"    {KEY_REMEDY}"),
    ),
    env(
        "a key of another type than its line says",
        KEY_LINE,
        f'    ops: "{ED25519.replace("ssh-ed25519", "ssh-rsa")}"',
        ("ops:", "network.ssh_keys.ops: the middle part does not hold a key of type ssh-rsa\n"
         f"    {KEY_REMEDY}"),
    ),
    env(
        "a key under two names",
        KEY_LINE,
        f'{KEY_LINE}\n    two: "{ED25519} another comment"',
        ("two:", "network.ssh_keys.two: this is the same key as 'ops'\n"
         "    Remove one of the two: DigitalOcean accepts a public key only once per account."),
    ),
    env(
        "a cluster with a slip",
        "  tenants: shared",
        "  tenants: shraed",
        ("tenants: shraed", "postgres.tenants: there is no cluster 'shraed'\n"
         "    Did you mean 'shared'? Name one of: shared."),
    ),
    env(
        "a cluster that nobody uses",
        "valkey:\n  size",
        "    spare:\n      size: db-s-1vcpu-2gb\n      nodes: 1\n      version: '16'\n"
        "      maintenance: {day: monday, hour: '04:00'}\n\nvalkey:\n  size",
        ("spare:", "postgres.clusters.spare: nothing uses this cluster\n"
         "    Use it in `control_plane` or `tenants`, or remove it."),
    ),
    env(
        "a Valkey standby that is not sold",
        "  size: db-s-1vcpu-1gb\n  nodes: 1",
        "  size: db-s-1vcpu-1gb\n  nodes: 2",
        ("nodes: 2", "valkey.nodes: db-s-1vcpu-1gb has one node only, and `nodes` is 2\n"
         "    Write `nodes: 1`, or choose a larger size."),
    ),
    env(
        "a delegation of a service's name",
        "  apex: true",
        "  apex: true\n  delegations: [eu, api]",
        ("delegations", "dns.delegations[1]: 'api' is the host name of a service\n"
         f"    Delegate another name. Taken: {', '.join(sorted(PLATFORM_HOSTS))}."),
    ),
    env(
        "a delegation twice",
        "  apex: true",
        "  apex: true\n  delegations: [eu, us, eu]",
        ("delegations", "dns.delegations[2]: 'eu' is listed twice\n    Remove one of the two."),
    ),
    env(
        "a delegation that is no label",
        "  apex: true",
        "  apex: true\n  delegations: [a.b]",
        ("delegations", f"dns.delegations[0]: 'a.b' is not allowed\n    {LABEL_RULE} Names below the base domain that "
         "are separate DNS zones, such as staging."),
    ),
    env(
        "an environment that is not called as its folder",
        "environment: staging",
        "environment: stagging",
        ("environment:", "environment: 'stagging' is not the folder's name, 'staging'\n"
         "    Write `environment: staging`, or rename the folder."),
    ),
    tenants(
        "a slug twice",
        "slug: river",
        "slug: grace # mine",
        ("# mine", "tenants[2].slug: tenants[0] (Grace Chapel) already has the slug 'grace'\n"
         "    Choose another: two tenants cannot have the same host name."),
    ),
    Row(
        "a slug that is delegated",
        (
            (STAGING, "  apex: true", "  apex: true\n  delegations: [river]"),
        ),
        (
            (STAGING_TENANTS, "slug: river", "tenants[2].slug: 'river' is delegated to another DNS zone, so "
                                             "the host name would "
             "never resolve\n    Choose another slug."),
        ),
    ),
]  # fmt: skip

BETWEEN = [
    Row(
        "ranges that overlap",
        ((STAGING, "10.60.0.0/20", "10.70.8.0/21"),),
        ((STAGING, "ip_range", "network.ip_range: 10.70.8.0/21 overlaps 10.70.0.0/20 of production\n"
          "    Choose a range that no other environment uses: DigitalOcean allows no overlap within an account."),),
    ),
    Row(
        "one base domain",
        ((STAGING, "base_domain: staging.presence360.app", "base_domain: presence360.app"),),
        ((STAGING, "base_domain", "base_domain: presence360.app is already the base domain of production\n"
          "    Give each environment its own domain."),),
    ),
    Row(
        "one key",
        ((STAGING, ED25519, PRODUCTION_KEY),),
        ((STAGING, "    ops:", "network.ssh_keys.ops: production already uses this key, as 'ops'\n"
          "    Use another key: DigitalOcean accepts a public key only once per account, and environments "
          "share nothing."),),
    ),
    Row(
        "a zone below another that does not delegate it",
        ((PRODUCTION, "delegations: [staging]", "delegations: [preview]"),),
        ((PRODUCTION, "delegations", "dns.delegations: staging.presence360.app of staging is below presence360.app "
          "and is not delegated\n    Add 'staging' to `dns.delegations`."),),
    ),
    Row(
        "a zone two labels below another: the label to delegate is the upper one",
        ((STAGING, "base_domain: staging.presence360.app", "base_domain: eu.preview.presence360.app"),),
        ((PRODUCTION, "delegations", "dns.delegations: eu.preview.presence360.app of staging is below "
          "presence360.app and is not delegated\n    Add 'preview' to `dns.delegations`."),),
    ),
    Row(
        "a slip in tenants.yaml does not hide what lies between environments",
        ((STAGING, "10.60.0.0/20", "10.70.0.0/20"), (PRODUCTION_TENANTS, "slug: zion", "slug: www")),
        (
            (PRODUCTION_TENANTS, "slug: www", "tenants[3].slug: 'www' is reserved for the platform\n"
             f"    Choose another. Reserved: {', '.join(sorted(RESERVED_SLUGS))}."),
            (STAGING, "ip_range", "network.ip_range: 10.70.0.0/20 overlaps 10.70.0.0/20 of production\n"
             "    Choose a range that no other environment uses: DigitalOcean allows no overlap within an account."),
        ),
    ),
]  # fmt: skip


def check(workspace: Workspace, row: Row) -> None:
    for edit in row.edits:
        workspace.replace(*edit)
    error = workspace.error()  # The text that is looked for comes from the spoilt file.
    assert error == expected(workspace, row.told)


@pytest.mark.parametrize("row", YAML_TRAPS + SHAPES + INTERPOLATIONS + RULES, ids=lambda row: row.name)
def test_a_mistake_in_one_environment(staging: Workspace, row: Row) -> None:
    check(staging, row)


@pytest.mark.parametrize("row", BETWEEN, ids=lambda row: row.name)
def test_a_mistake_between_environments(both: Workspace, row: Row) -> None:
    check(both, row)


def test_the_rows_have_names_of_their_own() -> None:
    names = [row.name for row in YAML_TRAPS + SHAPES + INTERPOLATIONS + RULES + BETWEEN]
    assert len(names) == len(set(names))


def test_the_real_files_are_accepted(both: Workspace) -> None:
    assert [environment.file.environment for environment in both.load()] == ["production", "staging"]


# Whole tables of the model: a row each, so that none can be forgotten.


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
def test_a_reserved_slug(staging: Workspace, slug: str) -> None:
    staging.replace(STAGING_TENANTS, "slug: river", f"slug: {slug}")
    told = (
        STAGING_TENANTS,
        f"slug: {slug}",
        f"tenants[2].slug: '{slug}' is reserved for the platform\n"
        f"    Choose another. Reserved: {', '.join(sorted(RESERVED_SLUGS))}.",
    )
    assert staging.error() == expected(staging, (told,))


@pytest.mark.parametrize("reserved", [str(reserved) for reserved in RESERVED_EVERYWHERE])
def test_a_range_that_is_reserved_everywhere(staging: Workspace, reserved: str) -> None:
    check(staging, ip_range("", reserved, f"{reserved} overlaps {reserved}, which DigitalOcean reserves"))


REGIONS_WITH_RANGE = [
    ("ams3", "10.18.0.0/16"),
    ("atl1", "10.50.0.0/16"),
    ("blr1", "10.47.0.0/16"),
    ("fra1", "10.19.0.0/16"),
    ("lon1", "10.16.0.0/16"),
    ("nyc3", "10.17.0.0/16"),
    ("sfo2", "10.46.0.0/16"),
    ("sfo3", "10.48.0.0/16"),
    ("sgp1", "10.15.0.0/16"),
    ("syd1", "10.49.0.0/16"),
    ("tor1", "10.20.0.0/16"),
]


@pytest.mark.parametrize(("region", "reserved"), REGIONS_WITH_RANGE)
def test_a_range_that_is_reserved_in_a_region(staging: Workspace, region: str, reserved: str) -> None:
    inside = reserved.replace(".0.0/16", ".128.0/20")
    staging.replace(STAGING, "region: fra1", f"region: {region}")
    check(staging, ip_range("", inside, f"{inside} overlaps {reserved}, which DigitalOcean reserves"))


def test_a_range_that_is_reserved_in_another_region_is_free(staging: Workspace) -> None:
    staging.replace(STAGING, "10.60.0.0/20", str(RESERVED_BY_REGION["lon1"]))
    assert str(staging.load()[0].file.network.ip_range) == "10.16.0.0/16"


@pytest.mark.parametrize("size", sorted(SINGLE_NODE_SIZES))
def test_a_postgres_standby_that_is_not_sold(staging: Workspace, size: str) -> None:
    staging.replace(STAGING, "size: db-s-1vcpu-2gb\n      nodes: 1", f"size: {size}\n      nodes: 2")
    told = (
        STAGING,
        "nodes: 2",
        f"postgres.clusters.shared.nodes: {size} has one node only, and `nodes` is 2\n"
        "    Write `nodes: 1`, or choose a larger size.",
    )
    assert staging.error() == expected(staging, (told,))


def test_an_environment_with_the_name_of_a_stack(staging: Workspace) -> None:
    (staging.root / "staging").rename(staging.root / "bootstrap")
    staging.replace("bootstrap/environment.yaml", "environment: staging", "environment: bootstrap")
    told = (
        "bootstrap/environment.yaml",
        "environment: ",
        "environment: 'bootstrap' is reserved: a stack of this program has that name\n"
        "    Choose another name for the folder and the environment.",
    )
    assert staging.error() == expected(staging, (told,))


def test_an_environment_whose_name_begins_with_anothers(both: Workspace) -> None:
    """Group `b` of `production-group` and group `group-b` of `production` would carry one tag."""
    (both.root / "staging").rename(both.root / "production-group")
    file = "production-group/environment.yaml"
    both.replace(file, "environment: staging", "environment: production-group")
    told = (
        file,
        "environment: ",
        "environment: 'production-group' begins with 'production' and a hyphen, so that names and tags of the two "
        "environments could be the same\n    Choose another name for production-group.",
    )
    assert both.error() == expected(both, (told,))


def test_of_two_environments_the_one_without_a_lock_is_told(both: Workspace) -> None:
    """An environment that is deployed keeps its names, wherever its own stands in the alphabet."""
    both.replace(STAGING, "10.60.0.0/20", "10.70.0.0/20")
    both.write("staging/tenants.lock", format_lock((), "staging"))
    overlap = "network.ip_range: 10.70.0.0/20 overlaps 10.70.0.0/20 of"
    assert f"{PRODUCTION}:{both.line(PRODUCTION, 'ip_range')}: {overlap} staging\n" in both.error()
    both.write("production/tenants.lock", format_lock((), "production"))
    assert f"{STAGING}:{both.line(STAGING, 'ip_range')}: {overlap} production\n" in both.error()


def test_a_new_environment_may_not_be_what_another_ones_name_begins_with(both: Workspace) -> None:
    (both.root / "production").rename(both.root / "staging-eu")
    file = "staging-eu/environment.yaml"
    both.replace(file, "environment: production", "environment: staging-eu")
    both.write("staging-eu/tenants.lock", format_lock((), "staging-eu"))
    both.write(ENVIRONMENTS_LOCK, format_environments([], {}))
    told = (
        STAGING,
        "environment: ",
        "environment: 'staging-eu' begins with 'staging' and a hyphen, so that names and tags of the two environments "
        "could be the same\n    Choose another name for staging.",
    )
    assert both.error() == expected(both, (told,))


def test_a_copied_environment_is_told_its_name_first(staging: Workspace) -> None:
    """Everything else of a fresh copy is its original's, which is no news."""
    copy = Workspace.copy(staging.root / "elsewhere", "staging").root / "staging"
    copy.rename(staging.root / "preview")
    (staging.root / "elsewhere" / "environments").rmdir()
    (staging.root / "elsewhere").rmdir()
    told = (
        "preview/environment.yaml",
        "environment: ",
        "environment: 'staging' is not the folder's name, 'preview'\n"
        "    Write `environment: preview`, or rename the folder.",
    )
    assert staging.error() == expected(staging, (told,))


def test_three_zones_below_each_other_need_one_delegation_each(both: Workspace) -> None:
    folder = both.root / "preview"
    folder.mkdir()
    text = both.text(STAGING).replace("environment: staging", "environment: preview")
    text = text.replace("staging.presence360.app", "preview.staging.presence360.app").replace(
        "10.60.", "10.80."
    )
    (folder / "environment.yaml").write_text(text.replace("IA" + "A" * 42, "IB" + "A" * 42))
    (folder / "tenants.yaml").write_text("tenants: []\n")
    told = (
        STAGING,
        "dns:",
        "dns.delegations: preview.staging.presence360.app of preview is below staging.presence360.app and is not "
        "delegated\n    Add 'preview' to `dns.delegations`.",
    )
    assert both.error() == expected(both, (told,))
    both.replace(STAGING, "  apex: true", "  apex: true\n  delegations: [preview]")
    assert len(both.load()) == 3


# Ids: what is offered to paste is new and valid each time.

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def test_an_id_that_is_missing_is_offered(staging: Workspace) -> None:
    staging.replace(STAGING_TENANTS, "  - id: 3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001\n    slug", "  - slug")
    staging.replace(STAGING_TENANTS, "  - id: b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003\n    slug", "  - slug")
    told = tuple(
        (STAGING_TENANTS, marker, f"tenants[{index}].id: this key is missing\n    Add `id: @`. {ID_RULE}")
        for index, marker in ((0, "- slug: grace"), (2, "- slug: river"))
    )
    error = staging.error()
    offered = re.findall(UUID, error)
    assert re.sub(UUID, "@", error) == expected(staging, told)
    assert len(set(offered)) == 2
    staging.replace(STAGING_TENANTS, "- slug: grace", f"- id: {offered[0]}\n    slug: grace")
    staging.replace(STAGING_TENANTS, "- slug: river", f"- id: {offered[1]}\n    slug: river")
    assert [tenant.id for tenant in staging.load()[0].tenants][::2] == offered


def test_an_id_twice(staging: Workspace) -> None:
    first = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
    staging.replace(STAGING_TENANTS, "b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003", f"{first} # mine")
    told = (
        STAGING_TENANTS,
        "# mine",
        f"tenants[2].id: tenants[0] (grace) already has the id '{first}'\n"
        "    Two tenants would share one database. Give the new one another id, such as @",
    )
    error = staging.error()
    assert re.sub(UUID + "$", "@", error, flags=re.MULTILINE) == expected(staging, (told,))
    assert first not in re.findall(UUID + "$", error, flags=re.MULTILINE)


# Whole files.


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", f":1: this has no value\n    {TOP_KEYS}"),
        ("# only a comment\n", f":1: this has no value\n    {TOP_KEYS}"),
        ("- a\n- b\n", f":1: ['a', 'b'] is not a mapping\n    {TOP_KEYS}"),
        ("hello\n", f":1: 'hello' is not a mapping\n    {TOP_KEYS}"),
        ("\n\n42\n", f":3: 42 is not a mapping\n    {TOP_KEYS}"),
        ("a: \xe9\n".encode("latin-1"), ":1: byte 0xe9 is not UTF-8\n    Save the file as UTF-8."),
        ("a: b\nc: d\n# \xe9\n".encode("latin-1"), ":3: byte 0xe9 is not UTF-8\n    Save the file as UTF-8."),
        (
            "environment: staging\n".encode("utf-16"),
            ":1: byte 0xff is not UTF-8\n    Save the file as UTF-8.",
        ),
        ("%YAML 3.0\n---\na: b\n", f":1: this is not YAML: found incompatible YAML document\n    {NOT_YAML}"),
    ],
)
def test_a_file_that_is_something_else(staging: Workspace, content: str | bytes, text: str) -> None:
    staging.write(STAGING, content)
    assert staging.error() == expected(staging, ()).replace(
        "\n0 problem in", f"environments/{STAGING}{text}\n\n1 problem in"
    )


@pytest.mark.parametrize("file", [STAGING, STAGING_TENANTS])
def test_a_file_that_is_missing(staging: Workspace, file: str) -> None:
    (staging.root / file).unlink()
    told = (file, "", "the file does not exist\n    Create it; README.md shows its shape.")
    assert staging.error() == expected(staging, (told,))


def test_a_file_that_is_a_folder(staging: Workspace) -> None:
    (staging.root / STAGING).unlink()
    (staging.root / STAGING).mkdir()
    told = (
        STAGING,
        "",
        "the file cannot be read: Is a directory\n    Check that it is a file and that you may read it.",
    )
    assert staging.error() == expected(staging, (told,))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(staging: Workspace) -> None:
    (staging.root / STAGING).chmod(0)
    told = (
        STAGING,
        "",
        "the file cannot be read: Permission denied\n    Check that it is a file and that you may read it.",
    )
    assert staging.error() == expected(staging, (told,))


@pytest.mark.parametrize("exists", [True, False])
def test_no_environment_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool) -> None:
    monkeypatch.chdir(tmp_path)
    if exists:
        (tmp_path / "environments" / ".git").mkdir(parents=True)
        (tmp_path / "environments" / "README.md").touch()
    with pytest.raises(InvalidInputError) as caught:
        load_environments(Path("environments"))
    assert str(caught.value) == (
        "environments: there is no environment here\n"
        "    Make a folder with environment.yaml and tenants.yaml; README.md describes them.\n\n"
        "1 problem in the environment files; nothing was written."
    )


@pytest.mark.parametrize("change", ["crlf", "bom", "marker", "no final newline"])
def test_what_editors_do_to_files_is_accepted(staging: Workspace, change: str) -> None:
    before = staging.load()
    for file in (STAGING, STAGING_TENANTS):
        text = staging.text(file)
        changed = {
            "crlf": text.replace("\n", "\r\n"),
            "bom": "\ufeff" + text,
            "marker": f"---\n{text}...\n",
            "no final newline": text.rstrip("\n"),
        }[change]
        assert changed != text
        staging.write(file, changed)
    assert [(one.file, one.tenants) for one in staging.load()] == [(one.file, one.tenants) for one in before]


def test_lines_are_counted_as_an_editor_counts_them_in_a_windows_file(staging: Workspace) -> None:
    staging.replace(STAGING, "region: fra1", "region: mars")
    line = staging.line(STAGING, "region: mars")
    staging.write(STAGING, staging.text(STAGING).replace("\n", "\r\n"))
    assert f"environments/{STAGING}:{line}: region: 'mars'" in staging.error()


# Everything at once. These lines are literal: the four files are written here.

TINY = {
    "production/environment.yaml": "environment: production\nregion: mars\nnodes: 3\n",
    "production/tenants.yaml": "tenants:\n  - id: x\n    slug: a\n    name: A\n",
    "staging/environment.yaml": "environment: staging\nenvironment: staging\n",
    "staging/tenants.yaml": "tenants:\n\n  - slug: '${x}'\n    id: 3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001\n",
}


def test_all_problems_of_all_files_are_told_at_once_in_the_order_of_files_and_lines(both: Workspace) -> None:
    for file, content in TINY.items():
        both.write(file, content)
    before = sorted(both.root.parent.rglob("*"))
    missing = (
        ("base_domain", f"Add `base_domain:`. {DOMAIN_RULE}"),
        ("description", "Add `description:`. What it is for, as shown in DigitalOcean's project."),
        ("groups", "Add `groups:`. The droplet groups by name."),
        ("limits", "Add `limits:`."),
        ("network", "Add `network:`."),
        ("postgres", "Add `postgres:`."),
        ("registry", "Add `registry:`."),
        ("releases", f"Add `releases:`. {RELEASES_RULE}"),
        ("storage", "Add `storage:`."),
        ("valkey", "Add `valkey:`."),
    )
    production = "environments/production/environment.yaml"
    staging = "environments/staging/environment.yaml"
    tenants = "environments/staging/tenants.yaml"
    region = ("region", f"Add `region:`. {REGION_RULE}")
    assert both.error().split("\n") == [
        *(
            line
            for key, text in missing
            for line in (f"{production}:1: {key}: this key is missing", f"    {text}")
        ),
        f"{production}:2: region: 'mars' is not one of the allowed values",
        f"    {REGIONS}",
        f"{production}:3: nodes: the key 'nodes' is unknown",
        "    Allowed here: accepted_losses, account, backups, base_domain, database_logs, deploy, description, dns, "
        "environment, groups, hardening, jobs, limits, maintenance, migrations, network, new_sizes, observability, "
        "postgres, "
        "public_settings, region, registry, releases, secrets, settings, status, storage, valkey.",
        "environments/production/tenants.yaml:2: tenants[0].id: 'x' is not allowed",
        f"    {ID_RULE}",
        *(
            line
            for key, text in sorted([*missing, region])
            for line in (f"{staging}:1: {key}: this key is missing", f"    {text}")
        ),
        f"{staging}:2: the key 'environment' is listed twice",
        "    Remove one of the two.",
        f"{tenants}:3: tenants[0].name: this key is missing",
        f"    Add `name:`. {NAME_RULE}",
        f"{tenants}:3: tenants[0].slug: '${{x}}' contains ${{ or %{{, which Terraform would evaluate",
        "    Remove it: these files are not templates.",
        f"{tenants}:3: tenants[0].slug: '${{x}}' is not allowed",
        f"    {SLUG_RULE}",
        "",
        "28 problems in the environment files; nothing was written.",
    ]
    assert sorted(both.root.parent.rglob("*")) == before


def test_what_is_right_of_a_faulty_file_is_checked_by_every_rule_at_once(staging: Workspace) -> None:
    """A wrong shape in one place does not hide a broken rule in another."""
    staging.replace(STAGING, "region: fra1", "region: fra2")
    staging.replace(STAGING, "services: [worker]", "services: [tenant-api]")
    staging.write(
        "staging/tenants.yaml",
        "tenants:\n"
        "  - {id: 3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001, slug: grace, name: Grace}\n"
        "  - {id: 7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002, slug: Hope, name: Hope}\n"
        "  - {id: b1e6f7d2-2c3d-4b5a-9e8f-7a6c5d4e3003, slug: grace, name: Another, name: Grace}\n"
        "  - {id: 0c5d9e7f-1a2b-4c3d-8e4f-5a6b7c8d9004, slug: api, name: Api}\n",
    )
    error = staging.error()
    for told in (
        "region: 'fra2' is not one of the allowed values",
        "groups.worker.services[0]: the group 'app' already runs 'tenant-api'",
        "groups: no group runs 'worker'",
        "tenants[1].slug: 'Hope' is not allowed",
        "tenants[2].slug: tenants[0] (Grace) already has the slug 'grace'",
        "the key 'name' is listed twice",
        "tenants[3].slug: 'api' is reserved for the platform",
        "7 problems in the environment files",
    ):
        assert told in error, error


def test_a_wrong_section_is_not_taken_for_its_default(both: Workspace) -> None:
    """`dns` may be left out; written wrong, it must not be told that it delegates nothing."""
    both.replace("production/environment.yaml", "delegations: [staging]", "delegations: [staging, 1]")
    assert "not delegated" not in both.error()


def test_all_rules_of_one_file_are_told_at_once(staging: Workspace) -> None:
    staging.replace(STAGING, "10.60.0.0/20", "10.60.0.0/29")
    staging.replace(STAGING, "services: [worker]", "services: [tenant-api]")
    staging.replace(STAGING, "control_plane: shared", "control_plane: other")
    staging.replace(STAGING, "  apex: true", "  delegations: [app]")
    staging.replace(STAGING_TENANTS, "slug: river", "slug: app")
    told = (
        (
            STAGING,
            "ip_range",
            f"network.ip_range: 10.60.0.0/29 is not between /16 and /28\n    {RANGE_REMEDY}",
        ),
        (
            STAGING,
            "groups:",
            "groups: no group runs 'worker'\n    Add worker to the `services` of one group.",
        ),
        (
            STAGING,
            "[tenant-api]",
            "groups.worker.services[0]: the group 'app' already runs 'tenant-api'\n"
            "    List it once: a service runs in one group, and its host names point to that group.",
        ),
        (
            STAGING,
            "control_plane:",
            "postgres.control_plane: there is no cluster 'other'\n    Name one of: shared.",
        ),
        (
            STAGING,
            "delegations",
            "dns.delegations[0]: 'app' is the host name of a service\n"
            f"    Delegate another name. Taken: {', '.join(sorted(PLATFORM_HOSTS))}.",
        ),
        (
            STAGING_TENANTS,
            "slug: app",
            "tenants[2].slug: 'app' is delegated to another DNS zone, so the host name would never resolve\n"
            "    Choose another slug.",
        ),
        (
            STAGING_TENANTS,
            "slug: app",
            f"tenants[2].slug: 'app' is reserved for the platform\n"
            f"    Choose another. Reserved: {', '.join(sorted(RESERVED_SLUGS))}.",
        ),
    )
    assert staging.error() == expected(staging, told)
