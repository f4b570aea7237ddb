#!/bin/bash
# Each floor includes only floors below it, each room of nets3d only rooms below it, and each
# third-party library is confined to its folder. The rules are in layers.awk.
# usage: layers.sh VOLT SCRATCH SOURCE
set -u
rules=$(cd "$(dirname "$0")" && pwd)/layers.awk
scratch=$(realpath -m "$2")
cd "$3" || exit 1
bad=0

# check LEAST: reads the sources below this folder; fewer includes than LEAST are a failure.
check() {
    find $(ls -d base volume io parallel nets3d show apps 2>/dev/null) -name '*.[ch]' -o -name '*.cxx' |
        LC_ALL=C sort |
        xargs awk -v least="$1" -f "$rules"
}

# plant FILE LINE...: a source file of the scratch tree.
plant() {
    mkdir -p "$(dirname "$scratch/$1")"
    printf '%s\n' "${@:2}" >"$scratch/$1"
}

check 1000 || bad=1

# The test itself: each of these must be refused, by name.
rm -rf "$scratch"
plant base/core/isa.h '#include "base/status.h"'
plant base/status.h '#include "core/isa.h"'
plant base/wrong.h '#include "../io/image.h"'
plant io/image.h '#include "base/status.h"'
plant io/store/a.c '#include <jansson.h>'
plant io/itk/itk.h '#include <png.h>'
plant nets3d/graph.h 'VOLT_API void volt_graph_free(void);' 'VOLT_API int volt_graph_a(void);' \
    'VOLT_API int volt_graph_b(void);'
plant nets3d/graph/graph.c 'void volt_graph_free(void)' '{' '}' 'int volt_graph_a(void)' '{' '}'
plant nets3d/data/j.c 'int volt_graph_b(void)' '{' '}'
plant nets3d/trainer.h 'VOLT_API int volt_train(void);'
plant nets3d/train/trainer.c '#include "nets3d/graph.h"' 'int volt_train(void)' '{' '}'
plant nets3d/graph/b.c '#include "nets3d/trainer.h"'
plant nets3d/cpu/c.c '#include "nets3d/program/run.h"' '#include <oneapi/dnnl/dnnl.h>'
plant nets3d/ops/d.c '#include "oneapi/dnnl/dnnl.h"'
plant nets3d/odd/e.c '#include "nets3d/graph.h"'
plant parallel/mpi/f.c '#include "io/image.h"' '#include <mpi.h>'
plant apps/cmd_g.c '#include "nets3d/train/trainer.h"' '#include "io/json/json.h"'
plant apps/bench/h.c '#include "nets3d/train/trainer.h"' '#include "lost/i.h"'
plant volume/i.c '#include <io/image.h>' '#include <stdio.h>' '#include <libxml/tree.h>' \
    '#include <sys/event.h>' '#include <vector>' '#include <volt/volt.h>'
plant io/itk/j.cxx '#include <vector>' '#include <itkImage.h>' '#include "io/image.h"' \
    '#include "io/itk/itk.h"' '#include <string.hpp>' '#include <itk.h>'
LC_ALL=C sort >"$scratch/expected" <<'END'
apps/bench/h.c includes lost/i.h, which lies on no floor
apps/cmd_g.c includes nets3d/train/trainer.h, which is internal
base/status.h includes core/isa.h: public headers include public ones only
base/wrong.h includes ../io/image.h, which lies on a higher floor
io/image.h includes base/status.h: public headers include each other relatively
io/itk/j.cxx includes io/image.h, which C++ does not see
io/itk/j.cxx includes string.hpp, which is in no list of layers.awk
volume/i.c includes io/image.h, which lies on a higher floor
volume/i.c includes libxml/tree.h, which is in no list of layers.awk
volume/i.c includes sys/event.h, which is in no list of layers.awk
volume/i.c includes vector, which belongs to io/itk/
volume/i.c includes volt/volt.h, which lies on no floor
io/itk/itk.h includes png.h, which belongs to io/image/
io/store/a.c includes jansson.h, which belongs to io/json/
nets3d/cpu/c.c includes nets3d/program/run.h: nets3d/program stands above nets3d/cpu
nets3d/graph/b.c includes nets3d/trainer.h: nets3d/train stands above nets3d/graph
nets3d/graph.h belongs to graph, but data defines some of its functions
nets3d/odd/e.c: nets3d/odd has no place in the order
nets3d/ops/d.c includes oneapi/dnnl/dnnl.h, which belongs to nets3d/cpu/
parallel/mpi/f.c includes io/image.h: parallel sees no io
END
(cd "$scratch" && check 0) | grep -v 'looked at$' | LC_ALL=C sort >"$scratch/found"
diff "$scratch/expected" "$scratch/found" || { echo "planted violations are not seen as expected" && bad=1; }
(cd "$scratch" && check 0) >/dev/null && { echo "a tree with violations passes" && bad=1; }
exit $bad
