"""References inside a configuration: "${a.b}" stands for what the configuration holds at a.b. Knows no setting.

Audiocraft's files hold their configuration as OmegaConf writes it, references included; this is the part of OmegaConf
that reading them takes (omegaconf.readthedocs.io, "Variable interpolation"). Resolvers, "${name:…}", are refused.
"""

import re
from collections.abc import Collection
from typing import Any

from models.errors import WeightsError

_REFERENCE = re.compile(r"\$\{([^${}]+)\}")
_DEEPEST = 16  # references in a row; more of them go in a circle


def resolve_references(config: dict[str, Any], source: str, sections: Collection[str] | None = None) -> dict[str, Any]:
    """A copy of the configuration without references. Raises WeightsError, naming `source`, for one to nowhere.

    `sections` leaves out all but these of its top level: the folders of a training, for one, refer to its machine.
    """
    wanted = config if sections is None else {key: value for key, value in config.items() if key in sections}
    try:
        resolved: dict[str, Any] = _resolve(wanted, config, source, ())
    except RecursionError:
        raise WeightsError(f"{source}: a part of the configuration refers to what it is in.") from None
    return resolved


def _resolve(value: Any, root: dict[str, Any], source: str, here: tuple[str, ...]) -> Any:
    """`here` is the path of the value, which a relative reference (one that starts with a dot) counts from."""
    if isinstance(value, dict):
        return {key: _resolve(item, root, source, (*here, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, root, source, (*here, str(i))) for i, item in enumerate(value)]
    for _ in range(_DEEPEST):
        if not isinstance(value, str) or (found := _REFERENCE.search(value)) is None:
            return value
        target = _look_up(found[1], root, source, here)
        whole = found[0] == value
        value = target if whole else value.replace(found[0], str(target))
        if isinstance(value, (dict, list)):
            return _resolve(value, root, source, here)
    raise WeightsError(f"{source}: the configuration's {'.'.join(here)} refers to itself.")


def _look_up(reference: str, root: dict[str, Any], source: str, here: tuple[str, ...]) -> Any:
    dots = len(reference) - len(reference.lstrip("."))
    path = [*here[: len(here) - dots], *reference.lstrip(".").split(".")] if dots else reference.split(".")
    value: Any = root
    for key in path:
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise WeightsError(
                f"{source}: the configuration's {'.'.join(here)} refers to {reference}, which is not in it."
            ) from None
    return value
