"""Client of GitHub's REST API: https://docs.github.com/rest."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from ops.ci.errors import StepError
from ops.errors import UsageError

BOT = "github-actions[bot]"
"""The author of what a workflow's token writes; only text of this author is overwritten."""

MAX_BODY = 65_536
"""The longest comment or issue, in characters: above, GitHub answers 422, "body is too long"."""

_PAGE = 100
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Repository:
    """One repository, and a token for it."""

    api: str
    name: str
    token: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Read all three from GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN.

        Raises:
            UsageError: one is missing.
        """
        names = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN")
        if missing := [
            f"{name} is not set: this step uses GitHub's API" for name in names if not environ.get(name)
        ]:
            raise UsageError(missing)
        return cls(*(environ[name] for name in names))

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call ``/repos/<repository>/<path>``; return the JSON of the answer.

        Raises:
            StepError: GitHub refuses, or does not answer.
        """
        url = f"{self.api}/repos/{self.name}/{path}"
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 (GitHub sets the address)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise StepError(f"GitHub answers {error.code} to {method} {path}: {said}") from error
        except OSError as error:
            raise StepError(f"GitHub does not answer {method} {path}: {error}") from error

    def all(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield all entries of a list, page by page."""
        page = 1
        while True:
            found = self.call("GET", f"{path}?{urlencode({**query, 'per_page': _PAGE, 'page': page})}")
            yield from found
            if len(found) < _PAGE:
                return
            page += 1
