#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""installed.py BUILD SOURCE CC CXX ORT_INCLUDE ORT_LIBRARY: installs the build into a folder of its own,
moves that folder, and uses what is in it as a stranger would: find_package and pkg-config, C alone and
C++, static and shared, the command, its man page. Nothing of the source tree is on any path, but for the
programs to be built."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE, CC, CXX, ORT_INCLUDE, ORT_LIBRARY = sys.argv[1:7]
CONSUMERS = os.path.join(SOURCE, "tests", "consume")
ADD = os.path.join(SOURCE, "tests", "graphs", "shapes", "add.onnx")


def call(*command, env=None, cwd=None):
    """Standard output of a command that must end well."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **(env or {})}, cwd=cwd, check=False, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="ortpool-installed-")
        first = os.path.join(cls.folder, "first")
        cls.prefix = os.path.join(cls.folder, "moved", "here")
        call("cmake", "--install", BUILD, "--prefix", first)
        os.makedirs(os.path.dirname(cls.prefix))
        os.rename(first, cls.prefix)
        found = [os.path.join(path, name) for path, _, names in os.walk(cls.prefix) for name in names]
        cls.files = [os.path.relpath(path, cls.prefix) for path in found]
        cls.lib = os.path.dirname(next(path for path in found if path.endswith("libortpool.a")))
        cls.env = {"LD_LIBRARY_PATH": ":".join([cls.lib, os.path.dirname(ORT_LIBRARY)]),
                   "PKG_CONFIG_PATH": os.path.join(cls.lib, "pkgconfig")}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def build(self, language, kind):
        build = os.path.join(self.folder, f"{language}-{kind}")
        options = [f"-DLANGUAGE={language}", f"-DKIND={kind}", f"-DCMAKE_PREFIX_PATH={self.prefix}",
                   f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}"]
        if ORT_LIBRARY:
            options += [f"-DEXAMPLES={os.path.join(SOURCE, 'examples')}", f"-DORT_INCLUDE={ORT_INCLUDE}",
                        f"-DORT_LIBRARY={ORT_LIBRARY}"]
        call("cmake", "-S", os.path.join(CONSUMERS, "installed"), "-B", build, *options)
        call("cmake", "--build", build, "-j", "2")
        return build

    def examples(self, build, *names):
        if not ORT_LIBRARY:
            return
        # A release may have the plain name alone, where programs ask for the versioned one.
        folder = os.path.join(build, "ort")
        os.makedirs(folder)
        for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
            os.symlink(ORT_LIBRARY, os.path.join(folder, name))
        env = {"LD_LIBRARY_PATH": f"{self.lib}:{folder}", "ORT_DISABLE_TELEMETRY": "1"}
        for name in names:
            said = call(os.path.join(build, name), ADD, env=env)
            self.assertRegex(said, "1000 runs, 2 tensors created|given back before the end: [1-9]")

    def test_c_alone(self):
        for kind in ("static", "shared"):
            with self.subTest(kind):
                build = self.build("C", kind)
                self.assertIn("in a program of C alone", call(os.path.join(build, "program"), env=self.env))
                needed = call("objdump", "-p", os.path.join(build, "program"))
                self.assertEqual("libortpool.so" in needed, kind == "shared")
                self.examples(build, "pool_session", "own_session")

    def test_cpp(self):
        for kind in ("static", "shared"):
            with self.subTest(kind):
                build = self.build("CXX", kind)
                self.assertIn("in C++", call(os.path.join(build, "program"), env=self.env))
                self.examples(build, "raii")

    def test_unknown_component_is_refused(self):
        build = os.path.join(self.folder, "unknown")
        done = subprocess.run(["cmake", "-S", os.path.join(CONSUMERS, "installed"), "-B", build, "-DLANGUAGE=C",
                               "-DKIND=nonsense", f"-DCMAKE_PREFIX_PATH={self.prefix}"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nonsense", done.stdout)

    @unittest.skipUnless(shutil.which("pkg-config"), "no pkg-config")
    def test_pkg_config(self):
        program = os.path.join(self.folder, "by-pkg-config")
        source = os.path.join(CONSUMERS, "c_only", "main.c")
        for static in (False, True):
            flags = call("pkg-config", *(["--static"] if static else []), "--cflags", "--libs", "ortpool",
                         env=self.env).split()
            # The linker prefers a shared library of the same name.
            flags = ["-l:libortpool.a" if static and flag == "-lortpool" else flag for flag in flags]
            call(CC, "-std=c17", source, "-o", program, *flags, env=self.env)
            self.assertIn("in a program of C alone", call(program, env=self.env))
            self.assertEqual("libortpool.so" in call("objdump", "-p", program), not static)
        self.assertEqual(call("pkg-config", "--modversion", "ortpool", env=self.env).strip(),
                         re.search(r'ORTPOOL_VERSION "(.*)"', self.header("status.h")).group(1))

    def header(self, name):
        with open(os.path.join(self.prefix, "include", "ortpool", name), encoding="utf-8") as file:
            return file.read()

    def test_headers_compile_alone(self):
        include = os.path.join(self.prefix, "include")
        for name in sorted(os.listdir(os.path.join(include, "ortpool"))):
            unit = os.path.join(self.folder, "unit")
            for compiler, suffix, standard in ((CC, ".c", "c17"), (CXX, ".cpp", "c++17")):
                if name.endswith(".hpp") and suffix == ".c":
                    continue
                with open(unit + suffix, "w", encoding="utf-8") as file:
                    file.write(f"#include <ortpool/{name}>\n")
                call(compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{include}",
                     "-fsyntax-only", unit + suffix)

    def test_exports_are_the_headers(self):
        promised = set()
        for name in os.listdir(os.path.join(self.prefix, "include", "ortpool")):
            text = re.sub(r"/\*.*?\*/", "", self.header(name), flags=re.S)
            promised |= set(re.findall(r"ORTP_API\b[^;{]*?\b(ortp_\w+)\s*\(", text))
        self.assertGreater(len(promised), 100)
        with open(os.path.join(SOURCE, "src", "ortpool.map"), encoding="utf-8") as file:
            mapped = set(re.findall(r"^\s+(ortp_\w+);$", file.read(), flags=re.M))
        self.assertEqual(mapped, promised)
        table = call("nm", "-D", "--defined-only", os.path.join(self.lib, "libortpool.so"))
        exported = {line.split()[2].split("@")[0] for line in table.splitlines()} - {"ORTPOOL_0"}
        self.assertEqual(exported, promised)
        dynamic = call("objdump", "-p", os.path.join(self.lib, "libortpool.so"))
        self.assertRegex(dynamic, r"SONAME +libortpool\.so\.0\.1\n")
        self.assertNotIn("libonnxruntime", dynamic)

    def test_man_page(self):
        with open(os.path.join(self.prefix, "share", "man", "man1", "ortpool.1"), encoding="utf-8") as file:
            page = file.read().replace("\\-", "-")
        command = os.path.join(self.prefix, "bin", "ortpool")
        for name in ([], ["run"], ["predict"], ["eval"], ["inspect"]):
            for option in re.findall(r"^  (--[a-z-]+)", call(command, *name, "--help"), flags=re.M):
                self.assertIn(option, page)
        if shutil.which("man"):
            self.assertEqual(call("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z",
                                  os.path.join(self.prefix, "share", "man", "man1", "ortpool.1"))[:5], "x T u")

    def test_run_of_a_model(self):
        """Its helper library is found from where it is installed."""
        if not ORT_LIBRARY:
            self.skipTest("no ONNX Runtime")
        command = os.path.join(self.prefix, "bin", "ortpool")
        said = call(command, "run", "--json", "--repeat", "3", "--shape", "x=9", "--shape", "y=9", ADD, cwd=self.folder)
        for row in json.loads(said)["rows"]:
            self.assertGreater(row["heap_allocations_per_run"], 1)

    @unittest.skipUnless(shutil.which("dpkg") and shutil.which("dpkg-shlibdeps"), "no Debian")
    def test_debian_package(self):
        packages = os.path.join(self.folder, "packages")
        call("cpack", "-G", "DEB", "-B", packages, "--config", os.path.join(BUILD, "CPackConfig.cmake"))
        package = next(os.path.join(packages, name) for name in os.listdir(packages) if name.endswith(".deb"))
        for depends in ("libc6", "libjansson4", "libstdc++6"):
            self.assertIn(depends, call("dpkg-deb", "-f", package, "Depends"))
        root = os.path.join(self.folder, "root")
        call("dpkg-deb", "-x", package, root)
        command = os.path.join(root, "usr", "bin", "ortpool")
        self.assertIn("ortpool 0.", call(command, "--version", cwd=self.folder))
        self.assertIn(os.path.join(root, "usr", "share", "ortpool"), os.path.realpath(call(command, "inspect", "--json",
                      cwd=self.folder).split('"directory":"')[1].split('"')[0]))
        if os.environ.get("CI") and os.geteuid() == 0:  # where the machine is nobody's
            call("dpkg", "-i", package)
            self.assertIn("libortpool.so.0.1", call("ldconfig", "-p"))
            self.assertIn("ortpool 0.", call("/usr/bin/ortpool", "--version", cwd=self.folder))
            call("dpkg", "-P", "ortpool")

    def test_command(self):
        command = os.path.join(self.prefix, "bin", "ortpool")
        env = {"ORTPOOL_MODEL": ""}
        self.assertIn("ortpool 0.", call(command, "--version", cwd=self.folder))
        said = call(command, "inspect", cwd=self.folder, env={k: v for k, v in env.items() if v})
        self.assertIn(os.path.join("share", "ortpool", "models", "swipe-en"), said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
