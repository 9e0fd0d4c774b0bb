"""Extensions that may be named in an environment file: DigitalOcean supports each."""

from typing import get_args

from model.environment import Extension

SUPPORTED = """
bloom bool_plperl btree_gin btree_gist citext cube dblink dict_int earthdistance fuzzystrmatch hll hstore intagg
intarray ip4r isn jsonb_plperl lo ltree pageinspect pg_buffercache pg_cron pg_partman pg_prewarm pg_repack pg_similarity
pg_stat_statements pg_trgm pgaudit pgcrypto pgrouting pgrowlocks pgstattuple pgvector plperl plpgsql postgres_fdw seg
sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent unit uuid-ossp
"""
"""What DigitalOcean's page "Supported PostgreSQL Extensions" names, without those that it has from 16 or 17 on only.

DigitalOcean validated it on 2025-11-25; read on 2026-11-26 in a copy of 2026-01-07 of
https://docs.digitalocean.com/products/databases/postgresql/details/supported-extensions/.
"""


def test_each_is_supported_in_every_version_that_may_be_named() -> None:
    assert set(get_args(Extension)) <= set(SUPPORTED.split())
