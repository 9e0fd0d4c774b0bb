"""The token and the keys, asked once: otherwise each resource of a plan reports the same refusal."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ops.api_client import ApiError, Client
from ops.preflight.finding import Checked
from ops.preflight.spaces import UNKNOWN_KEY, Key, SpacesError, backend_of

_CONTROL_PANEL = "control panel, Spaces Object Storage, Access Keys"


def check(environ: Mapping[str, str], folders: Sequence[Path], region: str) -> Checked:
    """Check that DigitalOcean knows the token and the keys, and that the state's key opens the state.

    Args:
        environ: the variables that Terraform gets.
        folders: of the stacks.
        region: where the buckets are.
    """
    problems: list[str] = []
    notes: list[str] = []
    try:
        api = Client.of(environ)
    except ApiError as error:
        return Checked((str(error),))
    try:
        api.get("/v2/account")
    except ApiError as error:
        if error.is_unknown_token:
            problems.append(
                "DIGITALOCEAN_TOKEN: DigitalOcean does not know this token (401). It was revoked, has expired, or was "
                "not copied as a whole: make one in the control panel under API, Tokens"
            )
        elif error.status is None:
            problems.append(f"{error}. Check the network, and DIGITALOCEAN_API_URL if it is set")
        else:
            notes.append(f"the token could not be checked: {error}")
    if region:
        problems += _provider_key(environ, region)
    for folder in folders:
        found = list(_state_key(environ, folder, api))
        problems += found
        if found:
            # The cells' states are in the same bucket, so they have the same problem.
            break
    return Checked(tuple(problems), tuple(notes))


def _provider_key(environ: Mapping[str, str], region: str) -> Iterator[str]:
    try:
        Key.of_provider(environ, region).buckets()
    except SpacesError as error:
        if error.code in UNKNOWN_KEY:
            yield (
                f"SPACES_ACCESS_KEY_ID: Spaces does not accept this key and its secret ({error.code}). Compare both "
                f"with the {_CONTROL_PANEL}, or make a new key"
            )
        elif not error.code:
            yield f"{error}. Check the network, and SPACES_ENDPOINT_URL if it is set"


def _state_key(environ: Mapping[str, str], folder: Path, api: Client) -> Iterator[str]:
    backend = backend_of(folder)
    if backend is None:
        return
    stack, bucket = folder.name, backend["bucket"]
    key = Key.of_backend(environ, backend)
    try:
        key.look_into(bucket)
    except SpacesError as error:
        if error.code == "NoSuchBucket":
            yield (
                f"{stack}: its state belongs into the bucket {bucket}, which does not exist. Make it: cdktf deploy "
                "bootstrap (README.md, First deploy)"
            )
        elif error.code in UNKNOWN_KEY:
            yield (
                f"AWS_ACCESS_KEY_ID: Spaces does not accept this key and its secret ({error.code}). The key of the "
                f"state of {stack} is shown by: terraform -chdir=cdktf.out/stacks/bootstrap output -json"
            )
        elif error.code:
            yield (
                f"AWS_ACCESS_KEY_ID: {_whose(key.access_key, api)}, which does not open {bucket}, where the state of "
                f"{stack} is. The right one is shown by: terraform -chdir=cdktf.out/stacks/bootstrap output -json"
            )
        else:
            yield f"{error}. Check the network, and that {bucket} is in the right region"


def _whose(access_key: str, api: Client) -> str:
    """Say by name whose key it is: bootstrap names each key after the bucket that it opens."""
    try:
        names = {one["access_key"]: one["name"] for one in api.all("/v2/spaces/keys", "keys")}
    except ApiError:
        names = {}
    name = names.get(access_key)
    return (
        f"this is the key called {name}" if name else "this is a key of another account, or of another place"
    )
