# make            build build/volt and build/libvolt.so; names the packages that are missing
#                 (without cmocka the tests are left out)
# make deps       install those packages through apt (Debian, Ubuntu)
# make demo       generate a small data set, train, predict, evaluate: a whole job in minutes
# make test       build everything, warnings as errors, and run every test
# make check-all  sanitizers, valgrind, clang, formatting, clang-tidy, fuzzing (slow)
# make install    to PREFIX (default /usr/local), below DESTDIR where that is given
# make uninstall  removes what the last make install wrote
# make deb        Debian packages in build-deb/
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
	libjansson-dev libpng-dev libjpeg-dev libgif-dev libfreetype-dev
# For volt-itk, which reads .mha, .nrrd, .tif, ...: WITHOUT_ITK=1 leaves it out.
ITK_PACKAGES := $(if $(WITHOUT_ITK),,libinsighttoolkit5-dev libseccomp-dev libtiff-dev g++)
# For ranks that are processes: WITHOUT_MPI=1 leaves it out. The tests run MPICH, too.
MPI_PACKAGES := $(if $(WITHOUT_MPI),,openmpi-bin libopenmpi-dev)
MPI_TEST_PACKAGES := $(if $(WITHOUT_MPI),,mpich libmpich-dev)
TEST_PACKAGES := libcmocka-dev g++ pkg-config python3
DEB_PACKAGES := dpkg-dev
CHECK_PACKAGES := clang libomp-dev llvm clang-format clang-tidy valgrind

.PHONY: all compile help deps configure demo test check-all install uninstall deb clean
.DEFAULT_GOAL := all

# `make test` turns VOLT_WERROR on in the build folder and this turns it off. Other targets leave it
# as it is, so that they need not compile everything again.
all: WERROR := OFF
all: compile

compile: configure
	cmake --build $(BUILD) -j $(JOBS)

help:
	@sed -n '1,/^[^#]/s/^# //p' Makefile

deps:
	@scripts/install-packages.sh $(PACKAGES) $(ITK_PACKAGES) $(MPI_PACKAGES) $(TEST_PACKAGES)

# What is not given here stays as the build folder has it.
configure:
	@command -v cmake >/dev/null || { echo "cmake is not installed (Debian package cmake);" \
		"'make deps' installs all that VOLT needs" >&2; exit 1; }
	@command -v $${CC:-cc} >/dev/null || { echo "there is no C compiler (Debian package gcc);" \
		"'make deps' installs all that VOLT needs" >&2; exit 1; }
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) \
		$(if $(PREFIX),-DCMAKE_INSTALL_PREFIX=$(PREFIX)) \
		$(if $(WERROR),-DVOLT_WERROR=$(WERROR)) \
		$(if $(WITHOUT_ITK),-DVOLT_ITK=OFF) $(if $(WITHOUT_MPI),-DVOLT_MPI=OFF) \
		$(if $(VOLT_SHARED_DATA),-DVOLT_SHARED_DATA=$(VOLT_SHARED_DATA)) $(CONFIGURE_FLAGS)

test: deps
	@scripts/install-packages.sh $(MPI_TEST_PACKAGES)
	@$(MAKE) compile WERROR=ON CONFIGURE_FLAGS="$(CONFIGURE_FLAGS) -DVOLT_TESTS=ON"
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) $(CTEST_FLAGS); status=$$?; \
		scripts/list-skips.sh $(BUILD); exit $$status

# Only the command is built: tests can wait.
demo: deps
	@$(MAKE) configure
	cmake --build $(BUILD) -j $(JOBS) --target volt_cli
	@scripts/demo.sh $(BUILD)/volt demo $(DEMO_SIZE) $(DEMO_CASES) $(DEMO_BUDGET)

# STAGES="asan fuzz" runs some of the stages only; PYTHON=.../python adds the peers' checks.
check-all: deps
	@scripts/install-packages.sh $(CHECK_PACKAGES) $(DEB_PACKAGES) $(MPI_TEST_PACKAGES)
	@scripts/check-all.sh $(STAGES)

install: compile
	DESTDIR=$(DESTDIR) cmake --install $(BUILD)

uninstall:
	sed 's|^|$(DESTDIR)|' $(BUILD)/install_manifest.txt | xargs -d '\n' rm -f

# In a folder of its own, because the prefix decides where Debian wants the library.
deb:
	@$(MAKE) compile BUILD=build-deb BUILD_TYPE=Release PREFIX=/usr \
		CONFIGURE_FLAGS="$(CONFIGURE_FLAGS) -DVOLT_TESTS=OFF -DVOLT_EXAMPLES=OFF"
	cd build-deb && cpack -G DEB

clean:
	rm -rf $(BUILD) build-asan build-asan-core build-valgrind build-clang build-fuzz \
		build-deb demo
