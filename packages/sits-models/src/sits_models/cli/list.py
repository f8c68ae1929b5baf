"""`sits-models list`."""

import json
from collections.abc import Mapping

import click

from sits_models.registry import KINDS, Card, Form, Kind, card, names

_FORMS: Mapping[Form, str] = {"curve": "a vector for each position", "chip": "a vector for each pixel"}


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, kind: Kind | None, name: str | None, as_json: bool) -> None:
    """Show the methods, backbones, tasks and datasets that there are, or the card of one.

    \b
    sits-models list backbones
    sits-models list backbones planar_vit_nano
    """
    if kind and name:
        shown = card(kind, name)
        click.echo(json.dumps(_plain(shown)) if as_json else _describe(shown))
        return
    cards = {one: [card(one, name) for name in names(one)] for one in ([kind] if kind else KINDS)}
    if as_json:
        click.echo(json.dumps({one: [_plain(of) for of in some] for one, some in cards.items()}))
        return
    click.echo("\n\n".join("\n".join([one, *_table(some)]) for one, some in cards.items()))


def _plain(one: Card) -> dict[str, object]:
    return {**vars(one), "defaults": dict(one.defaults)}


def _describe(one: Card) -> str:
    lines = {
        "name": one.name,
        "what": one.summary,
        "paper": one.paper or "-",
        "input": one.input,
        **({"form": f"{one.form}: {_FORMS[one.form]}"} if one.kind == "backbones" else {}),
        "parameters": f"{_count(one)} (of ten bands)" if one.parameters else "-",
        "class": one.target,
        "defaults": ", ".join(f"{key}={value!r}" for key, value in one.defaults.items()) or "its own",
    }
    return "\n".join(f"{key:<10}  {value}" for key, value in lines.items())


def _table(cards: list[Card]) -> list[str]:
    rows = [(one.name, _count(one), one.input, one.paper or "-") for one in cards]
    width = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        f"  {name:<{width[0]}}  {count:>{width[1]}}  {takes:<{width[2]}}  {paper}"
        for name, count, takes, paper in rows
    ]


def _count(one: Card) -> str:
    return "-" if one.parameters is None else f"{one.parameters / 1e6:.1f} M"
