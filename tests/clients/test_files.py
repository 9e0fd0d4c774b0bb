"""docs/examples/church_files.py in a browser, against the software that Spaces is made of, with Terraform's rules."""

import json
import os
import queue
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import browser, object_storage
from lab.debian import MissingError
from lab.local_digitalocean.tls import Authority
from lab.object_storage import Gateway
from tests.clients.pages import EXAMPLES, snippets
from tests.support import Stack

DOMAIN = "staging.presence360.app"
CHURCH = "7c2f4a5e-9d2b-4d0f-8a36-1f0e5b6c7d88"
NAME = "Sunday service.jpg"

# What a service does, in the Python that has the clients: sign, and say what it signed.
_SIGN = """
{snippet}

import json
from dataclasses import replace

small = replace(church_files.SNAPSHOTS, most_bytes=1000)
signed = {{"key": key, "form": church_files.upload_form(s3, small, key, "image/jpeg"), "address": address}}
church_files.SECONDS = 1
signed["soon over"] = church_files.download_address(s3, key, church, "x")
church_files.SECONDS = 300
upload = {{"Bucket": os.environ["EXPORTS_BUCKET"], "Key": f"exports/{{church}}/part.csv", "ContentType": "text/csv"}}
signed["put"] = s3.generate_presigned_url("put_object", Params=upload, ExpiresIn=300)
signed["delete"] = s3.generate_presigned_url(
    "delete_object", Params={{"Bucket": os.environ["EXPORTS_BUCKET"], "Key": key}}, ExpiresIn=300
)


def refused(what):
    try:
        what()
    except church_files.RefusedError as error:
        return str(error)


signed["refused"] = [
    refused(lambda: church_files.new_key(church_files.SNAPSHOTS, church, "video/mp4")),
    refused(lambda: church_files.new_key(church_files.EXPORTS, church, "video/webm")),
    refused(lambda: church_files.download_address(s3, key, uuid.uuid4(), "x")),
    refused(lambda: church_files.download_address(s3, f"elsewhere/{{church}}/x", church, "x")),
]
signed["types"] = sorted(church_files.SNAPSHOTS.types | church_files.EXPORTS.types)
print(json.dumps(signed))
"""

# What a page does; each step's outcome is what the page itself may see.
_PAGE = """<!doctype html><script type="module">
{upload}
const signed = {signed};
const outcome = {{}};
const step = async (name, work) => {{
  try {{ outcome[name] = await work() ?? "done"; }} catch (error) {{ outcome[name] = error.message; }}
}};
const file = (bytes, type) => new File(["x".repeat(bytes)], "x.jpg", {{ type }});
const changed = (fields) => ({{ ...signed.form, fields: {{ ...signed.form.fields, ...fields }} }});
const put = async (type) => {{
  const headers = {{ "Content-Type": type }};
  return (await fetch(signed.put, {{ method: "PUT", body: "a,b", headers }})).status;
}};
const another = signed.form.fields.key + "x";
await step("upload", () => upload(signed.form, file(900, "image/jpeg")));
await step("too large", () => upload(signed.form, file(1001, "image/jpeg")));
await step("empty", () => upload(signed.form, file(0, "image/jpeg")));
await step("video", () => upload(changed({{ "Content-Type": "video/mp4" }}), file(9, "video/mp4")));
await step("another key", () => upload(changed({{ key: another }}), file(9, "image/jpeg")));
await step("download", async () => {{
  const answer = await fetch(signed.address);
  return [answer.status, answer.headers.get("Content-Type"), (await answer.text()).length];
}});
await step("put", () => put("text/csv"));
await step("put of another type", () => put("text/html"));
await step("delete", async () => (await fetch(signed.delete, {{ method: "DELETE" }})).status);
await step("header that is not allowed", async () => {{
  return (await fetch(signed.address, {{ headers: {{ "X-Mine": "1" }} }})).status;
}});
await new Promise((go) => setTimeout(go, 1500));
await step("too late", async () => (await fetch(signed["soon over"])).status);
await fetch("/report", {{ method: "POST", body: JSON.stringify(outcome) }});
</script>"""


@dataclass
class Scene:
    """A bucket as Terraform sets it up, a service that signs, and a server of pages."""

    gateway: Gateway
    s3: Any
    bucket: str
    pages: browser.Pages
    python: Path

    def sign(self) -> dict[str, Any]:
        """Return what the service signed."""
        environ = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(EXAMPLES), "EXPORTS_BUCKET": self.bucket,
            "EXPORTS_ENDPOINT": f"https://{object_storage.REGION}.{object_storage.DOMAIN}",
            "EXPORTS_REGION": object_storage.REGION, "EXPORTS_PREFIX": "exports/", "SNAPSHOTS_PREFIX": "snapshots/",
            "EXPORTS_ACCESS_KEY_ID": self.gateway.access_key, "EXPORTS_SECRET_ACCESS_KEY": self.gateway.secret_key,
        }  # fmt: skip
        code = _SIGN.format(snippet="import os\n" + snippets()["files"].code)
        done = subprocess.run(
            [str(self.python), "-c", code], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        signed: dict[str, Any] = json.loads(done.stdout)
        return signed

    def visit(self, origin: str, signed: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Open the page at an origin; what it reports."""
        self.pages.content["/"] = _PAGE.format(upload=snippets()["upload"].code, signed=json.dumps(signed))
        hosts = {f"*.{object_storage.DOMAIN}": self.gateway.tls_port, "*": self.pages.port}
        try:
            with browser.opened(f"{origin}/", folder, hosts):
                report: dict[str, Any] = self.pages.report(40)
                return report
        except queue.Empty:
            raise AssertionError((folder / "browser.log").read_text(errors="replace")[-2000:]) from None


@pytest.fixture(scope="module")
def scene(
    gateway: Gateway, staging: Stack, python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    try:
        browser.unpacked()
    except MissingError as error:
        pytest.skip(str(error))
    cors = staging.only("spaces_bucket_cors_configuration")
    bucket, s3 = staging.follow(cors["bucket"]), gateway.client()
    s3.create_bucket(Bucket=bucket["name"])
    rules = [
        {"".join(word.title() for word in name.split("_")): value for name, value in rule.items()}
        for rule in cors["cors_rule"]
    ]
    s3.put_bucket_cors(Bucket=bucket["name"], CORSConfiguration={"CORSRules": rules})
    folder = tmp_path_factory.mktemp("pages")
    for name, text in zip(("certificate", "key"), Authority({}).sign("127.0.0.1"), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    with browser.pages(folder / "certificate", folder / "key") as pages:
        yield Scene(gateway, s3, bucket["name"], pages, python)


@pytest.fixture(scope="module")
def signed(scene: Scene) -> dict[str, Any]:
    return scene.sign()


def test_a_churchs_page_uploads_and_downloads_what_was_signed_and_nothing_else(
    scene: Scene, signed: dict[str, Any], tmp_path: Path
) -> None:
    said = scene.visit(f"https://grace.{DOMAIN}", signed, tmp_path)
    refused = "Failed to fetch"
    assert said == {
        "upload": "done",
        "too large": "the upload was refused: 400",
        "empty": "the upload was refused: 400",
        "video": "the upload was refused: 403",
        "another key": "the upload was refused: 403",
        "download": [200, "image/jpeg", 900],
        "put": 200,
        # 403 without the headers that would let the page read it.
        "put of another type": refused,
        "too late": refused,
        # The bucket's rules let no page do these, whatever was signed.
        "delete": refused,
        "header that is not allowed": refused,
    }
    stored = scene.s3.list_objects_v2(Bucket=scene.bucket)["Contents"]
    assert sorted(entry["Key"] for entry in stored) == sorted([signed["key"], f"exports/{CHURCH}/part.csv"])


@pytest.mark.parametrize(
    "origin", ["https://app.presence360.app.evil.example", "https://staging.presence360.app.example"]
)
def test_no_other_page_reads_an_answer(
    scene: Scene, signed: dict[str, Any], tmp_path: Path, origin: str
) -> None:
    said = scene.visit(origin, signed, tmp_path)
    assert set(said.values()) == {"Failed to fetch"}, said


def test_the_platforms_own_pages_reach_the_bucket(
    scene: Scene, signed: dict[str, Any], tmp_path: Path
) -> None:
    said = scene.visit(f"https://app.{DOMAIN}", signed, tmp_path)
    assert (said["upload"], said["download"]) == ("done", [200, "image/jpeg", 900])


def test_video_and_other_churches_files_are_not_signed(signed: dict[str, Any]) -> None:
    assert re.fullmatch(rf"snapshots/{CHURCH}/{uuid.UUID(signed['key'][-40:-4])}\.jpg", signed["key"])
    assert signed["refused"][:2] == [
        "Files of type video/mp4 are not stored. Allowed: image/jpeg, image/png, image/webp.",
        "Files of type video/webm are not stored. Allowed: application/pdf, application/zip, text/csv.",
    ]
    assert signed["refused"][2:] == ["There is no such file."] * 2
    assert not [name for name in signed["types"] if re.match("video|audio", name)]
    assert (
        "response-content-disposition=attachment%3B%20filename%3D%22Sunday%20service.jpg%22"
        in signed["address"]
    )
