"""Builds the extension: every instruction set's unit with its own flags, in parallel, and one Cython module.

Environment switches, for developers:
    CC                  the C compiler
    FASTCONV_CFLAGS     further flags for every C unit (CFLAGS is ignored there on purpose: an -march=native
                        in it would put instructions into the units that must run everywhere)
    FASTCONV_SANITIZE   a value for -fsanitize=, for example address,undefined; debug information, asserts on
"""

import os
import platform
import re
import shlex
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

X86 = {"x86_64", "amd64", "AMD64"}
ARM = {"aarch64", "arm64"}

# The one table of instruction sets: where each is compiled, and with which flags. Their priority at run time
# stands in src_c/dispatch.c, the test for the processor's support in src_c/cpu.c.
ISAS = {
    "scalar": (X86 | ARM | {platform.machine()}, []),
    "avx2": (X86, ["-mavx2", "-mfma", "-mbmi2"]),
    "avx512": (X86, ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mbmi2", "-mprefer-vector-width=512"]),
    "neon": (ARM, []),
}

# No -ffast-math: NaN, Inf and -0 keep their meaning. gnu11 with contraction, since c11 alone would not form FMAs.
FLAGS = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-fvisibility=hidden"]
WARNINGS = ["-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-psabi"]
COMMON_UNITS = ["src_c/dispatch.c", "src_c/cpu.c", "src_c/parallel.c", "src_c/processors.c", "src_c/scratch.c"]


def c_flags() -> list[str]:
    flags = FLAGS + WARNINGS + ["-pthread"]
    if sanitizer := os.environ.get("FASTCONV_SANITIZE"):
        return [*flags, "-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={sanitizer}"]
    return [*flags, "-DNDEBUG", *shlex.split(os.environ.get("FASTCONV_CFLAGS", ""))]


def units() -> list[tuple[str, list[str]]]:
    """Every C unit with the flags of its own."""
    machine = platform.machine()
    chosen = [(source, []) for source in COMMON_UNITS]
    for isa, (machines, flags) in ISAS.items():
        if machine in machines:
            chosen += [(f"src_c/isa/{isa}_{kind}.c", flags) for kind in ("f32", "f64")]
    return chosen


class BuildKernels(build_ext):
    """Compiles the units that are older than what they include, in parallel, and links them into the extension."""

    def build_extension(self, ext):
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        objects = Path(self.build_temp) / "units"
        objects.mkdir(parents=True, exist_ok=True)
        flags = c_flags()

        def compile_unit(unit):
            source, own = unit
            target = objects / (Path(source).stem + ".o")
            command = [*compiler, *flags, *own, "-MMD", "-c", source, "-o", str(target)]
            if self.force or not self.is_current(target, command):
                target.unlink(missing_ok=True)
                print(*command, flush=True)
                subprocess.run(command, check=True)
                target.with_suffix(".command").write_text("\n".join(command))
            return str(target)

        with ThreadPoolExecutor(max_workers=max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())) as pool:
            linked = list(pool.map(compile_unit, units()))
        ext.extra_objects = linked
        ext.depends = linked
        # Whatever CFLAGS asks for, the binding runs on every processor too.
        self.compiler.compiler_so = [flag for flag in self.compiler.compiler_so if not re.match(r"-m(arch|tune|cpu|avx|fma|sse)", flag)]
        super().build_extension(ext)

    @staticmethod
    def is_current(target: Path, command: list[str]) -> bool:
        """Whether an object was made by this very command from sources that have not changed since."""
        made_by, includes = target.with_suffix(".command"), target.with_suffix(".d")
        if not (target.exists() and made_by.exists() and includes.exists()) or made_by.read_text() != "\n".join(command):
            return False
        sources = includes.read_text().replace("\\\n", " ").split(":", 1)[1].split()
        return all(os.path.exists(name) and os.path.getmtime(name) <= target.stat().st_mtime for name in sources)


def sanitizer_flags() -> list[str]:
    sanitizer = os.environ.get("FASTCONV_SANITIZE")
    return [f"-fsanitize={sanitizer}"] if sanitizer else []


extension = Extension(
    "fastconv._kernels",
    ["fastconv/_kernels.pyx"],
    include_dirs=["src_c", numpy.get_include()],
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_19_API_VERSION")],
    extra_compile_args=["-O2", "-fvisibility=hidden", *sanitizer_flags()],
    extra_link_args=["-pthread", *sanitizer_flags()],
)

setup(
    ext_modules=cythonize([extension], compiler_directives={"language_level": 3}),
    cmdclass={"build_ext": BuildKernels},
)
