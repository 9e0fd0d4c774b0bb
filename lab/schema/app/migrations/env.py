"""Alembic's environment of the stand-in application: the database that the job names, and nothing else."""

import os

from alembic import context
from sqlalchemy import create_engine, pool

address = os.environ.get("TENANT_DATABASE_URL") or os.environ["CONTROL_PLANE_DATABASE_URL"]
engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
