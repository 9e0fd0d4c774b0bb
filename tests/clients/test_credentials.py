"""How a service reads a church's credentials object: the page's own code."""

import json
import os
import subprocess
from pathlib import Path

from lab.object_storage import Gateway
from tests.clients.pages import snippets

BUCKET = "read-credentials"


def test_a_church_that_is_not_served_has_no_credentials(gateway: Gateway, python: Path) -> None:
    s3 = gateway.client()
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="tenants/a.json", Body=json.dumps({"user": "tenant_a_g1"}))
    environ = {
        "PATH": os.environ["PATH"],
        "TENANT_CREDENTIALS_BUCKET": BUCKET,
        "TENANT_CREDENTIALS_ENDPOINT": gateway.endpoint,
        "TENANT_CREDENTIALS_ACCESS_KEY_ID": gateway.access_key,
        "TENANT_CREDENTIALS_SECRET_ACCESS_KEY": gateway.secret_key,
    }
    code = f'{snippets()["read-credentials"].code}\nprint(json.dumps([read_credentials("a"), read_credentials("b")]))'
    done = subprocess.run([str(python), "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"user": "tenant_a_g1"}, None]
