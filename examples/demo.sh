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

begun=
[ ! -d simclr ] || begun=--resume
[ -f simclr/card.json ] || step sits-models pretrain --store field.planar --method simclr \
    --max-epochs 12 --out simclr $begun
[ -f simclr/probe/scores.json ] || step sits-models probe --checkpoint simclr --store field.planar \
    --out simclr/probe --overwrite
[ -f finetune/scores.json ] || step sits-models finetune --checkpoint simclr --store field.planar \
    --folds 2 --max-steps 250 --out finetune --overwrite
[ -f map.tif ] || step sits-models predict --checkpoint finetune --cube field.zarr --out map.tif
step sits-models report simclr finetune --map map.tif --out report.html

printf '\nin %s:\n' "$PWD"
printf '  %-22s %s\n' \
    catalogue/ "a Sentinel-2 STAC catalogue with known truth" \
    field.zarr/ "the cube: reflectance, scl, qa" \
    field.planar/ "the planar store: pixels, curves, labels" \
    simclr/ "self-supervised pretraining: backbone, card, logs" \
    simclr/probe/ "the frozen backbone's scores beside their floors" \
    finetune/ "the fine-tuned classifier and its scores" \
    "map.tif, map.prob.tif" "classes and probabilities of every pixel" \
    report.html "all of it on one page" \
    field.zarr.png "the cube's dates" \
    field.planar.png "fields, their curves, their planar images"
