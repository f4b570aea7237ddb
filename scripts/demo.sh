#!/bin/bash
# A complete job on synthetic scans: create a data set, train, predict new cases, score them.
# usage: demo.sh VOLT FOLDER SIZE CASES BUDGET
set -eu
volt=$1 folder=$2 size=$3 cases=$4 budget=$5

step() {
    echo
    echo "\$ volt $*"
    "$volt" "$@"
}

rm -rf "$folder"
mkdir -p "$folder"
began=$SECONDS
step phantom brats "$folder/train" --cases "$cases" --size "$size" --seed 1
step phantom brats "$folder/unseen" --cases 3 --size "$size" --seed 2
step train "$folder/train" -o "$folder/run" --fold all --budget "$budget"
step plot "$folder/run" -o "$folder/curves.png"
step predict "$folder/run" "$folder/unseen/imagesTr" -o "$folder/masks"
step evaluate "$folder/masks" "$folder/unseen/labelsTr" -o "$folder/summary.json"

case=$(basename "$(ls "$folder"/masks/*.nii.gz | head -n 1)" .nii.gz)
step snapshot "$folder/unseen/imagesTr/${case}_0003.nii.gz" "$folder/masks/$case.nii.gz" \
    "$folder/unseen/labelsTr/$case.nii.gz" --labels "$folder/unseen/dataset.json" \
    -o "$folder/overlay.png"
echo
echo "Demo finished in $((SECONDS - began)) s. See $folder/curves.png (training curves) and"
echo "$folder/overlay.png (a mask over its scan)."
