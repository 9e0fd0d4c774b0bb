"""Tell a name under which strangers register their own domains, and a name that nobody can register.

From Mozilla's Public Suffix List (publicsuffix.org, MPL-2.0) as the package publicsuffixlist carries it. The
package's own reader takes 0.3 s to build its tables; one name needs a search of the text.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

# RFC 2606, sections 2 and 3: kept for examples.
_EXAMPLES = ("example", "example.com", "example.net", "example.org")


def is_example(domain: str) -> bool:
    """Tell whether a domain is kept for examples, so that nobody can register it."""
    return any(f".{domain}".endswith(f".{example}") for example in _EXAMPLES)


def is_public_suffix(domain: str) -> bool:
    """Tell whether strangers register names directly below a domain, as below ``co.uk`` and ``github.io``."""
    parent = domain.partition(".")[2]
    # The list's algorithm: the longest rule wins, `*` stands for one label, `!` makes an exception.
    return _has(domain) or (_has(f"*.{parent}") and not _has(f"!{domain}"))


def has_registry(domain: str) -> bool:
    """Tell whether the list knows the domain's last label: names below ``local`` or ``internal`` are sold by nobody."""
    top = domain.rpartition(".")[2]
    return _has(top) or _has(f"*.{top}")


def _has(rule: str) -> bool:
    return f"\n{rule}\n" in _rules()


@cache
def _rules() -> str:
    package = find_spec("publicsuffixlist")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("publicsuffixlist is not installed: run `make setup`")
    text = (Path(package.origin).parent / "public_suffix_list.dat").read_text(encoding="utf-8")
    return f"\n{text}"
