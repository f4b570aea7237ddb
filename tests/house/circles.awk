# circles.awk - the circles of a graph given as "FILE T SYMBOL" (defines) and "FILE U SYMBOL"
# (needs). Prints "circle: FILES" and the arrows inside each; fails if one is not allowed.
# usage: awk -f circles.awk ALLOWED GRAPH, ALLOWED holding lines "FILE FILE...: REASON"

FNR == NR && FILENAME != "-" { split($0, half, ": "); allow[++allowed] = " " half[1] " "; next }
$2 == "T" { defines[$3] = $1; node[$1] = 1 }
$2 == "U" { needs[++count] = $1; needed[count] = $3 }

# Marks in seen[] all that can be reached from `from` along next_of[].
function reach(from, seen,    stack, top, i, n, list, at) {
    split("", seen)
    stack[top = 1] = from
    while (top > 0) {
        at = stack[top--]
        n = split(next_of[at], list, " ")
        for (i = 1; i <= n; i++)
            if (!(list[i] in seen)) { seen[list[i]] = 1; stack[++top] = list[i] }
    }
}

function sorted(set, list,    n, name, i, held) {
    n = 0
    for (name in set) {
        for (i = n++; i > 0 && list[i] > name; i--) list[i + 1] = list[i]
        list[i + 1] = name
    }
    return n
}

function is_allowed(list, n,    k, i) {
    for (k = 1; k <= allowed; k++) {
        for (i = 1; i <= n && index(allow[k], " " list[i] " "); i++)
            ;
        if (i > n) return 1
    }
    return 0
}

END {
    for (i = 1; i <= count; i++) {
        from = needs[i]
        if (!(needed[i] in defines)) continue
        to = defines[needed[i]]
        if (from == to) continue
        arrow = from " -> " to
        if (!(arrow in ties)) next_of[from] = next_of[from] " " to
        ties[arrow] = ties[arrow] " " needed[i]
    }
    # Files that need nothing in the graph are in no circle: take them out until none is left.
    do {
        gone = 0
        for (name in next_of) {
            n = split(next_of[name], list, " ")
            left = ""
            for (i = 1; i <= n; i++) if (list[i] in next_of) left = left " " list[i]
            if (left == "") { delete next_of[name]; gone = 1 }
            else next_of[name] = left
        }
    } while (gone)
    for (name in next_of) reached_all[name] = 1
    m = sorted(reached_all, order)
    for (i = 1; i <= m; i++) {
        if (order[i] in done) continue
        reach(order[i], ahead)
        if (!(order[i] in ahead)) continue
        split("", members)
        for (name in ahead) {
            reach(name, back)
            if (order[i] in back) { members[name] = 1; done[name] = 1 }
        }
        n = sorted(members, list)
        if (is_allowed(list, n)) continue
        bad = 1
        line = "circle:"
        for (j = 1; j <= n; j++) line = line " " list[j]
        print line
        for (j = 1; j <= n; j++)
            for (k = 1; k <= n; k++) {
                arrow = list[j] " -> " list[k]
                if (arrow in ties) print "    " arrow ":" ties[arrow]
            }
    }
    exit bad
}
