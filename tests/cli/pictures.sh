#!/bin/bash
# Data sets of pictures go the whole way in each format; every command reads the masks that VOLT
# writes, and label maps of every kind; the ending of an output decides its format.
. "$3/tests/cli/common.inc"

pictures=$SOURCE/testdata/pictures

# can_read FILE: whether this build reads the format.
can_read() { "$VOLT" info "$1" >"$OUT" 2>&1 || ! grep -qE 'this build|volt-itk' "$OUT"; }

# picture FILE SEED KIND: a grey BMP of 48 x 40 pixels, image or labels: a disc of label 1 with a
# core of label 2.
picture() {
    # shellcheck disable=SC2059
    printf "$(LC_ALL=C awk -v seed="$2" -v kind="$3" '
        function le(v, n) { while (n-- > 0) { printf "\\%03o", v % 256; v = int(v / 256) } }
        BEGIN {
            printf "BM"; le(1078 + 48 * 40, 4); le(0, 4); le(1078, 4)
            le(40, 4); le(48, 4); le(40, 4); le(1, 2); le(8, 2); le(0, 24)
            for (i = 0; i < 256; i++) { le(i, 1); le(i, 1); le(i, 1); le(0, 1) }
            for (y = 0; y < 40; y++) for (x = 0; x < 48; x++) {
                d = (x - 18 - seed) ^ 2 + (y - 16 - seed) ^ 2
                label = d < 30 ? 2 : d < 120 ? 1 : 0
                le(kind == "labels" ? label : 30 + 80 * label + (x * 131 + y * 17 * seed) % 40, 1)
            }
        }')" >"$1"
}

# make_set FOLDER IMAGES LABELS: a data set with these endings, from the BMP files.
make_set() {
    local id
    mkdir -p "$1/imagesTr" "$1/labelsTr"
    for id in c1 c2 c3 c4 c5; do
        expect 0 "$VOLT" convert "$bmp/${id}_0000.bmp" "$1/imagesTr/${id}_0000$2" -q
        expect 0 "$VOLT" convert "$bmp/$id.bmp" "$1/labelsTr/$id$3" --labels -q
    done
    printf '{"channel_names": {"0": "grey"}, "labels": {"background": 0, "a": 1, "b": 2}, %s' \
        "\"numTraining\": 5, \"file_ending\": \"$2\"}" >"$1/dataset.json"
}

bmp=$SCRATCH/bmp
mkdir -p "$bmp"
for i in 1 2 3 4 5; do
    picture "$bmp/c${i}_0000.bmp" $i image
    picture "$bmp/c$i.bmp" $i labels
done

# Images and labels in each format, JPEG with labels that are none.
tried=0
for endings in ".png .png" ".bmp .bmp" ".tif .tif" ".gif .gif" ".jpg .png"; do
    read -r images labels <<<"$endings"
    case $images in
    .tif) can_read "$pictures/greys.tif" || continue ;;
    .gif) can_read "$pictures/greys.gif" || continue ;;
    .jpg) can_read "$pictures/grey.jpg" || continue ;;
    esac
    set=$SCRATCH/set-${images#.}
    run=$SCRATCH/run-${images#.}
    masks=$SCRATCH/masks-${images#.}
    make_set "$set" $images $labels
    expect 0 "$VOLT" check "$set" -q
    expect 0 "$VOLT" preprocess "$set" -c 2d -q
    expect 0 "$VOLT" train "$set" -o "$run" -c 2d --epochs 1 --iterations 1 --validation 1 \
        --batch 2 --fold all -q
    expect 0 "$VOLT" predict "$run" "$set/imagesTr" -o "$masks" -q
    exists "$masks/c1$labels"
    expect 0 "$VOLT" evaluate "$masks" "$set/labelsTr" -q
    expect 0 "$VOLT" evaluate "$masks" "$bmp" --labels "$set/dataset.json" -q
    expect 0 "$VOLT" evaluate "$set/labelsTr/c1$labels" "$bmp/c1.bmp" --json -q
    out_has '"Dice": ?1(\.0)?[,}]|"mean": ?1(\.0)?[,}]'
    expect 0 "$VOLT" snapshot "$set/imagesTr/c1_0000$images" "$masks/c1$labels" \
        -o "$SCRATCH/view.png" -q
    tried=$((tried + 1))
done
[ $tried -ge 2 ] || fail "only $tried formats were tried"

# Labels in another format than the images.
make_set "$SCRATCH/mixed" .png .bmp
expect 0 "$VOLT" check "$SCRATCH/mixed" -q
out_has '5 cases, 0 errors, 0 warnings'

# Label maps of every kind, in every command that takes a mask.
for file in palette2.png bits.png greys.png transparent.png equal.png runs8.bmp greys1.bmp \
    palette_tiff_lzw.tif bits_group4.tif tiles.tif equal.tif dark.gif colours.gif; do
    can_read "$pictures/$file" || continue
    expect 0 "$VOLT" convert "$pictures/$file" "$SCRATCH/mask.png" --labels -q
    expect 0 "$VOLT" evaluate "$pictures/$file" "$SCRATCH/mask.png" --json -q
    out_has '"Dice": ?1(\.0)?[,}]|"mean": ?1(\.0)?[,}]'
    expect 0 "$VOLT" snapshot "$pictures/$file" "$pictures/$file" -o "$SCRATCH/view.png" -q
    expect 0 "$VOLT" snapshot "$SCRATCH/mask.png" "$SCRATCH/mask.png" -o "$SCRATCH/mask1.png" -q
    expect 0 "$VOLT" snapshot "$SCRATCH/mask.png" "$pictures/$file" -o "$SCRATCH/mask2.png" -q
    cmp -s "$SCRATCH/mask1.png" "$SCRATCH/mask2.png" ||
        fail "snapshot draws the mask $file differently from the same mask as PNG"
done

# Colours are no labels, and JPEG holds none.
expect 5 "$VOLT" convert "$pictures/rgb.bmp" "$SCRATCH/no.png" --labels
err_has 'rgb.bmp has colours'
expect 2 "$VOLT" convert "$bmp/c1.bmp" "$SCRATCH/no.jpg" --labels
err_has 'JPEG is lossy'

# The ending decides, or is refused before anything is read.
if can_read "$pictures/grey.jpg"; then
    expect 0 "$VOLT" snapshot "$bmp/c1_0000.bmp" -o "$SCRATCH/view.jpg" -q
    [ "$(head -c 3 "$SCRATCH/view.jpg" | od -An -tx1 | tr -d ' ')" = ffd8ff ] ||
        fail "view.jpg is no JPEG"
fi
expect 2 "$VOLT" snapshot missing.png -o "$SCRATCH/view.foo"
err_has 'view.foo: volt snapshot writes files that end in .png, .jpg or .jpeg'
expect 2 "$VOLT" snapshot missing.png -o "$SCRATCH/view"
expect 2 "$VOLT" plot missing -o "$SCRATCH/plot.pdf"
err_has '.svg, .png, .jpg or .jpeg'
expect 2 "$VOLT" convert missing.bmp "$SCRATCH/out.foo"
err_has 'out.foo: unknown file ending'
for command in "predict missing missing.png" "ensemble missing missing" "augment missing" \
    "train missing" "postprocess apply missing --steps missing.json"; do
    # shellcheck disable=SC2086
    expect 2 "$VOLT" $command -o "$SCRATCH/out.nii.gz"
    err_has 'out.nii.gz has the ending of a file; volt .* writes a folder'
    err_one_line
    absent "$SCRATCH/out.nii.gz"
done
for command in plan preprocess "train -o $SCRATCH/run"; do
    # shellcheck disable=SC2086
    expect 2 "$VOLT" $command missing --work "$SCRATCH/work.json"
    err_has 'work.json has the ending of a file; volt .* writes a folder'
    absent "$SCRATCH/work.json"
done
expect 2 "$VOLT" phantom liver "$SCRATCH/out.png"
expect 2 "$VOLT" import dataset missing "$SCRATCH/out.zip"
expect 2 "$VOLT" import model missing "$SCRATCH/out.pth"
expect 2 "$VOLT" export model missing --format onnx -o "$SCRATCH/net.pt"
err_has '.onnx'
expect 2 "$VOLT" evaluate missing missing -o "$SCRATCH/scores.csv"
err_has 'scores.csv: volt evaluate writes files that end in .json'
expect 2 "$VOLT" evaluate missing missing --csv "$SCRATCH/scores.json"
no_leftovers "$SCRATCH"
done_testing
