"""Changes to a recipe's configuration, said as text: ``whole.batch_size=64`` for that of the phase ``whole``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace

from galaxy_core.errors import ModelError

LIMIT = 2**32  # what every generator of random numbers takes as a seed
OFF_AT_ZERO = ("filters", "plateau_epochs", "warmup_steps")  # 0 is none of them, though it is not the default
SHARES, SHARES_TOO = ("_share", "_probability"), ("balance", "dropout", "label_smoothing", "momentum")
DIVIDED_BY = ("scale_min", "scale_max", "temperature")


def with_options(config, options: Iterable[str]):
    """A frozen dataclass with some of its fields, or those of dataclasses in it, changed.

    Numbers are finite and 0 or more, shares 1 at most, and what is divided by is above 0. Whole ones, which are sizes
    and counts, are 1 or more, unless 0 is the default or turns off what is counted.

    Parameters
    ----------
    options : iterable of str
        ``NAME=VALUE``, with dots in the name to reach inside; items of a tuple are parted by commas.

    Raises
    ------
    ModelError
        There is no such field, or the value is not of its type or out of range.

    Examples
    --------
    >>> from galaxy_core.augment import ViewConfig
    >>> with_options(ViewConfig(), ["scale_min=0.9"]).scale_min
    0.9
    """
    for option in options:
        name, equals, text = option.partition("=")
        if not equals:
            raise ModelError(f"'{option}' is not NAME=VALUE, as in whole.batch_size=64.")
        config = _changed(config, name.strip().split("."), text.strip(), option)
    return config


def _changed(config, path: list[str], text: str, option: str):
    known = {item.name: item.default for item in fields(config)}
    if path[0] not in known:
        raise ModelError(f"'{option}' changes nothing there is; the names there are {', '.join(known)}.")
    value = getattr(config, path[0])
    if is_dataclass(value) != (len(path) > 1):
        raise ModelError(f"'{option}' does not name one value; reach it with dots, as in whole.batch_size=64.")
    if is_dataclass(value):
        return replace(config, **{path[0]: _changed(value, path[1:], text, option)})
    try:
        made = _parse(text, value)
    except ValueError:
        raise ModelError(f"'{option}' has a value of another kind than {value!r}.") from None
    if isinstance(made, tuple) and made and isinstance(made[0], str) and len(set(made)) < len(made):
        raise ModelError(f"'{option}' has a name twice; give each once.")
    most = 1 if path[0].endswith(SHARES) or path[0] in SHARES_TOO else LIMIT - 1
    for number in made if isinstance(made, tuple) else (made,):
        least = int(type(number) is int and known[path[0]] != 0 and path[0] not in OFF_AT_ZERO)
        if type(number) in (int, float) and not least <= number <= most:
            raise ModelError(f"'{option}' is out of range; give a number from {least} to {most}.")
        if number == 0 and path[0] in DIVIDED_BY:
            raise ModelError(f"'{option}' is out of range; give a number above 0.")
    return replace(config, **{path[0]: made})


def _parse(text: str, like):
    if isinstance(like, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if isinstance(like, tuple):
        item = like[0] if like else ""
        return tuple(_parse(part.strip(), item) for part in text.split(",") if part.strip())
    return type(like)(text)
