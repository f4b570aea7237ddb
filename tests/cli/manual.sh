#!/bin/bash
# Manual pages and shell completions: every command and option is in them, and they are well-formed.
. "$3/tests/cli/common.inc"

pages=$SCRATCH/man
mkdir -p "$pages"
expect 0 "$VOLT" help --commands
cp "$OUT" "$SCRATCH/commands"
[ "$(wc -l <"$SCRATCH/commands")" -ge 25 ] || fail "fewer than 25 commands"
expect 0 "$VOLT" help --man
cp "$OUT" "$pages/volt.1"
for heading in NAME SYNOPSIS DESCRIPTION COMMANDS 'EXIT STATUS' ENVIRONMENT; do
    out_has "^\.SH $heading\$"
done

# The long options of a command as --help and as its manual page name them, from stdin.
help_options() { sed -n 's/^  \(-[a-z], \|    \)\(--[a-z0-9-]*\).*/\2/p' | sort; }
page_options() { sed 's/\\-/-/g' | sed -n 's/^\(\\fB-[a-z]\\fR, \)\{0,1\}\\fB\(--[a-z0-9-]*\)\\fR.*/\2/p' | sort; }
while read -r first second; do
    page=volt-$first${second:+-$second}
    # shellcheck disable=SC2086
    expect 0 "$VOLT" help --man $first $second
    cp "$OUT" "$pages/$page.1"
    err_is ''
    grep -qxF ".BR ${page//-/\\-} (1)" "$pages/volt.1" || fail "volt.1 does not name $page"
    # shellcheck disable=SC2086
    "$VOLT" $first $second --help | help_options >"$SCRATCH/options"
    [ "$(wc -l <"$SCRATCH/options")" -ge 3 ] || fail "fewer than 3 options of $first $second"
    page_options <"$pages/$page.1" | cmp -s - "$SCRATCH/options" ||
        fail "the page of $first $second has other options than its --help"
done <"$SCRATCH/commands"

# The build has written the same pages, unless only the command was built since.
built=$(dirname "$VOLT")/man
if [ "$built/volt.1" -nt "$VOLT" ]; then
    diff -r "$built" "$pages" >/dev/null || fail "$built holds other pages"
fi

# lint COMMAND...: neither failure nor complaint for any page.
lint() {
    local page complaint
    for page in "$pages"/*.1; do
        complaint=$("$@" "$page" 2>&1 >/dev/null) && [ -z "$complaint" ] ||
            fail "$* $(basename "$page"): $complaint"
    done
}
if command -v groff >/dev/null; then
    lint groff -man -ww -z
else
    echo "skipped: the pages with groff, which is not installed"
fi
if command -v man >/dev/null && man --warnings -l "$pages/volt.1" >/dev/null 2>&1; then
    lint env MANWIDTH=80 man --warnings -l
    text=$(MANWIDTH=80 man -l "$pages/volt-train.1" 2>/dev/null)
    grep -qF -- "'encoder.*=0.1'" <<<"$text" || fail "quotes and stars do not survive in the page"
else
    echo "skipped: the pages with man -l, which is not available"
fi

expect 2 "$VOLT" help --completion csh
err_is "volt: --completion: 'csh' is not bash|zsh|fish"
expect 2 "$VOLT" help --man nothing
err_one_line

# Every option of every command is completed; the scripts parse where their shell is there.
for shell in bash zsh fish; do
    expect 0 "$VOLT" help --completion $shell
    cp "$OUT" "$SCRATCH/completion.$shell"
    if command -v $shell >/dev/null; then
        expect 0 $shell -n "$SCRATCH/completion.$shell"
        err_is ''
    else
        echo "skipped: the completion of $shell, which is not installed"
    fi
done

# complete_bash WORD...: what bash offers for the last word, into $OUT.
complete_bash() {
    expect 0 bash -c '
        source "$0"
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _volt
        printf "%s\n" "${COMPREPLY[@]}"' "$SCRATCH/completion.bash" "$@"
    err_is ''
}
while read -r first second; do
    # shellcheck disable=SC2086
    complete_bash volt $first $second --
    # shellcheck disable=SC2086
    "$VOLT" $first $second --help | help_options | cmp -s - <(sort "$OUT") ||
        fail "bash completes other options of $first $second"
done <"$SCRATCH/commands"
complete_bash volt tr
out_is train
complete_bash volt bench ''
out_is $'net\nops\nio\nvolume\naugment\nscaling'
complete_bash volt help bench n
out_is net
complete_bash volt help exit
out_is exit-codes
complete_bash volt train --optimizer ''
out_is $'sgd\nadam\nadamw'
complete_bash volt train --precision = b
out_is bf16
complete_bash volt train --precision =
out_is $'auto\nfp32\nbf16\nfp16\ntf32'
complete_bash volt bench net --mode t
out_is train
complete_bash volt phantom ''
out_is $'brats\nliver'
# Nothing of ours, hence file names.
complete_bash volt phantom brats ''
out_is ''
complete_bash volt train -o r
out_is ''
complete_bash volt info scan
out_is ''

if command -v fish >/dev/null; then
    complete_fish() {
        expect 0 fish -c "source '$SCRATCH/completion.fish'; complete -C '$1'"
        err_is ''
        cut -f 1 "$OUT" >"$SCRATCH/fish" && cp "$SCRATCH/fish" "$OUT"
    }
    cd "$SCRATCH" || exit 1
    complete_fish 'volt tr'
    out_is train
    complete_fish 'volt bench net --mode '
    out_is $'infer\ntrain'
    complete_fish 'volt train --fold'
    out_is $'--fold\n--folds'
fi
done_testing
