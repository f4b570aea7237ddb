# make            build build/volt and build/libvolt.so; names the packages that are missing
# make deps       install those packages through apt (Debian, Ubuntu)
# make demo       generate a small data set, train, predict, evaluate: a whole job in minutes
# make test       build everything, warnings as errors, and run every test
# make check-all  sanitizers, valgrind, clang, formatting, clang-tidy, fuzzing (slow)
# make install    to PREFIX (default /usr/local), below DESTDIR where that is given
# make uninstall  removes what the last make install wrote
# make deb        Debian packages in build/
# demo, test and check-all install missing packages; the others never do.
BUILD := build
BUILD_TYPE := Release
JOBS := $(shell nproc)
CTEST_FLAGS :=
# The demonstration: voxels along the longest axis, cases, how long training may take.
DEMO_SIZE := 64
DEMO_CASES := 12
DEMO_BUDGET := 3m

PACKAGES := cmake gcc make libc6-dev libdnnl-dev libnifti2-dev libdeflate-dev zlib1g-dev \
	libjansson-dev libpng-dev
# For volt-itk, which reads .mha, .nrrd, .tif, ...: WITHOUT_ITK=1 leaves it out.
ITK_PACKAGES := $(if $(WITHOUT_ITK),,libinsighttoolkit5-dev g++)
TEST_PACKAGES := libcmocka-dev g++ pkg-config python3
CHECK_PACKAGES := clang libomp-dev llvm clang-format clang-tidy valgrind

.PHONY: all help deps configure demo test check-all install uninstall deb clean
.DEFAULT_GOAL := all

all: configure
	cmake --build $(BUILD) -j $(JOBS)

help:
	@sed -n '1,/^[^#]/s/^# //p' Makefile

deps:
	@scripts/install-packages.sh $(PACKAGES) $(ITK_PACKAGES) $(TEST_PACKAGES)

# What is not given here stays as the build folder has it.
configure:
	@command -v cmake >/dev/null || { echo "cmake is not installed (Debian package cmake);" \
		"'make deps' installs all that VOLT needs" >&2; exit 1; }
	@command -v $${CC:-cc} >/dev/null || { echo "there is no C compiler (Debian package gcc);" \
		"'make deps' installs all that VOLT needs" >&2; exit 1; }
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) \
		$(if $(PREFIX),-DCMAKE_INSTALL_PREFIX=$(PREFIX)) \
		$(if $(WITHOUT_ITK),-DVOLT_ITK=OFF) \
		$(if $(VOLT_SHARED_DATA),-DVOLT_SHARED_DATA=$(VOLT_SHARED_DATA)) $(CONFIGURE_FLAGS)

test: deps
	@$(MAKE) all CONFIGURE_FLAGS="$(CONFIGURE_FLAGS) -DVOLT_WERROR=ON"
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) $(CTEST_FLAGS); status=$$?; \
		scripts/list-skips.sh $(BUILD); exit $$status

# Only the command is built: tests can wait.
demo: deps
	@$(MAKE) configure
	cmake --build $(BUILD) -j $(JOBS) --target volt_cli
	@scripts/demo.sh $(BUILD)/volt demo $(DEMO_SIZE) $(DEMO_CASES) $(DEMO_BUDGET)

# STAGES="asan fuzz" runs some of the stages only; PYTHON=.../python adds the peers' checks.
check-all: deps
	@scripts/install-packages.sh $(CHECK_PACKAGES)
	@scripts/check-all.sh $(STAGES)

install: all
	DESTDIR=$(DESTDIR) cmake --install $(BUILD)

uninstall:
	sed 's|^|$(DESTDIR)|' $(BUILD)/install_manifest.txt | xargs -d '\n' rm -f

deb: all
	cd $(BUILD) && cpack -G DEB

clean:
	rm -rf $(BUILD) build-asan build-asan-core build-valgrind build-clang build-fuzz demo
