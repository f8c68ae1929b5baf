"""`sits-data indices`."""

from pathlib import Path

import click

from sits_data.cli.deriving import default_out, derive_options, print_derived
from sits_data.cli.options import OutPath
from sits_data.derive import Indexing, Run, index_cube


def _parse_names(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _parse_constants(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, float]:
    try:
        pairs = [text.split("=") for text in texts]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError as error:
        raise click.BadParameter(f"constants are such as L=0.5, got {', '.join(texts)}") from error


@click.command()
@derive_options
@click.option(
    "--index",
    "names",
    required=True,
    callback=_parse_names,
    metavar="NAME,…",
    help="Which, by the names of spyndex: NDVI, EVI, NDWI, NDMI, NBR, …",
)
@click.option(
    "--constant",
    "constants",
    multiple=True,
    callback=_parse_constants,
    metavar="LETTER=VALUE",
    help="Another value for a formula's constant than that of spyndex, such as L=0.5 for SAVI.",
)
@click.option("--keep-clouds", is_flag=True, help="Values of unclear dates too, which are else NaN.")
@click.option("--out", type=OutPath, help="The new cube.  [default: the cube's stem + -indices.zarr]")
def indices(
    *,
    cube: Path,
    names: tuple[str, ...],
    constants: dict[str, float],
    keep_clouds: bool,
    mask: str,
    out: Path | None,
    overwrite: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Write a new cube of spectral indices, float32, one array an index, with the source's qa.

    \b
    sits-data indices field.zarr --index NDVI,EVI
    sits-data indices field-filled.zarr --index SAVI --constant L=0.5 --out savi.zarr
    """
    done = index_cube(
        cube,
        out or default_out(cube, "indices"),
        settings=Indexing(names, constants),
        mask=None if keep_clouds else mask,
        run=Run(threads, overwrite=overwrite, progress=True),
    )
    print_derived(done, as_json=as_json)
