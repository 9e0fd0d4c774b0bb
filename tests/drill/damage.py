"""What may be wrong with one database of a fork, or with its dumps: each with the check that has to find it."""

from collections.abc import Callable
from dataclasses import dataclass

from lab.managed_cluster import Tenant
from tests.drill.site import Fork, Platform


@dataclass(frozen=True)
class Damage:
    """One way in which a church's data comes back wrong.

    Attributes:
        check: the check that has to fail.
        words: what it has to say.
        spoil: does it: on the fork, or in the bucket.
    """

    check: str
    words: str
    spoil: Callable[[Fork, Platform, Tenant], None]


def sql(*statements: str) -> Callable[[Fork, Platform, Tenant], None]:
    """Statements of the superuser in the church's database on the fork; ``{owner}`` is its role."""

    def spoil(fork: Fork, _: Platform, tenant: Tenant) -> None:
        texts = [
            one.replace("{owner}", tenant.owner).replace("{database}", tenant.database) for one in statements
        ]
        # As the owner, so that nothing else differs.
        fork.superuser(f'SET ROLE "{tenant.owner}"', *texts, database=tenant.database)

    return spoil


def superuser(*statements: str) -> Callable[[Fork, Platform, Tenant], None]:
    def spoil(fork: Fork, _: Platform, tenant: Tenant) -> None:
        for one in statements:
            fork.superuser(
                one.replace("{owner}", tenant.owner)
                .replace("{database}", tenant.database)
                .replace("{user}", tenant.user()),
                database=tenant.database,
            )

    return spoil


def page(relation: str, number: int = 0) -> Callable[[Fork, Platform, Tenant], None]:
    """A page of a table or an index whose bytes are others than those that were written."""

    def spoil(fork: Fork, _: Platform, tenant: Tenant) -> None:
        ((path,),) = fork.superuser(f"SELECT pg_relation_filepath('{relation}')", database=tenant.database)
        file = fork.data / path
        # The server has it in memory otherwise.
        fork.superuser("CHECKPOINT")
        content = bytearray(file.read_bytes())
        begin = number * 8192
        for at in range(begin + 4000, begin + 4200):
            content[at] ^= 0xFF
        file.write_bytes(content)

    return spoil


def dumps(kind: str, change: Callable[[bytes], bytes]) -> Callable[[Fork, Platform, Tenant], None]:
    """The newest dump's objects, changed in the bucket."""

    def spoil(_: Fork, platform: Platform, tenant: Tenant) -> None:
        site = platform.site
        key = f"{site.dumps(tenant.database)[-1]}/{kind}"
        content = change(site.read(key))
        site.gateway.client().put_object(Bucket=site.bucket, Key=key, Body=content)

    return spoil


def of_another(_: Fork, platform: Platform, tenant: Tenant) -> None:
    """The newest dump is that of another church, under this one's name."""
    site = platform.site
    other = site.dumps(Tenant.number(1).database)[-1]
    own = site.dumps(tenant.database)[-1]
    for kind in ("dump.age", "contents.age"):
        site.gateway.client().put_object(
            Bucket=site.bucket, Key=f"{own}/{kind}", Body=site.read(f"{other}/{kind}")
        )


DAMAGES: dict[str, Damage] = {
    "page of a table": Damage("readable", "public.kin cannot be read: damaged pages", page("kin", 1)),
    "page of an index": Damage("whole", "kin_by_name cannot be read", page("kin_by_name", 1)),
    "missing table": Damage("as dumped", "table public.kin: ", sql("DROP TABLE kin")),
    "missing row": Damage(
        "as dumped", "public.kin: 999 rows", sql("DELETE FROM kin WHERE id = 500")
    ),
    "changed row": Damage(
        "as dumped", "public.kin: 1000 rows", sql("UPDATE kin SET name = 'another' WHERE id = 500")
    ),
    "missing index": Damage("as dumped", "index public.kin_by_name", sql("DROP INDEX kin_by_name")),
    "invalid index": Damage(
        "whole",
        "the index public.kin_by_name is not valid",
        superuser("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'kin_by_name'::regclass"),
    ),
    "sequence": Damage("as dumped", "public.kin_id_seq: 7 t", sql("SELECT setval('kin_id_seq', 7)")),
    "missing constraint": Damage(
        "as dumped", "constraint public.kin.kin_name_check", sql("ALTER TABLE kin DROP CONSTRAINT kin_name_check")
    ),
    "rows that break a key": Damage(
        "whole",
        "the foreign key kin_family_fkey of public.kin: rows that refer to rows that are not there",
        superuser("SET session_replication_role = replica; DELETE FROM clans WHERE id = 7"),
    ),
    "duplicate rows": Damage(
        "whole",
        "the indexes of public.kin cannot be made again: rows that are not unique",
        superuser(
            "UPDATE pg_index SET indisready = false WHERE indexrelid = 'kin_email_key'::regclass",
            "INSERT INTO kin (id, family, name, email) VALUES (5000, 1, 'twin', '1@example.org')",
            "UPDATE pg_index SET indisready = true WHERE indexrelid = 'kin_email_key'::regclass",
        ),
    ),
    "wrong owner": Damage(
        "owned", "table public.kin belongs to postgres", superuser("ALTER TABLE kin OWNER TO postgres")
    ),
    "empty database": Damage(
        "as dumped", "table public.kin: ", sql("DROP TABLE kin", "DROP TABLE clans")
    ),
    "truncated dump": Damage("restored", "it was not decrypted", dumps("dump.age", lambda it: it[: len(it) // 2])),
    "unreadable dump": Damage(
        "opened", "it was not decrypted", dumps("contents.age", lambda it: it[:-9] + b"unreadable")
    ),
    "another church's dump": Damage("opened", "it is the dump of tenant_", of_another),
    "no right to connect": Damage(
        "connected", "cannot work in", superuser('REVOKE CONNECT ON DATABASE "{database}" FROM "{database}_access"')
    ),
    "a stranger let in": Damage(
        "kept out", "it was let in", superuser('GRANT CONNECT ON DATABASE "control_plane" TO "{user}"')
    ),
    "renamed database": Damage(
        "as dumped", "its record is that of another database",
        superuser(
            """DO $$ DECLARE said jsonb := shobj_description(oid, 'pg_database')::jsonb FROM pg_database
            WHERE datname = '{database}'; BEGIN
            EXECUTE format('COMMENT ON DATABASE %I IS %L', '{database}',
                jsonb_set(said, '{backup,key}', '"dumps/tenant_x/20260101T000000Z.shared"')::text); END $$"""
        ),
    ),
}  # fmt: skip
