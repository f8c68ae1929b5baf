#!/bin/sh
# The whole way on a simulated catalogue, in demo/: what is there already is used again.
set -eu
cd "$(dirname "$0")/.."
mkdir -p demo
cd demo

step() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; "$@"; }

[ -d catalogue ] || step sits-data simulate catalogue
step sits-data build-cube --aoi catalogue/aoi.geojson --catalog catalogue/catalog.json \
    --start 2021-03-01 --end 2022-10-31 --out field.zarr
[ -d field.planar ] || step sits-data planarize field.zarr \
    --regions catalogue/parcels.gpkg --label-field crop_code
step sits-data info field.planar
step sits-data plot field.zarr
step sits-data plot field.planar
step sits-models sample field.planar

printf '\nin %s:\n' "$PWD"
printf '  %-14s %s\n' catalogue/ "a Sentinel-2 STAC catalogue with known truth" \
    field.zarr/ "the cube: reflectance, scl, qa" field.planar/ "the planar store: pixels, curves, labels" \
    field.zarr.png "the cube's dates" field.planar.png "fields, their curves, their planar images"
