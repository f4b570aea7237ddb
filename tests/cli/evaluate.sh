#!/bin/bash
# volt evaluate: perfect masks score 1, differing ones less, nonsense is refused.
. "$3/tests/cli/common.inc"

make_data 2
truth=$SCRATCH/data/labelsTr
expect 0 "$VOLT" evaluate "$truth" "$truth" -o "$SCRATCH/summary.json"
out_has '^mean over classes +1\.0000 +1\.0000 +0\.00 +0\.00 +1\.0000$'
out_has '^2 cases$'
err_has "classes from $SCRATCH/data/dataset.json"
exists "$SCRATCH/summary.json"
grep -q '^        "1": {$' "$SCRATCH/summary.json" || fail "classes are not named as nnU-Net does"
grep -q HD95 "$SCRATCH/summary.json" && fail "summary.json holds more than nnU-Net's"
expect 0 "$VOLT" evaluate --json "$truth" "$truth" --no-surface
out_json policy bootstrap cases mean foreground_mean worst_first confusion
out_lacks 'HD95'

mkdir -p "$SCRATCH/pred"
cp "$truth/brats_002.nii.gz" "$SCRATCH/pred/brats_001.nii.gz" # somebody else's mask
expect 0 "$VOLT" evaluate "$SCRATCH/pred" "$truth"
out_lacks '^mean over classes +1\.0000'
err_has 'no prediction for 1 mask of '
expect 10 "$VOLT" evaluate "$SCRATCH/pred" "$truth" --all
err_has "no prediction for 1 mask of $truth, the first is $truth/brats_002.nii.gz"
expect 0 "$VOLT" evaluate "$SCRATCH/pred/brats_001.nii.gz" "$truth/brats_001.nii.gz"
out_has '^1 case$'
err_has "classes from $SCRATCH/data/dataset.json"

# Everything there is: the worst case first, lesions, the truth found in a data set.
cp "$truth/brats_002.nii.gz" "$SCRATCH/pred/brats_002.nii.gz"
expect 0 "$VOLT" evaluate "$SCRATCH/pred" "$SCRATCH/data" --lesions --empty brats --seed 3 \
    --report "$SCRATCH/report.json" --csv "$SCRATCH/scores.csv" --confusion "$SCRATCH/confusion.csv"
out_has 'les\.Dice +les\.F1 +les\.HD95$'
[ "$(grep -n '^brats_001' "$OUT" | cut -d: -f1)" -lt "$(grep -n '^brats_002' "$OUT" | cut -d: -f1)" ] ||
    fail "the worst case is not the first"
[ "$(sed -n 2p "$SCRATCH/scores.csv" | cut -d, -f1)" = brats_001.nii.gz ] ||
    fail "the worst case is not the first of the table"
[ "$(wc -l <"$SCRATCH/scores.csv")" -eq 7 ] || fail "not one line per case and class"
grep -q lesion_F1 "$SCRATCH/scores.csv" || fail "no lesion scores in the table"
[ "$(wc -l <"$SCRATCH/confusion.csv")" -eq 6 ] || fail "not one line per label"

grep -q lesion_rule "$SCRATCH/report.json" || fail "no lesion rule in the report"
grep -q '"seed": 3' "$SCRATCH/report.json" || fail "no seed in the report"
expect 0 "$VOLT" evaluate "$SCRATCH/pred" "$SCRATCH/data" --lesions --empty brats --seed 3 \
    --report "$SCRATCH/again.json" --threads 1
cmp -s "$SCRATCH/report.json" "$SCRATCH/again.json" || fail "threads change the report"
# -1 is how no --ignore may be written; a label that is ignored does not count.
expect 0 "$VOLT" evaluate "$SCRATCH/pred" "$SCRATCH/data" --lesions --empty brats --seed 3 \
    --report "$SCRATCH/again.json" --ignore -1
cmp -s "$SCRATCH/report.json" "$SCRATCH/again.json" || fail "--ignore -1 ignores something"
expect 0 "$VOLT" evaluate "$SCRATCH/pred" "$SCRATCH/data" --lesions --empty brats --seed 3 \
    --report "$SCRATCH/again.json" --ignore 3
! cmp -s "$SCRATCH/report.json" "$SCRATCH/again.json" || fail "--ignore 3 ignores nothing"
# Regions are scored as nnU-Net does, and named by their labels.
cat >"$SCRATCH/regions.json" <<'END'
{"channel_names": {"0": "T1", "1": "T1ce", "2": "T2", "3": "Flair"}, "numTraining": 2, "file_ending": ".nii.gz",
 "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}, "regions_class_order": [1, 2, 3]}
END
expect 0 "$VOLT" evaluate "$SCRATCH/pred" "$truth" --labels "$SCRATCH/regions.json" -o "$SCRATCH/regions-summary.json"
out_has '^whole +[01]\.'
out_has '^enhancing +[01]\.'
grep -q '^        "(1, 2, 3)": {$' "$SCRATCH/regions-summary.json" || fail "the whole tumour has another key"
grep -q '^        "(3,)": {$' "$SCRATCH/regions-summary.json" || fail "the enhancing tumour has another key"
# The truth of a BraTS folder: its own layout, regions and numbers.
for i in 1 2; do
    id=BraTS-GLI-0000$i-000
    mkdir -p "$SCRATCH/brats/$id" "$SCRATCH/brats-pred"
    for m in 0:t1n 1:t1c 2:t2w 3:t2f; do
        cp "$SCRATCH/data/imagesTr/brats_00${i}_000${m%%:*}.nii.gz" "$SCRATCH/brats/$id/$id-${m##*:}.nii.gz"
    done
    cp "$truth/brats_00$i.nii.gz" "$SCRATCH/brats/$id/$id-seg.nii.gz"
    cp "$truth/brats_00$i.nii.gz" "$SCRATCH/brats-pred/$id.nii.gz"
done
expect 0 "$VOLT" evaluate "$SCRATCH/brats-pred" "$SCRATCH/brats" -o "$SCRATCH/brats.json"
err_has 'classes from .*/brats \(BraTS 2023\)'
out_has '^mean over classes +1\.0000'
out_has '^2 cases$'
grep -q '^        "([0-9], [0-9], [0-9])": {$' "$SCRATCH/brats.json" || fail "no region of three labels"
# Five cases or more have intervals.
mkdir "$SCRATCH/five"
for i in 1 2 3 4 5; do cp "$truth/brats_002.nii.gz" "$SCRATCH/five/$i.nii.gz"; done
expect 0 "$VOLT" evaluate "$SCRATCH/five" "$SCRATCH/five" --labels "$SCRATCH/data"
out_has '^mean over classes +1\.0000  1\.0000 to 1\.0000 +1\.0000 +0\.00 +0\.00 +1\.0000$'
# Without a dataset.json near by every label that occurs is a class.
mkdir "$SCRATCH/bare" "$SCRATCH/bare/truth" "$SCRATCH/bare/pred"
cp "$truth"/*.gz "$SCRATCH/bare/truth" && cp "$SCRATCH/pred"/*.gz "$SCRATCH/bare/pred"
expect 0 "$VOLT" evaluate "$SCRATCH/bare/pred" "$SCRATCH/bare/truth"
err_has 'every label that occurs is a class'
out_has '^3 +0\.'
expect 0 "$VOLT" evaluate "$SCRATCH/bare/pred" "$SCRATCH/bare/truth" --labels "$SCRATCH/data"
out_has '^edema +0\.'
rm "$SCRATCH/pred/brats_002.nii.gz"

# Truth in another numbering: 1-2-4 for 1-2-3, grey values for labels, empty masks.
# renumber TARGET FROM... TO...: the voxels of the first mask with other values (octal).
renumber() {
    head -c 352 "$SCRATCH/one.nii" >"$1"
    tail -c +353 "$SCRATCH/one.nii" | tr "$2" "$3" >>"$1"
}
expect 0 "$VOLT" convert "$truth/brats_001.nii.gz" "$SCRATCH/one.nii"
mkdir -p "$SCRATCH/num/mask" "$SCRATCH/num/124" "$SCRATCH/num/grey" "$SCRATCH/num/empty"
cp "$SCRATCH/one.nii" "$SCRATCH/num/mask/a.nii"
renumber "$SCRATCH/num/124/a.nii" '\003' '\004'
renumber "$SCRATCH/num/grey/a.nii" '\001\002\003' '\050\144\346'
renumber "$SCRATCH/num/empty/a.nii" '\001\002\003' '\000\000\000'
expect 10 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124" --no-surface
err_has 'the masks have the values 1, 2, 3, the truth has 1, 2, 4'
err_has '--label-map'
expect 10 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124" --labels "$SCRATCH/data"
err_has "124/a.nii has the value 4; the labels of $SCRATCH/data/dataset.json are 0, 1, 2, 3"
expect 10 "$VOLT" evaluate "$SCRATCH/num/124" "$SCRATCH/num/mask" --labels "$SCRATCH/data"
err_has '124/a.nii has the value 4'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124" --label-map 4=3
out_has '^mean over classes +1\.0000'
# The classes of TRUTH are translated with its values, where PRED has none of its own.
mkdir -p "$SCRATCH/num/set/labelsTr"
cp "$SCRATCH/num/124/a.nii" "$SCRATCH/num/set/labelsTr"
sed 's/"enhancing tumor": 3/"enhancing tumor": 4/' "$SCRATCH/data/dataset.json" >"$SCRATCH/num/set/dataset.json"
expect 10 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/set/labelsTr" --no-surface
err_has 'mask/a.nii has the value 3; the labels of .*set/dataset.json are 0, 1, 2, 4'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/set/labelsTr" --label-map 4=3 --no-surface
out_has '^enhancing tumor +1\.0000'
expect 0 "$VOLT" evaluate "$SCRATCH/num/grey" "$SCRATCH/num/set/labelsTr" --label-map 1=40,2=100,4=230 \
    --no-surface --confusion "$SCRATCH/num/confusion.csv"
out_has '^enhancing tumor +1\.0000'
[ "$(wc -l <"$SCRATCH/num/confusion.csv")" -eq 6 ] || fail "the confusion matrix has another size"
expect 2 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124" --label-map 4=3,4=2
err_has 'label 4 is to become 3 and 2'
expect 2 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124" --label-map 4
err_one_line
# A map with a slip: of a value that no truth has, and in the wrong direction.
expect 10 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124" --label-map 5=3
err_has 'the masks have the values 1, 2, 3, the translated truth has 1, 2, 4'
expect 10 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124" --label-map 3=4
# The same values for other labels.
mkdir "$SCRATCH/num/swap"
renumber "$SCRATCH/num/swap/a.nii" '\001\002\003' '\002\001\003'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/swap" --no-surface
err_has 'numbered differently; if they are, use --label-map 1=2,2=1$'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/swap" --no-surface --label-map 1=2,2=1
out_has '^mean over classes +1\.0000'
grep -q "numbered differently" "$ERR" && fail "it warns of a numbering that was given"
# The same mask along flipped axes.
expect 0 "$VOLT" convert "$SCRATCH/num/mask/a.nii" "$SCRATCH/flipped.nii" --reorient LPS
expect 10 "$VOLT" evaluate "$SCRATCH/flipped.nii" "$SCRATCH/num/mask/a.nii" --no-surface
err_has 'flipped.nii lies [0-9.]+ mm away from .*a.nii; if .* accept them with --allow-shift$'
expect 0 "$VOLT" evaluate "$SCRATCH/flipped.nii" "$SCRATCH/num/mask/a.nii" --no-surface --allow-shift
err_has 'differ in geometry; they are compared voxel by voxel$'
expect 10 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/grey"
err_has '40, 100, 230'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/grey" --label-thresholds 40,100,230
out_has '^mean over classes +1\.0000'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask/a.nii" "$SCRATCH/num/grey/a.nii" --label-thresholds 40,100,230
out_has '^mean over classes +1\.0000'
expect 2 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/grey" --label-thresholds 40,230 --labels "$SCRATCH/data"
err_has '2 thresholds define 3 labels; .* has 4'
# The thresholds that the masks' dataset.json stores.
sed 's/"numTraining"/"volt": {"label_thresholds": [40, 100, 230]}, "numTraining"/' "$SCRATCH/data/dataset.json" \
    >"$SCRATCH/num/mask/dataset.json"
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/grey"
err_has 'the truth has grey values'
out_has '^mean over classes +1\.0000'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/mask"
out_has '^mean over classes +1\.0000'
# Two tables that contradict each other.
sed 's/"edema": [0-9]/"edema": 2/; s/"non-enhancing tumor": [0-9]/"non-enhancing tumor": 1/' \
    "$SCRATCH/data/dataset.json" >"$SCRATCH/num/124/dataset.json"
if ! cmp -s "$SCRATCH/data/dataset.json" "$SCRATCH/num/124/dataset.json"; then
    expect 10 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/124"
    err_has '"(edema|non-enhancing tumor)" is label [12] in .* and [12] in '
fi
# The rule of --empty and its words.
rm "$SCRATCH/num/mask/dataset.json"
cp "$SCRATCH/one.nii" "$SCRATCH/num/mask/b.nii" && cp "$SCRATCH/one.nii" "$SCRATCH/num/empty/b.nii"
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/empty" --empty monai
out_has '^2 cases; 3 undefined Dice scores \(class not in the truth\); 3 infinite distances \(class in one mask only\)$'
out_has '^mean over classes +1\.0000 +1\.0000 +inf +inf'
expect 0 "$VOLT" evaluate "$SCRATCH/num/empty" "$SCRATCH/num/empty" --empty nnunet
out_has '^2 cases; 3 undefined Dice scores \(class in neither mask\)$'
expect 0 "$VOLT" evaluate "$SCRATCH/num/mask" "$SCRATCH/num/empty" --empty brats
out_has '^2 cases$'
expect 0 "$VOLT" evaluate --help
out_has 'prediction: Dice, IoU, NSD 0; HD, HD95, ASSD infinite'

expect 2 "$VOLT" evaluate "$SCRATCH/pred" "$truth/brats_001.nii.gz"
err_has 'give two folders or two files'
mv "$SCRATCH/pred/brats_001.nii.gz" "$SCRATCH/pred/other.nii.gz"
expect 10 "$VOLT" evaluate "$SCRATCH/pred" "$truth" -o "$SCRATCH/never.json"
err_is "volt: $SCRATCH/pred/other.nii.gz has no truth: $truth/other.nii.gz does not exist"
absent "$SCRATCH/never.json"
rm "$SCRATCH/pred/other.nii.gz"
expect 10 "$VOLT" evaluate "$SCRATCH/pred" "$truth"
err_has 'holds no masks'
expect 0 "$VOLT" convert "$truth/brats_001.nii.gz" "$SCRATCH/pred/brats_001.nii.gz" --labels \
    --spacing 30,30,30
expect 10 "$VOLT" evaluate "$SCRATCH/pred" "$truth"
err_has 'voxels along'
expect 4 "$VOLT" evaluate "$SCRATCH/none" "$SCRATCH/none"
err_one_line

# In the folder of LiTS a mask has the name of its scan, which is not its truth.
expect 0 "$VOLT" phantom liver "$SCRATCH/lits" --layout lits --cases 2 --size 16 -q
mkdir "$SCRATCH/lits_masks" "$SCRATCH/lits_named"
for i in 0 1; do
    cp "$SCRATCH/lits/segmentation-$i.nii" "$SCRATCH/lits_masks/volume-$i.nii"
    cp "$SCRATCH/lits/segmentation-$i.nii" "$SCRATCH/lits_named"
done
for masks in lits_masks lits_named; do
    expect 0 "$VOLT" evaluate "$SCRATCH/$masks" "$SCRATCH/lits" -q
    out_has 'mean over classes +1\.0000'
done

# Masks without any label: the sentence names them.
"$VOLT" convert "$truth/brats_001.nii.gz" "$SCRATCH/empty.nii" --labels -q
bytes=$(wc -c <"$SCRATCH/empty.nii")
truncate -s 352 "$SCRATCH/empty.nii"
truncate -s "$bytes" "$SCRATCH/empty.nii"
expect 10 "$VOLT" evaluate "$SCRATCH/empty.nii" "$SCRATCH/empty.nii"
err_is "volt: all voxels of $SCRATCH/empty.nii and $SCRATCH/empty.nii are background"
mkdir "$SCRATCH/empties"
cp "$SCRATCH/empty.nii" "$SCRATCH/empties/a.nii"
cp "$SCRATCH/empty.nii" "$SCRATCH/empties/b.nii"
expect 10 "$VOLT" evaluate "$SCRATCH/empties" "$SCRATCH/empties"
err_has "all voxels of 2 pairs are background, as in $SCRATCH/empties/a.nii and "
done_testing
