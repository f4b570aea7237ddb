# layers.awk - who may include whom. Reads the floors' sources (.c, .h, .cxx; paths from
# the root); prints one line for each include that breaks a rule, and fails if there is one.
# docs/architecture.md explains the floors and rooms.

BEGIN {
    split("base volume io parallel nets3d show apps", names, " ")
    for (i = 1; i in names; i++) floor_level[names[i]] = i - 1

    # The order inside nets3d. Rooms of one level may see each other.
    level("graph", 0)
    level("models device", 1)
    level("ops cpu cuda", 2)
    level("program", 3)
    level("plan run data", 4)
    level("interop", 5)
    level("train predict", 6)
    level("jobs", 7)
    # The registry lists the devices; everything else of its room lies below them.
    allow["nets3d/device/registry.c ops"] = allow["nets3d/device/registry.c cpu"] = 1
    allow["nets3d/device/registry.c cuda"] = 1

    # What every file may include besides: C17, POSIX and Linux, OpenMP, the compiler's own.
    system_headers("assert ctype errno float inttypes limits locale math setjmp signal stdarg")
    system_headers("stdatomic stdbool stddef stdint stdio stdlib string time")
    system_headers("dirent dlfcn fcntl fnmatch ftw link malloc poll pthread sched spawn strings unistd")
    system_headers("sys/epoll sys/file sys/ioctl sys/mman sys/prctl sys/random sys/resource sys/socket sys/stat")
    system_headers("sys/statvfs sys/syscall sys/types sys/uio sys/wait ucontext omp immintrin")

    # Third-party headers and the folders that may see them.
    library("^jansson\\.h$", "io/json/")
    library("^libdeflate\\.h$", "io/archive/")
    library("^zlib\\.h$", "io/archive/ io/itk/")
    library("^png\\.h$", "io/image/")
    library("^jpeglib\\.h$|^jerror\\.h$", "io/image/")
    library("^gif_lib\\.h$", "io/image/")
    library("^ft2build\\.h$|^freetype/", "show/pictures/")
    library("^nifti[12](_io)?\\.h$|^znzlib\\.h$", "io/image/")
    library("^oneapi/dnnl/dnnl.*\\.h$", "nets3d/cpu/")
    library("^mpi\\.h$", "parallel/mpi/")
    library("^nccl\\.h$", "parallel/nccl/")
    library("^(cuda|cudnn|cublas|cufft|nvrtc|nvToolsExt).*\\.h$", "nets3d/cuda/")
    library("^itk.*\\.h$|^tiffio\\.h$", "io/itk/")
    library("^seccomp\\.h$|^linux/landlock\\.h$", "io/itk/")
    library("^curl/", "io/tracking/")

    # C++ is for ITK only, and its program sees nothing of the floors but the types of its protocol.
    library("^[a-z_]+$", "io/itk/")
    cxx_sees = "^(io/itk/[a-z_]+|base/status|volume/volume)\\.h$"

    # What commands may use of the floors' insides: their own plumbing.
    plumbing = "^(base/core|base/system|io/json)/"

    for (i = 1; i < ARGC; i++) exists[ARGV[i]] = 1
}

function level(rooms, n,    list, i) {
    split(rooms, list, " ")
    for (i = 1; i in list; i++) room_level[list[i]] = n
}

function system_headers(names,    list, i) {
    split(names, list, " ")
    for (i = 1; i in list; i++) is_system[list[i] ".h"] = 1
}

function library(pattern, folders) {
    patterns[++libraries] = pattern
    homes[libraries] = folders
}

function complain(text) {
    print text
    bad = 1
}

function folder_of(path) { return match(path, /\/[^\/]*$/) ? substr(path, 1, RSTART - 1) : "." }

# The path from the root: "../base/x.h" and "x.h" are looked up from the including file.
function resolve(file, path,    folder, first) {
    folder = folder_of(file)
    first = path
    sub(/\/.*/, "", first)
    if (index(path, "/") && first in floor_level) return path
    while (path ~ /^\.\.\//) {
        path = substr(path, 4)
        folder = folder_of(folder)
    }
    if (index(path, "/") && !((folder "/" path) in exists)) return path
    return folder == "." ? path : folder "/" path
}

# base/status.h is public, base/core/plural.h is not; apps has nothing public.
function is_public(path) { return path ~ /^[^\/]+\/[^\/]+\.h$/ && path !~ /^apps\// }

# With angle brackets too, our own headers are no system headers.
function is_ours(path,    part) {
    split(path, part, "/")
    return part[1] in floor_level || path ~ /^(\.|volt\.h$|volt\/)/
}

function room_of(path,    part) {
    split(path, part, "/")
    return part[3] == "" ? home[path] : part[2]
}

FNR == 1 { file = FILENAME }

# Definitions at file level tell which room a public header belongs to.
/^[a-z]/ && file ~ /\.c$/ && !/^(static|typedef|return|else|extern|struct [a-z_]+ \{)/ && match($0, /[a-z][a-z0-9_]*\(/) {
    symbol = substr($0, RSTART, RLENGTH - 1)
    split(file, part, "/")
    if (part[3] != "" && !(symbol in defined_in)) defined_in[symbol] = part[2]
}
file ~ /\.h$/ && !/^(static|#| \*)/ && match($0, /[a-z][a-z0-9_]*\(/) {
    if (is_public(file)) declares[file] = declares[file] " " substr($0, RSTART, RLENGTH - 1)
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    included = $0
    quoted = included ~ /include[ \t]*"/
    sub(/^[^<"]*[<"]/, "", included)
    sub(/[>"].*/, "", included)
    from_file[++seen] = file
    to_path[seen] = included
    is_quoted[seen] = quoted
}

# The room that defines most of a public header's functions; others should define none.
function find_homes(    header, list, i, votes, best) {
    for (header in declares) {
        split("", votes)
        best = ""
        split(declares[header], list, " ")
        for (i = 1; i in list; i++)
            if (list[i] in defined_in) votes[defined_in[list[i]]]++
        for (i in votes)
            if (best == "" || votes[i] > votes[best]) best = i
        home[header] = best
        for (i in votes)
            if (i != best)
                complain(header " belongs to " best ", but " i " defines some of its functions")
    }
}

# Whether `path` is a third-party header, which it complains about in the wrong folder.
function check_library(file, path,    i, k, folders, fits) {
    for (i = 1; i <= libraries; i++) {
        if (path !~ patterns[i]) continue
        fits = 0
        split(homes[i], folders, " ")
        for (k = 1; k in folders; k++) fits = fits || index(file, folders[k]) == 1
        if (!fits) complain(file " includes " path ", which belongs to " homes[i])
        return 1
    }
    return 0
}

function check_floors(file, path, to,    from_floor, to_floor) {
    if (file ~ /\.cxx$/ && to !~ cxx_sees) complain(file " includes " path ", which C++ does not see")
    from_floor = file
    sub(/\/.*/, "", from_floor)
    to_floor = to
    sub(/\/.*/, "", to_floor)
    if (!(to_floor in floor_level)) {
        complain(file " includes " path ", which lies on no floor")
        return
    }
    if (floor_level[to_floor] > floor_level[from_floor])
        complain(file " includes " path ", which lies on a higher floor")
    if (from_floor == "parallel" && to_floor == "io")
        complain(file " includes " path ": parallel sees no io")
    if (is_public(file) && !is_public(to))
        complain(file " includes " path ": public headers include public ones only")
    if (is_public(file) && to == path)
        complain(file " includes " path ": public headers include each other relatively")
    if (from_floor == "apps" && to_floor != "apps" && !is_public(to) && to !~ plumbing &&
        file !~ /^apps\/bench\//)
        complain(file " includes " path ", which is internal")
    if (from_floor == "nets3d" && to_floor == "nets3d") check_rooms(file, path, to)
}

function check_rooms(file, path, to,    a, b) {
    a = room_of(file)
    b = room_of(to)
    if (a == "" || b == "") return # a header without functions
    if (!(a in room_level)) { complain(file ": nets3d/" a " has no place in the order"); return }
    if (!(b in room_level)) return # complained about at its own files
    if (room_level[b] > room_level[a] && !((file " " b) in allow))
        complain(file " includes " path ": nets3d/" b " stands above nets3d/" a)
}

END {
    find_homes()
    for (i = 1; i <= seen; i++) {
        if (check_library(from_file[i], to_path[i])) continue
        to = resolve(from_file[i], to_path[i])
        if (is_quoted[i] || to in exists || is_ours(to_path[i]))
            check_floors(from_file[i], to_path[i], to)
        else if (!(to_path[i] in is_system))
            complain(from_file[i] " includes " to_path[i] ", which is in no list of layers.awk")
    }
    print seen " includes looked at"
    exit bad || seen < least
}
