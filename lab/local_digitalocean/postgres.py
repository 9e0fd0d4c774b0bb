"""Real Postgres servers behind database clusters, with what DigitalOcean makes on them made as DigitalOcean makes it.

The administrator is no superuser, users are made by one, and nothing is revoked. Servers listen on loopback with TLS,
with a certificate that the account's authority signed: `verify-full` holds.
"""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from lab.local_digitalocean.catalogue import KEPT_CONNECTIONS, server_connections
from lab.local_digitalocean.cluster_model import ADMINISTRATOR, FIRST_DATABASE
from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.store import Account, Record
from lab.local_postgres import SUPERUSER, Server, Template, give_away, installations

HOST = "127.0.0.1"
CERTIFICATE, KEY = "server.crt", "server.key"
_HBA = f"local all {SUPERUSER} scram-sha-256\nhostssl all all {HOST}/32 scram-sha-256\n"
_PASSWORD = "postgres_superuser"  # noqa: S105  (the secret's name)


class PostgresServers:
    """The servers, one a cluster.

    Attributes:
        folder: where their data is: one folder a cluster, and one a backup.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._installed = installations()
        self._templates: dict[int, Template] = {}
        self._running: dict[str, Server] = {}
        # Postgres refuses to run as root, and whom it runs as passes through here.
        for name in ("clusters", "backups"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
        # What initdb makes is not kept: it is made anew in a second.
        self._scratch = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
        self._scratch.chmod(0o711)

    def create(self, account: Account, cluster: Record, restored: Record | None) -> None:
        """Start a server for a new cluster, with a backup's content if it is restored from one."""
        template = self._template(account, int(cluster["version"]))
        home = self.folder / "clusters" / cluster["id"]
        home.mkdir()
        home.chmod(0o711)
        if restored is None:
            template.copy(home)
        else:
            subprocess.run(
                ["cp", "-r", self.folder / "backups" / restored["_backup"]["_copy"], home / "data"],
                check=True,
            )
        certificate, key = account.authority.sign(HOST)
        (home / "data" / CERTIFICATE).write_text(certificate, encoding="utf-8")
        (home / "data" / KEY).write_text(key, encoding="utf-8")
        (home / "data" / KEY).chmod(0o600)
        (home / "data" / "pg_hba.conf").write_text(_HBA, encoding="utf-8")
        give_away(home)
        cluster["_server"] = {"host": HOST, "port": _free_port()}
        self.resume(account, cluster)
        self._be_born(account, cluster, restored)

    def resume(self, account: Account, cluster: Record) -> None:
        """Start a cluster's server, on the port that it had."""
        template = self._template(account, int(cluster["version"]))
        self._running[cluster["id"]] = template.start(
            self.folder / "clusters" / cluster["id"],
            listen_addresses=HOST,
            port=cluster["_server"]["port"],
            unix_socket_directories=str(self.folder / "clusters" / cluster["id"]),
            max_connections=server_connections(cluster["size"]),
            superuser_reserved_connections=KEPT_CONNECTIONS,
            ssl="on",
            ssl_cert_file=CERTIFICATE,
            ssl_key_file=KEY,
        )

    def _template(self, account: Account, major: int) -> Template:
        if major not in self._installed:
            known = ", ".join(map(str, self._installed)) or "none"
            raise unprocessable(f"no Postgres {major} is installed here (installed: {known})")
        if major not in self._templates:
            home = self._scratch / str(major)
            home.mkdir()
            home.chmod(0o711)
            password = account.secrets.setdefault(_PASSWORD, account.uuid())
            self._templates[major] = Template(self._installed[major], home, password)
        return self._templates[major]

    def _be_born(self, account: Account, cluster: Record, restored: Record | None) -> None:
        """Make the administrator and the first database; or give a restored cluster's users their new passwords."""
        if restored is not None:
            for user in cluster["_users"].values():
                self.set_password(account, cluster, user["name"], user["password"])
            return
        password = cluster["_users"][ADMINISTRATOR]["password"]
        self._run(
            account,
            cluster,
            sql.SQL(
                "CREATE ROLE {} LOGIN NOSUPERUSER CREATEROLE CREATEDB REPLICATION BYPASSRLS PASSWORD {}"
            ).format(sql.Identifier(ADMINISTRATOR), sql.Literal(password)),
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                *map(sql.Identifier, (FIRST_DATABASE, ADMINISTRATOR))
            ),
        )

    def create_database(self, account: Account, cluster: Record, name: str) -> None:
        """Make a database that the administrator owns."""
        statement = sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY file_copy")
        self._run(account, cluster, statement.format(*map(sql.Identifier, (name, ADMINISTRATOR))))

    def drop_database(self, account: Account, cluster: Record, name: str) -> None:
        """Drop a database with its connections."""
        self._run(account, cluster, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def create_user(self, account: Account, cluster: Record, name: str, password: str) -> None:
        """Make a user by a superuser: the administrator has no ADMIN OPTION on it."""
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        self._run(account, cluster, statement.format(sql.Identifier(name), sql.Literal(password)))

    def drop_user(self, account: Account, cluster: Record, name: str) -> None:
        """Drop it, with nothing first taken from it."""
        self._run(account, cluster, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))

    def set_password(self, account: Account, cluster: Record, name: str, password: str) -> None:
        """Give a user another password."""
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
        self._run(account, cluster, statement.format(sql.Identifier(name), sql.Literal(password)))

    def _run(self, account: Account, cluster: Record, *statements: sql.Composed) -> None:
        """Run statements as the superuser.

        Raises:
            ApiError: 422: Postgres refuses, as to drop a role that owns something.
        """
        with self._connect(account, cluster) as connection:
            for statement in statements:
                try:
                    connection.execute(statement)
                except psycopg.Error as error:
                    raise unprocessable(str(error).partition("\n")[0]) from None

    def _connect(self, account: Account, cluster: Record) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(
            host=str(self.folder / "clusters" / cluster["id"]),
            port=cluster["_server"]["port"],
            user=SUPERUSER,
            password=account.secrets[_PASSWORD],
            dbname="postgres",
            autocommit=True,
        )

    def delete(self, account: Account, cluster: Record) -> None:
        """End a cluster's server, and lose what it held and its backups."""
        server = self._running.pop(cluster["id"], None)
        if server is not None:
            server.stop()
            shutil.rmtree(server.folder)
        for one in cluster["_backups"]:
            shutil.rmtree(self.folder / "backups" / one.get("_copy", "none"), ignore_errors=True)
        account.save()

    def backup(self, account: Account, cluster: Record) -> str:
        """Copy a cluster's files while it runs (PostgreSQL documentation, "Low Level API", of base backups)."""
        name = account.uuid()
        source, target = self._running[cluster["id"]].folder / "data", self.folder / "backups" / name
        with self._connect(account, cluster) as connection:
            connection.execute("SELECT pg_backup_start('local', true)")
            # A file that vanishes on the way is one of those that recovery makes again.
            subprocess.run(["cp", "-r", source, target], check=False, stderr=subprocess.DEVNULL)
            label = connection.execute(
                "SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)"
            ).fetchone()
        if label is None:
            raise unprocessable("Postgres has made no backup")
        shutil.copytree(source / "pg_wal", target / "pg_wal", dirs_exist_ok=True)
        (target / "backup_label").write_text(str(label[0]), encoding="utf-8")
        (target / "postmaster.pid").unlink(missing_ok=True)
        return name

    def stop(self) -> None:
        """End every server; their data stays."""
        for server in self._running.values():
            server.stop()
        self._running.clear()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
