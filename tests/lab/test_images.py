"""What is taken from a Dockerfile. That the images run is shown on a booted droplet (tests/droplets)."""

from pathlib import Path

import pytest

from lab.images import ContainerImage

DOCKERFILE = """
# Comments and what `docker build` alone does are left out.
FROM python:3.13-slim AS base
RUN pip install --require-hashes \\
    --requirement requirements.lock
WORKDIR /app
ENV PYTHONUNBUFFERED=1 \\
    LANG=C.UTF-8

FROM base AS tenant-api
CMD ["python", "-m", "uvicorn", "church.api:app"]

FROM base AS worker
ENV REMAP_SIGTERM=SIGQUIT
CMD ["python", "-m", "celery", "worker"]
"""


@pytest.fixture
def image(tmp_path: Path) -> ContainerImage:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return ContainerImage(tmp_path / "image.tar", tmp_path)


def test_a_stage_has_its_own_instructions_and_those_of_the_stage_below(image: ContainerImage) -> None:
    base = ["WORKDIR /app", "ENV PYTHONUNBUFFERED=1 LANG=C.UTF-8"]
    assert image.changes("tenant-api") == [*base, 'CMD ["python", "-m", "uvicorn", "church.api:app"]']
    assert image.changes("worker") == [
        *base,
        "ENV REMAP_SIGTERM=SIGQUIT",
        'CMD ["python", "-m", "celery", "worker"]',
    ]


def test_docker_imports_a_stage(image: ContainerImage) -> None:
    command = image.import_command("/srv/image.tar", "worker", "registry.test/worker:1.0.0")
    assert command[:2] == ["docker", "import"]
    assert command.count("--change") == len(image.changes("worker"))
    assert command[-2:] == ["/srv/image.tar", "registry.test/worker:1.0.0"]
