"""What would hurt and looks right: each value, the exact text that is shown, and that nothing is accepted beside it."""

import base64

import pytest

from model.secret_values import HIDDEN
from model.tenants import RESERVED_SLUGS
from tests.model.test_bad_files import DESCRIPTION, ED25519, KEY_LINE, SLUG_RULE, Row, check, env, tenants
from tests.model.workspace import STAGING, STAGING_TENANTS, Workspace

ADMINS = "[198.51.100.7/32]"
OWN_ADDRESSES = "List the administrators' own public addresses, such as x.x.x.x/32."
DOMAIN = "base_domain: staging.presence360.app"
OWN_DOMAIN = "Write a domain that your organization has registered, or a name below one."
SETTINGS = "  LOG_LEVEL: debug\n"
SECRET = "  MNOTIFY_API_KEY: [worker]"
SECRET_REMEDY = (
    "List the services that need it: [worker]. If this is its value, it is exposed: replace it where it comes "
    "from, and "
    "keep the new one out of these files (.env.example says where it goes)."
)
SECRETS = """secrets:
  SESSION_SIGNING_KEY: [tenant-api, control-plane-api]
  REKOGNITION_ACCESS_KEY_ID: [worker]
  REKOGNITION_SECRET_ACCESS_KEY: [worker]
  MNOTIFY_API_KEY: [worker]
"""
SECRETS_REMEDY = (
    "Write a line for each secret with its name and the services that need it: MNOTIFY_API_KEY: [worker]. If this is "
    "the value of a secret, it is exposed: replace it where it comes from, and keep the new one out of these files "
    "(.env.example says where it goes)."
)
ANYWHERE_REMEDY = (
    "Remove it, and replace it where it comes from: it is exposed. Only the names of secrets belong here, under "
    "`secrets` of environment.yaml; .env.example says where their values go."
)
TAG_REMEDY = "Write a tag that is never pushed twice, such as 1.4.2, or the image's digest: sha256:..."
NAME_RULE = (
    "Write one line of text: no blanks at its ends, and no control, zero-width or direction characters. The "
    "church's name "
    "as people write it."
)
# Written in two parts, so that no scanner takes this file for a leak.
STRIPE = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
TOKEN = "dop_v1_" + "0123456789abcdef" * 4
GITHUB = "ghp_" + "A1b2C3d4" * 4 + "E5f6"
PASTED = (STRIPE, TOKEN, GITHUB, "hunter2", "12345678")


def admin(name: str, written: str, fault: str) -> Row:
    return env(
        name,
        ADMINS,
        f"['{written}']",
        (written, f"network.admin_cidrs[0]: {fault}\n    {OWN_ADDRESSES}"),
    )


def never(kind: str, written: str) -> Row:
    return admin(
        f"administrators at {written}", written, f"{written} is {kind}: nobody reaches a droplet from there"
    )


def domain(written: str, fault: str) -> Row:
    return env(
        f"the base domain {written}",
        DOMAIN,
        f"base_domain: {written}",
        ("base_domain", f"base_domain: {fault}\n    {OWN_DOMAIN}"),
    )


def tag(written: str, kind: str = "a tag that moves") -> Row:
    return env(
        f"the release {written!r}",
        '  worker: "1.4.2"',
        f'  worker: "{written}"',
        (
            "  worker: ",
            f"releases.worker: '{written}' is {kind}: what runs would change without an edit\n    {TAG_REMEDY}",
        ),
    )


def registry(name: str, url: str, fault: str, remedy: str) -> Row:
    return env(
        name,
        "url: registry.digitalocean.com/presence360",
        f"url: {url}",
        ("url: ", f"registry.url: {fault}\n    {remedy}"),
    )


def setting(name: str, line: str, *told: str) -> Row:
    return env(name, SETTINGS, f"{SETTINGS}  {line}\n", *((line.partition(":")[0], text) for text in told))


def exposed(name: str, variable: str, value: str) -> Row:
    return setting(
        name,
        f'{variable}: "{value}"',
        f"settings.{variable}: the value contains a password or a key, and this file is in git\n    Write `{variable}: "
        "[service, ...]` under `secrets`, and replace the password or key: it is exposed.",
    )


def pasted(name: str, written: str, place: str = "") -> Row:
    return env(
        name,
        SECRET,
        f"  MNOTIFY_API_KEY: {written}",
        (
            "MNOTIFY_API_KEY",
            f"secrets.MNOTIFY_API_KEY{place}: {HIDDEN} is not a list of services\n    {SECRET_REMEDY}",
        ),
    )


def instead_of_secrets(name: str, written: str) -> Row:
    """Something that stands where the whole mapping of secrets belongs."""
    return env(
        name,
        SECRETS,
        f"secrets: {written}\n",
        ("secrets:", f"secrets: {HIDDEN} is not a mapping\n    {SECRETS_REMEDY}"),
    )


def anywhere(place: str, old: str, new: str, what: str = "the value", *, file: str = STAGING) -> Row:
    """A token in a field that is no setting and no secret."""
    message = f"{place}: {what} contains a password or a key, and this file is in git\n    {ANYWHERE_REMEDY}"
    return Row(f"a token in {place}", ((file, old, new),), ((file, new.strip().split("\n")[-1], message),))


def unseen(name: str, written: str) -> Row:
    return tenants(
        name,
        "name: Grace Chapel",
        f'name: "{written}"',
        (f'name: "{written}"', f"tenants[0].name: {written!r} is not allowed\n    {NAME_RULE}"),
    )


def rsa(bits: int) -> str:
    """Return the line of an RSA key of a length, as OpenSSH writes it (RFC 4253, section 6.6)."""
    modulus = b"\0" + (1 << (bits - 1) | 1).to_bytes(bits // 8)
    fields = (b"ssh-rsa", b"\1\0\1", modulus)
    return "ssh-rsa " + base64.b64encode(b"".join(len(f).to_bytes(4) + f for f in fields)).decode()


WEAK_REMEDY = "Make a new one: ssh-keygen -t ed25519. Then paste the line of its .pub file."
DSA = "ssh-dss " + base64.b64encode(b"\0\0\0\7ssh-dss" + b"\0\0\0\1\2" * 4).decode()
SIZE_LISTED = (
    "is not a size of {} that DigitalOcean sold on 26 November 2026\n    {}If DigitalOcean has sold it since then, "
    "add it to `new_sizes`."
)

ROWS = [
    # Administrators' addresses.
    never("private (RFC 1918)", "10.0.0.7/32"),
    never("private (RFC 1918)", "172.31.0.0/24"),
    never("private (RFC 1918)", "192.168.1.0/24"),
    never("shared by a provider's customers (CGNAT, RFC 6598)", "100.64.3.2/32"),
    never("loopback (RFC 1122)", "127.0.0.1/32"),
    never("link-local (RFC 3927)", "169.254.169.254/32"),
    never("multicast (RFC 5771)", "224.0.0.1/32"),
    never("kept for later (RFC 1112)", "255.255.255.255/32"),
    never("this network (RFC 1122)", "0.0.0.0/32"),
    never("kept for benchmarks (RFC 2544)", "198.18.0.0/24"),
    never("loopback (RFC 4291)", "::1/128"),
    never("unspecified (RFC 4291)", "::/128"),
    never("link-local (RFC 4291)", "fe80::1/128"),
    never("private (RFC 4193)", "fd12:3456::/48"),
    never("multicast (RFC 4291)", "ff02::1/128"),
    never("an IPv4 address in IPv6's spelling (RFC 4291)", "::ffff:cb00:7107/128"),
    admin(
        "administrators in a /23",
        "8.8.8.0/23",
        "8.8.8.0/23 is wider than /24: too much of the internet could reach SSH",
    ),
    admin(
        "administrators in a /47",
        "2a00::/47",
        "2a00::/47 is wider than /48: too much of the internet could reach SSH",
    ),
    env(
        "an administrator twice",
        ADMINS,
        "[8.8.8.8/32, 8.8.8.8/32]",
        ("admin_cidrs", "network.admin_cidrs[1]: 8.8.8.8/32 is listed twice\n    Remove one of the two."),
    ),
    env(
        "an administrator in a range that is listed",
        ADMINS,
        "[8.8.8.0/24, 8.8.8.8/32]",
        (
            "admin_cidrs",
            "network.admin_cidrs[1]: 8.8.8.8/32 lies in 8.8.8.0/24, which is listed too\n"
            "    Remove one of the two.",
        ),
    ),
    # Keys.
    env(
        "an RSA key of 2,048 bits",
        KEY_LINE,
        f'    ops: "{rsa(2048)}"',
        (
            "    ops:",
            f"network.ssh_keys.ops: this RSA key has 2,048 bits; at least 3,072 are needed\n    {WEAK_REMEDY}",
        ),
    ),
    env(
        "a DSA key",
        KEY_LINE,
        f'    ops: "{DSA}"',
        (
            "    ops:",
            "network.ssh_keys.ops: DSA keys are too short for any use, and OpenSSH no longer accepts them\n"
            f"    {WEAK_REMEDY}",
        ),
    ),
    anywhere("network.ssh_keys.ops", KEY_LINE, f'    ops: "{STRIPE}"'),
    # Domains.
    domain("co.uk", "co.uk is a public suffix: strangers register their own names directly below it"),
    domain("github.io", "github.io is a public suffix: strangers register their own names directly below it"),
    domain("com.gh", "com.gh is a public suffix: strangers register their own names directly below it"),
    domain(
        "ondigitalocean.app",
        "ondigitalocean.app is a public suffix: strangers register their own names directly below it",
    ),
    domain("presence360.internal", "there is no top-level domain 'internal'"),
    domain("presence360.local", "there is no top-level domain 'local'"),
    domain("presence360.localhost", "there is no top-level domain 'localhost'"),
    domain("presence360.test", "there is no top-level domain 'test'"),
    # Releases.
    *(
        tag(one)
        for one in ("latest", "LATEST", "Latest", "dev", "main", "stable", "production", "nightly", "edge")
    ),
    *(tag(one, "a tag that moves with each smaller release") for one in ("1", "v1", "V2", "1.4", "v1.4")),
    # Registries.
    registry(
        "a registry without a host",
        "presence360/images",
        "'presence360/images' names no host, so Docker would pull from Docker Hub, where anybody may have pushed "
        "these names",
        "Begin with the registry's host: registry.digitalocean.com/presence360.",
    ),
    registry(
        "a registry that is one word",
        "presence360",
        "'presence360' names no host, so Docker would pull from Docker Hub, where anybody may have pushed "
        "these names",
        "Begin with the registry's host: registry.digitalocean.com/presence360.",
    ),
    registry(
        "a registry that is localhost",
        "localhost/presence360",
        "'localhost/presence360' names no host, so Docker would pull from Docker Hub, where anybody may "
        "have pushed "
        "these names",
        "Begin with the registry's host: registry.digitalocean.com/presence360.",
    ),
    registry(
        "a registry that is a host alone",
        "registry.digitalocean.com",
        "'registry.digitalocean.com' has a host and no path: the images would be "
        "registry.digitalocean.com/tenant-api "
        "and so on",
        "Add the path that your images have in common: registry.digitalocean.com/presence360.",
    ),
    env(
        "a registry's user with a password",
        "  url: registry.digitalocean.com/presence360\n",
        "  url: registry.digitalocean.com/presence360\n  username: robot:hunter2\n",
        (
            "username",
            "registry.username: a user name cannot hold a colon: what follows it would be taken for a part of the "
            "password (RFC 7617)\n    Write the name alone. The token is TF_VAR_staging_registry_token.",
        ),
    ),
    # Sizes.
    env(
        "a droplet size that is not sold",
        "size: s-2vcpu-2gb",
        "size: s-3vcpu-2gb",
        (
            "s-3vcpu",
            "groups.worker.size: 's-3vcpu-2gb' "
            + SIZE_LISTED.format(
                "droplets", "With as much memory there is s-1vcpu-2gb or s-1vcpu-2gb-70gb-intel. "
            ),
        ),
    ),
    env(
        "a size of Postgres for Valkey",
        "valkey:\n  size: db-s-1vcpu-1gb",
        "valkey:\n  size: gd-2vcpu-8gb",
        (
            "gd-2vcpu",
            "valkey.size: 'gd-2vcpu-8gb' "
            + SIZE_LISTED.format("Valkey", "With as much memory there is db-s-4vcpu-8gb. "),
        ),
    ),
    env(
        "a size of Valkey for Postgres",
        "size: db-s-1vcpu-2gb\n      nodes: 1",
        "size: db-s-8vcpu-32gb\n      nodes: 1",
        (
            "db-s-8",
            "postgres.clusters.shared.size: 'db-s-8vcpu-32gb' "
            + SIZE_LISTED.format(
                "Postgres", "With as much memory there is db-amd-8vcpu-32gb or db-intel-8vcpu-32gb. "
            ),
        ),
    ),
    tenants(
        "a size of a church's own cluster that is not sold",
        "slug: grace\n",
        'slug: grace\n    dedicated: {size: db-s-3vcpu-4gb, nodes: 1, version: "17", maintenance: {day: monday, '
        'hour: "02:00"}}\n',
        (
            "db-s-3",
            "tenants[0].dedicated.size: 'db-s-3vcpu-4gb' "
            + SIZE_LISTED.format(
                "Postgres", "With as much memory there is db-s-2vcpu-4gb or db-amd-2vcpu-4gb. "
            ),
        ),
    ),
    env(
        "a droplet that is too small for its services",
        "size: s-2vcpu-4gb",
        "size: s-1vcpu-2gb",
        (
            "size: s-1vcpu-2gb",
            "groups.app.size: s-1vcpu-2gb has 2,048 MiB of memory; the services of this group may use 3,328 MiB, "
            "512 of them the droplet itself, 768 what keeps the metrics\n"
            "    Choose a larger size, such as s-2vcpu-4gb, or move services to "
            "another "
            "group.",
        ),
    ),
    env(
        "a droplet that is too small for the worker",
        "size: s-2vcpu-2gb",
        "size: s-1vcpu-1gb",
        (
            "size: s-1vcpu-1gb",
            "groups.worker.size: s-1vcpu-1gb has 1,024 MiB of memory; the services of this group may use "
            "1,536 MiB, 512 of them the droplet itself\n    Choose a larger size, such as s-1vcpu-2gb, or move "
            "services to "
            "another group.",
        ),
    ),
    env(
        "a network that is too small while droplets are replaced",
        "10.60.0.0/20",
        "10.60.0.0/28",
        (
            "ip_range",
            "network.ip_range: 10.60.0.0/28 has 16 addresses, and 18 are needed while droplets are replaced\n"
            "    Choose a range of /27 or larger before the first deploy. A deployed range cannot be changed: "
            "use fewer "
            "droplets then.",
        ),
    ).with_edit("    size: s-2vcpu-2gb\n    replicas: 1", "    size: s-2vcpu-2gb\n    replicas: 2"),
    tenants(
        "a church's own cluster that is older than the shared one",
        "slug: grace\n",
        'slug: grace\n    dedicated: {size: db-s-2vcpu-4gb, nodes: 1, version: "16", maintenance: {day: monday, '
        'hour: "02:00"}}\n',
        (
            "dedicated:",
            "tenants[0].dedicated.version: Postgres 16 is older than the 17 of shared, the cluster that its "
            'database is copied from\n    Write `version: "17"` or a newer one: a database is never copied to an older '
            "version.",
        ),
    ),
    # Secrets that are pasted.
    pasted("a key in the place of the services", STRIPE),
    pasted("a key in a list", f"[{STRIPE}]", "[0]"),
    pasted("a password that looks like nothing", "hunter2"),
    pasted("a password that is a number", "12345678"),
    pasted("a mapping with a password", "{value: hunter2}"),
    env(
        "a key for a key",
        SECRET,
        f"  {STRIPE}: [worker]",
        (
            STRIPE,
            f"secrets.{HIDDEN}: the name {HIDDEN} is not allowed\n"
            "    Use 1 to 63 of A-Z, 0-9 and underscores, starting with a letter: LOG_LEVEL.",
        ),
    ),
    instead_of_secrets("a key in the place of all secrets", STRIPE),
    instead_of_secrets("a password in the place of all secrets", "hunter2"),
    instead_of_secrets("a number in the place of all secrets", "12345678"),
    instead_of_secrets("a list in the place of all secrets", "[hunter2, {MNOTIFY_API_KEY: hunter2}]"),
    env(
        "a password for the name of a secret",
        SECRET,
        "  hunter2: [worker]",
        (
            "hunter2",
            f"secrets.{HIDDEN}: the name {HIDDEN} is not allowed\n"
            "    Use 1 to 63 of A-Z, 0-9 and underscores, starting with a letter: LOG_LEVEL.",
        ),
    ),
    env(
        "a password twice for the name of a secret",
        SECRET,
        "  12345678: [worker]",
        ("12345678", f"the key {HIDDEN} is not text\n    Write the key in quotes."),
    ),
    env(
        "a password that begins with an asterisk",
        SECRET,
        "  MNOTIFY_API_KEY: *hunter2",
        ("*hunter2", f"alias {HIDDEN} is not allowed\n    Write the value out."),
    ),
    env(
        "a password that Terraform would evaluate",
        SECRET,
        "  MNOTIFY_API_KEY: ['${hunter2']",
        (
            "MNOTIFY_API_KEY",
            f"secrets.MNOTIFY_API_KEY[0]: {HIDDEN} contains ${{ or %{{, which Terraform would evaluate\n"
            "    Remove it: these files are not templates.",
        ),
        (
            "MNOTIFY_API_KEY",
            f"secrets.MNOTIFY_API_KEY[0]: {HIDDEN} is not a list of services\n    {SECRET_REMEDY}",
        ),
    ),
    tenants(
        "secrets in the place of a church's name",
        "name: Grace Chapel",
        "name: {secrets: {MNOTIFY_API_KEY: hunter2}}",
        (
            "name: {",
            f"tenants[0].name: {{secrets: {HIDDEN}}} is not text\n    Write text. The church's name "
            "as people write it.",
        ),
    ),
    # Tokens in fields that are for people, or for names.
    anywhere("tenants[0].name", "name: Grace Chapel", f"name: {TOKEN}", file=STAGING_TENANTS),
    anywhere("tenants[0].name", "name: Grace Chapel", f"name: Grace {GITHUB}", file=STAGING_TENANTS),
    anywhere("tenants[0].slug", "slug: grace\n", f"slug: {STRIPE}\n", file=STAGING_TENANTS),
    anywhere("description", DESCRIPTION, f"description: Staging {TOKEN}"),
    anywhere("releases.worker", '  worker: "1.4.2"', f'  worker: "{STRIPE}"'),
    anywhere(
        "registry.username",
        "  url: registry.digitalocean.com/presence360\n",
        f"  url: registry.digitalocean.com/presence360\n  username: {TOKEN}\n",
    ),
    anywhere("base_domain", DOMAIN, f"base_domain: {TOKEN}"),
    anywhere("network.ssh_keys.ops", KEY_LINE, f'    ops: "{ED25519} {GITHUB}"'),
    env(
        "a token in a comment",
        DESCRIPTION,
        f"{DESCRIPTION} # {TOKEN}",
        (
            DESCRIPTION,
            "this comment contains a password or a key, and this file is in git\n"
            "    Remove it, and replace the password or key where it comes from: it is exposed.",
        ),
    ),
    env(
        "a token for a key",
        DESCRIPTION,
        f"{DESCRIPTION}\n{TOKEN}: x",
        (
            TOKEN,
            f"{HIDDEN}: the name contains a password or a key, and this file is in git\n    {ANYWHERE_REMEDY}",
        ),
    ),
    exposed("Stripe's key in a setting", "UPSTREAM", STRIPE),
    exposed("GitHub's token in a setting", "UPSTREAM", GITHUB),
    exposed("GitHub's new token in a setting", "UPSTREAM", "github_pat_" + "11ABCDEFG0" * 3),
    exposed(
        "Slack's token in a setting",
        "UPSTREAM",
        "xoxb-" + "123456789012-123456789012-abcdefABCDEF1234567890ab",
    ),
    exposed(
        "Slack's address in a setting",
        "UPSTREAM",
        "https://hooks.slack.com/services/" + "T0AAAAAA1/B0BBBBBB1/" + "c1" * 12,
    ),
    exposed(
        "SendGrid's key in a setting", "UPSTREAM", "SG." + "a1B2c3D4e5F6g7H8i9J0k1" + "." + "A1" * 21 + "x"
    ),
    exposed("Twilio's account in a setting", "UPSTREAM", "AC" + "0123456789abcdef" * 2),
    exposed(
        "a JSON web token in a setting",
        "UPSTREAM",
        "eyJhbGciOiJIUzI1NiJ9."
        + "eyJzdWIiOiIxMjM0NTY3ODkwIn0"
        + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ),
    exposed("AWS's key in a setting", "UPSTREAM", "AKIA" + "IOSFODNN7EXAMPL1"),
    exposed("Google's key in a setting", "UPSTREAM", "AIza" + "SyA1234567890abcdefghijklmnopqrstuv"),
    exposed("DigitalOcean's token in a setting", "UPSTREAM", TOKEN),
    exposed("a password in an address", "UPSTREAM", "amqp://user:hunter2@mq.presence360.app/x"),
    exposed("a secret under a measure's name", "TOKEN_TTL_SECONDS", STRIPE).but(
        "settings.TOKEN_TTL_SECONDS: 'TOKEN_TTL_SECONDS' looks like the name of a secret, and this file is in "
        "git\n    Write "
        "`TOKEN_TTL_SECONDS: [service, ...]` under `secrets`, and keep the value out of these files. If it is "
        "no secret, add "
        "TOKEN_TTL_SECONDS to `public_settings`."
    ),
    setting(
        "a password that is a number",
        'API_PASSWORD: "123456"',
        "settings.API_PASSWORD: 'API_PASSWORD' looks like the name of a secret, and this file is in git\n    Write "
        "`API_PASSWORD: [service, ...]` under `secrets`, and keep the value out of these files. If it is no "
        "secret, add "
        "API_PASSWORD to `public_settings`.",
    ),
    env(
        "a public setting that there is not",
        SETTINGS,
        f"{SETTINGS}\npublic_settings: [LOG_LEVLE]\n",
        (
            "public_settings",
            "public_settings[0]: there is no setting 'LOG_LEVLE'\n    Did you mean 'LOG_LEVEL'? Remove it: it "
            "would let a secret of this name pass later.",
        ),
    ),
    # Names.
    unseen("a name of blanks", "  "),
    unseen("a name of wide blanks", "\u3000\u2003"),
    unseen("a name of fillers", "\u3164\u3164"),
    unseen("a name with a blank before it", " Grace"),
    unseen("a name with a zero-width space", "Grace\u200bChapel"),
    unseen("a name with a direction override", "Grace\u202eChapel"),
    unseen("a name with an isolate", "Grace\u2066Chapel"),
    unseen("a name with a soft hyphen", "Gr\xadace"),
    unseen("a name that begins with a byte order mark", "\ufeffGrace"),
    # Slugs.
    *(
        tenants(
            f"the slug {slug}",
            "slug: grace\n",
            f"slug: {slug}\n",
            (
                f"slug: {slug}",
                f"tenants[0].slug: '{slug}' has hyphens as its third and fourth characters, which mark "
                "encoded names (RFC 5891)\n    Choose another, without `--` there: browsers would show other "
                "letters than "
                "these.",
            ),
        )
        for slug in ("xn--grce-5na", "ab--cd")
    ),
    tenants(
        "a slug of one hyphen",
        "slug: grace\n",
        'slug: "-"\n',
        ('"-"', f"tenants[0].slug: '-' is not allowed\n    {SLUG_RULE}"),
    ),
    # Delegations.
    env(
        "a delegation to a zone that nobody holds",
        "  apex: true",
        "  apex: true\n  delegations: [old]",
        (
            "delegations",
            "dns.delegations[0]: no environment has the zone old.staging.presence360.app, so that anybody with a "
            "DigitalOcean account could take it\n    Remove it, and add it together with the environment whose "
            "`base_domain` it "
            "is.",
        ),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_is_refused(staging: Workspace, row: Row) -> None:
    before = sorted(staging.root.parent.rglob("*"))
    check(staging, row)
    assert sorted(staging.root.parent.rglob("*")) == before, "something was written"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_secret_is_repeated(staging: Workspace, row: Row) -> None:
    for edit in row.edits:
        staging.replace(*edit)
    error = staging.error()
    assert not [secret for secret in PASTED if secret in error]


@pytest.mark.parametrize(
    "slug",
    ["localhost", "autodiscover", "autoconfig", "wpad", "isatap", "mta-sts", "imap", "ftp", "webmail", "postmaster",
     "hostmaster", "grafana", "vpn", "www", "api"],
)  # fmt: skip
def test_a_name_that_programs_look_up_is_no_churchs(slug: str) -> None:
    assert slug in RESERVED_SLUGS


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (STAGING, SETTINGS, f'{SETTINGS}  TOKEN_TTL_SECONDS: "3600"\n'),
        (STAGING, SETTINGS, f'{SETTINGS}  PASSWORD_MIN_LENGTH: "12"\n'),
        (STAGING, SETTINGS, f'{SETTINGS}  ACCESS_TOKEN_TTL: "15m"\n'),
        (STAGING, SETTINGS, f'{SETTINGS}  PASSWORD_LOGIN_ENABLED: "true"\n'),
        (STAGING, SETTINGS, f"{SETTINGS}  JWT_KEY_ID: k1\n\npublic_settings: [JWT_KEY_ID]\n"),
        (STAGING, SETTINGS, f"{SETTINGS}  UPSTREAM: https://hooks.presence360.app/a/b?c=0123456789012345678901\n"),
        (STAGING, ADMINS, "[8.8.8.0/24, '2a00:1450::/48']"),
        (STAGING, KEY_LINE, f'    ops: "{rsa(3072)}"'),
        (STAGING, "size: s-2vcpu-2gb", "size: c5-2vcpu-4gb"),
        (STAGING, "size: s-2vcpu-2gb", "size: x9-large"),
        (STAGING, "valkey:\n  size: db-s-1vcpu-1gb", "valkey:\n  size: m-2vcpu-16gb"),
        (STAGING, "  url: registry.digitalocean.com/presence360", "  url: registry.example.org:5000/team"),
        (STAGING, '  worker: "1.4.2"', '  worker: "v1.4.2"'),
        (STAGING, '  worker: "1.4.2"', '  worker: "2026-11-26"'),
        (STAGING, '  worker: "1.4.2"', '  worker: "main-3f0a4c1"'),
        (STAGING_TENANTS, "name: Grace Chapel", "name: Église de la Grâce"),
        (STAGING_TENANTS, "name: Grace Chapel", "name: Asɔre a ɛwɔ Kumasi"),
        (STAGING_TENANTS, "name: Grace Chapel", "name: 恩典 教会"),
        (STAGING_TENANTS, "slug: grace", 'slug: "123"'),
    ],
)  # fmt: skip
def test_what_only_resembles_it_is_accepted(staging: Workspace, file: str, old: str, new: str) -> None:
    staging.replace(file, old, new)
    if "c5-" in new or "x9-" in new:
        staging.replace(STAGING, "dns:\n", f"new_sizes: [{new.partition(': ')[2]}]\n\ndns:\n")
    assert len(staging.load()) == 1


@pytest.mark.parametrize("written", ["example.com", "church.example", "staging.example.org"])
def test_an_example_domain_is_warned_about(staging: Workspace, written: str) -> None:
    staging.replace(STAGING, DOMAIN, f"base_domain: {written}")
    (environment,) = staging.load()
    assert str(environment.warnings[1]) == (
        f"environments/{STAGING}:{staging.line(STAGING, 'base_domain')}: base_domain: {written} is an example: "
        f"nobody can "
        "register it, and no certificate is issued for it\n    Replace it with your own domain before the first deploy."
    )
