"""Certificates that operators write: what has the marks of one alone is none."""

import pytest
from pydantic import TypeAdapter, ValidationError

from lab.local_digitalocean.tls import Authority
from model.certificates import Certificates
from tests.model.workspace import Workspace

READ = TypeAdapter(Certificates)
BEGIN, END = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"


def test_whole_ones_are_taken_as_they_are() -> None:
    both = Authority({}).certificate + Authority({}).certificate
    assert READ.validate_python(both) == both


@pytest.mark.parametrize("damage", ["AAAA\n", "cut", "base64"])
def test_what_is_none_is_refused_with_its_number(damage: str) -> None:
    whole = Authority({}).certificate
    first, *middle, last = whole.removeprefix(BEGIN).removesuffix(END).splitlines(keepends=True)
    body = {"cut": first + "".join(middle[:-1]), "base64": first + "".join(middle) + last[1:]}.get(
        damage, damage
    )
    with pytest.raises(ValidationError, match="certificate 2 of 2 cannot be read"):
        READ.validate_python(f"{whole}{BEGIN}{body}{END}")


def test_the_operator_is_told_where_and_what_to_do(staging: Workspace) -> None:
    file = "staging/environment.yaml"
    server = "  server: logs.presence360.example\n"
    marks = "".join(f"    {line}\n" for line in (BEGIN.strip(), "AAAA", END.strip()))
    staging.replace(file, server, f"{server}  authority: |\n{marks}")
    error = staging.error()
    assert f"environments/{file}:{staging.line(file, '  authority:')}: database_logs.authority: " in error
    assert "is not allowed: certificate 1 of 1 cannot be read. It may be cut, or be no certificate" in error
    assert "Copy its file again, whole\n    Who signs the server's certificate, as PEM" in error
