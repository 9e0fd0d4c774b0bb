"""What the bucket holds is checked before anything is touched."""

import json

import pytest

from droplet.converge import objects
from model.env_file import env_file
from tests.droplet.machine import Host


class TestChecks:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("compose.yaml", None, "the bucket has no compose.yaml"),
            ("secrets.worker.env", None, "the bucket has no secrets.worker.env"),
            (
                "settings.env",
                "x" * (objects.MAX_OBJECT_BYTES + 1),
                "settings.env has more than 4194304 bytes",
            ),
            ("release.json", "{", "release.json is not JSON"),
            ("release.json", "[]", "release.json is not a JSON object"),
            ("release.json", "{}", "release.json names no images"),
            ("release.json", '{"images": {"A": "a:1"}}', "'A' is not a service name"),
            ("release.json", '{"images": {"api": "a"}}', "'a' of api is not an image with a tag or digest"),
            ("release.json", '{"images": {"api": "a:1 b"}}', "is not an image with a tag or digest"),
            ("release.json", '{"images": {"api": 1}}', "is not an image with a tag or digest"),
            ("release.json", '{"images": {"api": "a:1"}}', "names no image for worker"),
            ("settings.env", "A=b c\n", "settings.env, line 1: not NAME=value"),
            ("secrets.worker.env", "# one\nA=1\nB='two\n", "secrets.worker.env, line 3: not NAME=value"),
            ("secrets.api.env", 'A="$HOME"\n', "secrets.api.env, line 1"),
            ("secrets.api.env", "A=1", "secrets.api.env, line 1"),
            ("registry.json", '{"credsStore": "x"}', "registry.json is not"),
            ("registry.json", '{"auths": []}', "registry.json is not"),
            ("ca.pem", "nothing", "ca.pem holds no certificate"),
        ],
    )
    def test_what_is_wrong_is_refused_and_nothing_is_touched(
        self, healthy: Host, capsys: pytest.CaptureFixture[str], name: str, content: str | None, message: str
    ) -> None:
        before = healthy.current
        if content is None:
            del healthy.bucket[name]
        else:
            healthy.bucket[name] = content
        assert healthy.once() == 1
        assert message in capsys.readouterr().out
        assert healthy.current == before
        assert not healthy.did(" up ")
        assert not healthy.did("systemctl")
        assert not healthy.success

    @pytest.mark.parametrize("program", ["config --format json", "nginx -t"])
    def test_what_a_program_refuses_is_refused(self, healthy: Host, program: str) -> None:
        healthy.bucket["nginx.conf"] = "other"
        healthy.failing = program
        assert healthy.once() == 1
        assert not healthy.did("systemctl")

    def test_an_error_shows_no_secret(self, healthy: Host, capsys: pytest.CaptureFixture[str]) -> None:
        healthy.bucket["secrets.api.env"] = "PASSWORD='hunter2\n"
        healthy.once()
        assert "hunter2" not in capsys.readouterr().out

    def test_reads_what_the_generator_writes(self) -> None:
        values = {
            f"V{number}": text for number, text in enumerate(["", "a b", "it's", '"', "$A ${B}", "a\\", "\n"])
        }
        objects.check_env("settings.env", env_file(values).encode())

    @pytest.mark.parametrize(
        "image",
        [
            "registry.example/presence360/api:1.4.2",
            "localhost:5000/api:1",
            f"registry.example/api@sha256:{'a' * 64}",
        ],
    )
    def test_images_are_names_with_a_tag_or_a_digest(self, image: str) -> None:
        content = json.dumps({"images": {"api": image}}).encode()
        assert objects.check_release(content) == {"api": image}
