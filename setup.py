"""Builds the extension: every instruction set's unit with its own flags, in parallel, and one Cython module.

Environment switches, for developers:
    CC                  the C compiler
    FASTCONV_CFLAGS     further flags for every C unit (CFLAGS is ignored there on purpose: an -march=native
                        in it would put instructions into the units that must run everywhere)
    FASTCONV_SANITIZE   a value for -fsanitize=, for example address,undefined; debug information, asserts on
"""

import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

X86 = {"x86_64", "amd64", "AMD64"}
ARM = {"aarch64", "arm64"}
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=512"]

# The one table of instruction sets: where each is compiled, and with which flags. Their priority at run time
# stands in src_c/dispatch.c, the test for the processor's support in src_c/cpu.c.
ISAS = {
    "scalar": (X86 | ARM | {platform.machine()}, []),
    "avx2": (X86, ["-mavx2", "-mfma", "-mbmi2", "-mprfchw"]),
    "avx512": (X86, [*AVX512, "-mfma", "-mbmi2", "-mprfchw"]),
    "neon": (ARM, []),
}

# No -ffast-math: NaN, Inf and -0 keep their meaning. gnu11 with contraction, since c11 alone would not form FMAs.
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-fPIC", "-fvisibility=hidden", "-pthread"]
WARNINGS = ["-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-psabi"]
COMMON_UNITS = [f"src_c/{name}.c" for name in ("dispatch", "cpu", "memory", "parallel", "processors", "scratch")]

# What a user's CFLAGS may not do to the binding, which runs on every processor, nor to its link: -ffast-math there
# makes the whole process flush subnormals to zero as soon as the module is loaded.
UNWANTED = ("-march", "-mcpu", "-mavx", "-mfma", "-mbmi", "-msse", "-flto")
UNWANTED += ("-ffast-math", "-Ofast", "-funsafe-math-optimizations")


def c_flags() -> list[str]:
    """The flags of every C unit."""
    if sanitizer := os.environ.get("FASTCONV_SANITIZE"):
        return [*FLAGS, *WARNINGS, "-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={sanitizer}"]
    return [*FLAGS, *WARNINGS, "-DNDEBUG", *shlex.split(os.environ.get("FASTCONV_CFLAGS", ""))]


def units(machine: str) -> list[tuple[str, list[str]]]:
    """Every C unit that a kind of machine needs, with the flags of its own."""
    chosen = [(source, []) for source in COMMON_UNITS]
    for isa, (machines, flags) in ISAS.items():
        if machine in machines:
            chosen += [(f"src_c/isa/{isa}_{kind}.c", flags) for kind in ("f32", "f64")]
    return chosen


def without_unwanted(command: list[str]) -> list[str]:
    """A compiler's or linker's command without a user's flags that would change what the extension promises."""
    return [word for word in command if not word.startswith(UNWANTED)]


def sanitizer_flags() -> list[str]:
    sanitizer = os.environ.get("FASTCONV_SANITIZE")
    return [f"-fsanitize={sanitizer}"] if sanitizer else []


def without_symbols() -> list[str]:
    """What leaves the names of internal functions out, two fifths of the file: of use to who works on it, in place."""
    return ["-Wl,-x" if platform.system() == "Darwin" else "-Wl,--strip-all"]


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BuildKernels(build_ext):
    """Compiles the units that are older than what they include, in parallel, and links them into the extension."""

    def run(self):
        self.stays_here = self.inplace or self.editable_mode  # setuptools forgets the former while it builds
        super().run()

    def build_extension(self, ext):
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        if not shutil.which(compiler[0]):
            raise CompileError(f"fastconv needs a C compiler: {compiler[0]} was not found (CC names another)")
        objects = Path(self.build_temp) / "units"
        objects.mkdir(parents=True, exist_ok=True)
        flags = c_flags()

        def target_of(unit):
            return objects / (Path(unit[0]).stem + ".o")

        def command_of(unit):
            source, own = unit
            return [*compiler, *flags, *own, "-MMD", "-c", source, "-o", str(target_of(unit))]

        def compile_unit(unit):
            target, command = target_of(unit), command_of(unit)
            target.unlink(missing_ok=True)
            print(" ".join(command), flush=True)
            subprocess.run(command, check=True)
            target.with_suffix(".command").write_text("\n".join(command))

        chosen = units(platform.machine())
        stale = [unit for unit in chosen if self.force or not self.is_current(target_of(unit), command_of(unit))]
        if stale:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)  # so that it is linked anew
        ext.extra_objects = [str(target_of(unit)) for unit in chosen]
        if not (self.stays_here or sanitizer_flags()):
            ext.extra_link_args = [*ext.extra_link_args, *without_symbols()]
        self.compiler.compiler_so = without_unwanted(self.compiler.compiler_so)
        self.compiler.linker_so = without_unwanted(self.compiler.linker_so)
        link = self.compiler.link_shared_object
        with ThreadPoolExecutor(max_workers=processors()) as pool:
            compiling = [pool.submit(compile_unit, unit) for unit in reversed(stale)]  # what takes longest first

            def link_when_compiled(*arguments, **options):
                for unit in compiling:
                    unit.result()
                link(*arguments, **options)

            self.compiler.link_shared_object = link_when_compiled
            super().build_extension(ext)  # which compiles the binding meanwhile

    @staticmethod
    def is_current(target: Path, command: list[str]) -> bool:
        """Whether an object was made by this very command from sources that have not changed since."""
        made_by, includes = target.with_suffix(".command"), target.with_suffix(".d")
        if not (target.exists() and made_by.exists() and includes.exists()):
            return False
        sources = includes.read_text().replace("\\\n", " ").split(":", 1)[1].split()
        return made_by.read_text() == "\n".join(command) and all(
            os.path.exists(name) and os.path.getmtime(name) <= target.stat().st_mtime for name in sources
        )


def extension() -> Extension:
    import numpy

    return Extension(
        "fastconv._kernels",
        ["fastconv/_kernels.pyx"],
        include_dirs=["src_c", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_19_API_VERSION")],
        extra_compile_args=["-O2", "-fvisibility=hidden", *sanitizer_flags()],
        libraries=["m"],
        extra_link_args=["-pthread", *sanitizer_flags()],
    )


if __name__ == "__main__":  # as a build runs it; the tests of the C sources only read the table
    from Cython.Build import cythonize

    setup(
        ext_modules=cythonize([extension()], compiler_directives={"language_level": 3}),
        cmdclass={"build_ext": BuildKernels},
    )
