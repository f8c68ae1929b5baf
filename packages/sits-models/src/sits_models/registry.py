"""Methods, backbones, tasks and datasets by name; other packages add theirs without touching ours.

A package says in its `pyproject.toml` which of its modules register something::

    [project.entry-points."sits_models.backbones"]
    my_net = "my_package.my_net"

and decorates it there with `register`. Nothing is imported until a name is asked for.
"""

import logging
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from sits_models.catalogue import BUILT_IN, Card, Form, Kind
from sits_models.errors import InvalidConfig, UnknownName

__all__ = [
    "KINDS",
    "Card",
    "Form",
    "Kind",
    "Made",
    "card",
    "create",
    "form_of",
    "names",
    "register",
    "target",
]

KINDS: tuple[Kind, ...] = get_args(Kind)

# What importing somebody's module may raise when it is broken or lacks a dependency.
_BROKEN = (
    ArithmeticError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip

_cards: dict[tuple[Kind, str], Card] = {(card.kind, card.name): card for card in BUILT_IN}
_log = logging.getLogger("sits_models")


def register[Target: Callable[..., Any]](
    kind: Kind,
    *,
    name: str,
    summary: str = "",
    paper: str = "",
    input: str = "",  # noqa: A002
    form: Form = "curve",
    defaults: Mapping[str, object] = MappingProxyType({}),
    parameters: int | None = None,
) -> Callable[[Target], Target]:
    """A decorator that adds a class or function; the keywords are those of its `Card`.

    Raises:
        InvalidConfig: the kind is unknown, or the name is taken by something else.

    Example::

        @register("backbones", name="mean", summary="Mean over time.")
        class Mean(torch.nn.Module): ...
    """
    _check_kind(kind)

    def add(made: Target) -> Target:
        new = Card(
            name=name,
            kind=kind,
            target=f"{made.__module__}:{made.__qualname__}",
            summary=summary or next(iter((made.__doc__ or "").splitlines()), ""),
            paper=paper,
            input=input,
            form=form,
            defaults=MappingProxyType(dict(defaults)),
            parameters=parameters,
        )
        old = _cards.setdefault((kind, name), new)
        if old.target != new.target:
            raise InvalidConfig(
                f"names of {kind} must differ, {name!r} is {old.target} already; register "
                f"{new.target} under another one"
            )
        return made

    return add


def names(kind: Kind) -> tuple[str, ...]:
    """Names of a kind: ours in the order of the catalogue, then those of plug-ins."""
    _check_kind(kind)
    _load_plugins(kind)
    return tuple(name for of, name in _cards if of == kind)


def card(kind: Kind, name: str) -> Card:
    """The card of an entry.

    Raises:
        UnknownName: nothing of that name; the message offers close ones and lists all.
    """
    _check_kind(kind)
    if (kind, name) not in _cards:
        _load_plugins(kind)
    if (kind, name) not in _cards:
        known = names(kind)
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise UnknownName(f"no {kind[:-1]} is called {name!r}; {hint}there are {', '.join(known)}")
    return _cards[kind, name]


def target(kind: Kind, name: str) -> Callable[..., Any]:
    """The class or function of an entry, imported.

    Raises:
        UnknownName: nothing of that name.
    """
    module, _, attribute = card(kind, name).target.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    made: Callable[..., Any] = found
    return made


def create(kind: Kind, name: str, **overrides: object) -> Any:
    """Make an entry from its card's defaults and what overrides them.

    Raises:
        UnknownName: nothing of that name.
        InvalidConfig: it takes no such argument.

    Example::

        create("backbones", "planar_vit_nano", in_channels=4)
    """
    arguments = {**card(kind, name).defaults, **overrides}
    make = target(kind, name)
    try:
        return make(**arguments)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise InvalidConfig(f"{name} cannot be made of {arguments}: {error}") from error


class Made(NamedTuple):
    """How a backbone is made.

    Args:
        name: its registered one.
        arguments: besides its card's, and the number of bands.
    """

    name: str
    arguments: dict[str, Any]


def form_of(name: str, arguments: Mapping[str, Any] = MappingProxyType({})) -> Form:
    """The form of sample that a backbone takes; of one that wraps another (`of`), the other's.

    Raises:
        UnknownName: there is no such backbone.
    """
    return form_of(str(arguments["of"])) if "of" in arguments else card("backbones", name).form


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidConfig(f"the kind must be one of {', '.join(KINDS)}, got {kind!r}")


@cache
def _load_plugins(kind: Kind) -> None:
    """Import what other packages register, once; one that is broken is named and left out."""
    for entry in entry_points(group=f"sits_models.{kind}"):
        try:
            entry.load()
        except _BROKEN as error:
            _log.warning("left out the plug-in %s, which cannot be imported: %s", _named(entry), error)


def _named(entry: EntryPoint) -> str:
    of = f" of {entry.dist.name}" if entry.dist else ""
    return f"{entry.name}{of} ({entry.value})"
