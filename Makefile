# make            install what is missing, build build/volt and build/libvolt.so
# make demo       make a small data set, train, predict, evaluate: a whole job in minutes
# make test       build and run every test
# make check-all  sanitizers, valgrind, clang, formatting, clang-tidy, fuzzing (slow)
# make install    to PREFIX (default /usr/local)
BUILD := build
BUILD_TYPE := Release
PREFIX := /usr/local
JOBS := $(shell nproc)
CTEST_FLAGS :=
# The demonstration: voxels along the longest axis, cases, how long training may take.
DEMO_SIZE := 64
DEMO_CASES := 12
DEMO_BUDGET := 3m

PACKAGES := cmake gcc make pkg-config libc6-dev libdnnl-dev libnifti2-dev libdeflate-dev \
	zlib1g-dev libjansson-dev libpng-dev
# For volt-itk, which reads .mha, .nrrd, .tif, ...: WITHOUT_ITK=1 leaves it out.
ITK_PACKAGES := $(if $(WITHOUT_ITK),,libinsighttoolkit5-dev g++)
TEST_PACKAGES := libcmocka-dev g++
CHECK_PACKAGES := clang libomp-dev llvm clang-format clang-tidy valgrind

.PHONY: all packages configure demo test check-all install clean
.DEFAULT_GOAL := all

all: configure
	cmake --build $(BUILD) -j $(JOBS)

packages:
	@scripts/install-packages.sh $(PACKAGES) $(ITK_PACKAGES) $(TEST_PACKAGES)

configure: packages
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) -DCMAKE_INSTALL_PREFIX=$(PREFIX)

test: all
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) $(CTEST_FLAGS)

# Only the command is built: tests can wait.
demo: configure
	cmake --build $(BUILD) -j $(JOBS) --target volt_cli
	@scripts/demo.sh $(BUILD)/volt demo $(DEMO_SIZE) $(DEMO_CASES) $(DEMO_BUDGET)

# STAGES="asan fuzz" runs some of the stages only; PYTHON=.../python adds the peers' checks.
check-all: packages
	@scripts/install-packages.sh $(CHECK_PACKAGES)
	@scripts/check-all.sh $(STAGES)

install: all
	cmake --install $(BUILD)

clean:
	rm -rf $(BUILD) build-asan build-valgrind build-clang build-fuzz demo
