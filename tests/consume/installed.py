#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""installed.py BUILD SOURCE CC CXX ORT_INCLUDE ORT_LIBRARY: installs the build into a folder of its own,
moves that folder, and uses what is in it as a stranger would: find_package and pkg-config, C alone and
C++, static and shared, with and without libortpool-predict, the command, its man page, the Debian packages.
Nothing of the source tree is on any path, but for the programs to be built."""

import json
import os
import re
import shlex
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


def needs(path):
    """The shared libraries that a program or a library asks for."""
    return set(re.findall(r"NEEDED +(\S+)", call("objdump", "-p", path)))


def defined(*paths):
    """The symbols that static libraries define."""
    table = call("nm", "--defined-only", *paths)
    return {words[2] for words in map(str.split, table.splitlines()) if len(words) == 3}


def undefined(*paths):
    table = call("nm", "--undefined-only", *paths)
    return {words[1] for words in map(str.split, table.splitlines()) if len(words) == 2}


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="ortpool-installed-")
        first = os.path.join(cls.folder, "first")
        cls.prefix = os.path.join(cls.folder, "moved to", "here")  # with a blank
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

    def build(self, language, kind, predict):
        build = os.path.join(self.folder, f"{language}-{kind}{'-predict' if predict else ''}")
        options = [f"-DPREDICT={predict}", f"-DLANGUAGE={language}", f"-DKIND={kind}",
                   f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CXX}"]
        if ORT_LIBRARY and not predict:
            options += [f"-DEXAMPLES={os.path.join(SOURCE, 'examples')}", f"-DORT_INCLUDE={ORT_INCLUDE}",
                        f"-DORT_LIBRARY={ORT_LIBRARY}"]
        call("cmake", "-S", os.path.join(CONSUMERS, "installed"), "-B", build, "-G", "Ninja", *options)
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

    def programs(self, language, said, examples):
        """Both programs in both kinds: they run, and they ask for no more than the libraries that they use."""
        for kind in ("static", "shared"):
            with self.subTest(kind):
                build = self.build(language, kind, False)
                self.assertIn(said, call(os.path.join(build, "program"), env=self.env))
                needed = needs(os.path.join(build, "program"))
                self.assertEqual("libortpool.so.0.1" in needed, kind == "shared")
                self.assertFalse({"libjansson.so.4", "libortpool-predict.so.0.1"} & needed, needed)
                self.examples(build, *examples)
                build = self.build(language, kind, True)
                self.assertIn("with its predictor", call(os.path.join(build, "predict"), env=self.env))
                needed = needs(os.path.join(build, "predict"))
                self.assertEqual("libortpool-predict.so.0.1" in needed, kind == "shared")
                self.assertEqual("libjansson.so.4" in needed, kind == "static")

    def test_c_alone(self):
        self.programs("C", "in a program of C alone", ("pool_session", "own_session"))

    def test_cpp(self):
        self.programs("CXX", "in C++", ("raii",))

    def test_unknown_component_is_refused(self):
        build = os.path.join(self.folder, "unknown")
        done = subprocess.run(["cmake", "-S", os.path.join(CONSUMERS, "installed"), "-B", build, "-G", "Ninja",
                               "-DLANGUAGE=C",
                               "-DKIND=nonsense", f"-DCMAKE_PREFIX_PATH={self.prefix}"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nonsense", done.stdout)

    @unittest.skipUnless(shutil.which("pkg-config"), "no pkg-config")
    def test_pkg_config(self):
        program = os.path.join(self.folder, "by-pkg-config")
        for name, source, said in (("ortpool", "program.c", "in a program of C alone"),
                                   ("ortpool-predict", "predict.c", "with its predictor")):
            for static in (False, True):
                flags = shlex.split(call("pkg-config", *(["--static"] if static else []), "--cflags", "--libs", name,
                                         env=self.env))
                # The linker prefers a shared library of the same name.
                if static:
                    flags = [f"-l:lib{flag[2:]}.a" if flag.startswith("-lortpool") else flag for flag in flags]
                call(CC, "-std=c17", os.path.join(CONSUMERS, "installed", source), "-o", program, *flags, env=self.env)
                self.assertIn(said, call(program, env=self.env))
                self.assertEqual(f"lib{name}.so.0.1" in needs(program), not static)
                self.assertEqual("libjansson.so.4" in needs(program), static and name == "ortpool-predict")
            self.assertEqual(call("pkg-config", "--modversion", name, env=self.env).strip(),
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

    def headers_of(self, *umbrellas):
        """The names of the headers that these include, themselves and one through the other."""
        names, left = set(), list(umbrellas)
        while left:
            name = left.pop()
            if name not in names:
                names.add(name)
                left += re.findall(r"#include <ortpool/(.*)>", self.header(name))
        return names

    def promised(self, names):
        found = set()
        for name in names:
            text = re.sub(r"/\*.*?\*/", "", self.header(name), flags=re.S)
            found |= set(re.findall(r"ORTP_API\b[^;{]*?\b(ortp_\w+)\s*\(", text))
        return found

    def mapped(self, name):
        """The symbols of an export map by their version."""
        with open(os.path.join(SOURCE, "src", name), encoding="utf-8") as file:
            text = file.read()
        return {version: set(re.findall(r"^\s+(ortp_\w+);$", body, flags=re.M))
                for version, body in re.findall(r"^(\w+) \{(.*?)^\}", text, flags=re.M | re.S)}

    def exported(self, name):
        table = call("nm", "-D", "--defined-only", os.path.join(self.lib, name))
        found = {}
        for line in table.splitlines():
            kind, symbol = line.split()[1:]
            if kind != "A":  # the version's own name
                symbol, version = re.split("@+", symbol)
                found.setdefault(version, set()).add(symbol)
        return found

    def test_exports_are_the_headers(self):
        names = set(os.listdir(os.path.join(self.prefix, "include", "ortpool")))
        main = self.headers_of("ortpool.h", "ortpool.hpp")
        predict = self.headers_of("predict.h", "predict.hpp") - main
        self.assertEqual(names, main | predict)
        self.assertGreater(len(main), 10)
        self.assertGreater(len(predict), 5)
        private = self.mapped("ortpool.map")["ORTPOOL_PRIVATE_0_1"]
        for library, version, headers, more in (
                ("ortpool", "ORTPOOL_0", main, {"ORTPOOL_PRIVATE_0_1": private}),
                ("ortpool-predict", "ORTPOOL_PREDICT_0", predict, {})):
            with self.subTest(library):
                expected = {version: self.promised(headers), **more}
                self.assertGreater(len(expected[version]), 20)
                self.assertEqual(self.mapped(library + ".map"), expected)
                self.assertEqual(self.exported(f"lib{library}.so"), expected)
                dynamic = call("objdump", "-p", os.path.join(self.lib, f"lib{library}.so"))
                self.assertRegex(dynamic, rf"SONAME +lib{library}\.so\.0\.1\n")
                self.assertNotIn("libonnxruntime", dynamic)

    def test_libraries_are_apart(self):
        """libortpool knows no JSON and nothing of the other; that one has of it what is public or listed."""
        main, predict = (os.path.join(self.lib, name) for name in ("libortpool.a", "libortpool-predict.a"))
        self.assertFalse({"libjansson.so.4"} & needs(os.path.join(self.lib, "libortpool.so")))
        needed = needs(os.path.join(self.lib, "libortpool-predict.so"))
        self.assertTrue({"libjansson.so.4", "libortpool.so.0.1"} <= needed, needed)
        self.assertFalse({name for name in undefined(main) if name.startswith("json")})
        ours = {name for name in defined(main) if name.startswith("ortp_")}
        theirs = {name for name in defined(predict) if name.startswith("ortp_")}
        self.assertEqual(ours & theirs, set())  # compiled into both, it would be there twice
        self.assertFalse(undefined(main) & theirs)
        for word in ("decoder", "manifest", "lexicon", "predictor", "swipe", "model_"):
            self.assertFalse({name for name in ours if word in name.removeprefix("ortp_").removeprefix("_")[:9]}, word)
        used = {name for name in undefined(predict) & ours if name.startswith("ortp__")}
        self.assertEqual(used, self.mapped("ortpool.map")["ORTPOOL_PRIVATE_0_1"])

    def test_command_uses_the_public_interface(self):
        """All but the usual code that the bench compares with, which searches by the library's own bookkeeping."""
        table = call("nm", "-A", "--undefined-only", os.path.join(BUILD, "cli", "libortpool_cli_parts.a"))
        inside = {line.rsplit(":", 2)[1] for line in table.splitlines() if line.rsplit(" ", 1)[-1].startswith("ortp__")}
        self.assertLessEqual(inside, {"plain.c.o", "plain_search.c.o", "usual.c.o", "well_used.c.o"})
        self.assertIn("ortp_predictor_predict", table)

    def test_pages_that_headers_name(self):
        """docs/... in a header is a page below the folder of the documentation."""
        include = os.path.join(self.prefix, "include", "ortpool")
        named = {page for name in os.listdir(include) for page in re.findall(r"docs/[\w.-]+\.md", self.header(name))}
        self.assertTrue(named)
        for page in named | {"README.md", "LICENSE", "NOTICE", "docs/install.md"}:
            self.assertTrue(os.path.isfile(os.path.join(self.prefix, "share", "doc", "ortpool", page)), page)

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
    def test_debian_packages(self):
        made = os.path.join(self.folder, "packages")
        call("cpack", "-G", "DEB", "-B", made, "--config", os.path.join(BUILD, "CPackConfig.cmake"))
        packages = {}
        for name in os.listdir(made):
            if name.endswith(".deb"):
                packages[name.split("_")[0]] = os.path.join(made, name)
        same = r"\(= 0\.[\d.]+\)"
        wanted = {  # what each asks for, a file of its own, what must not be in it
            "libortpool0.1": ([r"libc6 \(", r"libstdc\+\+6"], ["libortpool.so.0.1"], "predict|include|jansson"),
            "libortpool-dev": ([rf"libortpool0\.1 {same}"], ["ortpool.h", "libortpool.a", "libortpool.so", "ortpool.pc",
                               "ortpoolConfig.cmake", "install.md"], "predict[.-]|decoder.h"),
            "libortpool-predict0.1": ([rf"libortpool0\.1 {same}", "libjansson4"], ["libortpool-predict.so.0.1"],
                                      r"include|libortpool\.so"),
            "libortpool-predict-dev": ([rf"libortpool-predict0\.1 {same}", rf"libortpool-dev {same}",
                                        "libjansson-dev"],
                                       ["predict.h", "decoder.h", "libortpool-predict.a", "libortpool-predict.so",
                                        "ortpool-predict.pc"], r"ortpool\.h|libortpool\.a"),
            "ortpool": (["libjansson4", rf"libortpool0\.1 {same}"], ["bin/ortpool", "man1/ortpool.1", "model.json",
                        "libortpool-heapcount.so"], r"include|libortpool\.so"),
        }
        self.assertEqual(set(packages), set(wanted))
        root = os.path.join(self.folder, "root")
        owners = {}
        for name, (depends, files, without) in wanted.items():
            with self.subTest(name):
                said = call("dpkg-deb", "-f", packages[name], "Depends")
                for one in depends:
                    self.assertRegex(said, one)
                if "predict" not in name and name != "ortpool":
                    self.assertNotIn("jansson", said)
                paths = [line.split()[5] for line in call("dpkg-deb", "-c", packages[name]).splitlines()]
                for one in files + [f"share/doc/{name}/LICENSE"]:
                    self.assertTrue([path for path in paths if path.endswith("/" + one)], one)
                self.assertFalse([path for path in paths if re.search(without, path)])
                for path in paths:
                    if not path.endswith("/"):  # dpkg refuses a file that another package has
                        self.assertEqual(owners.setdefault(path, name), name, path)
                call("dpkg-deb", "-x", packages[name], root)
        for path, _, names in os.walk(root):
            for name in names:
                if name.endswith(".pc"):
                    with open(os.path.join(path, name), encoding="utf-8") as file:
                        text = file.read()
                    self.assertIn("prefix=/usr\n", text)
                    self.assertNotIn("..", text)
        command = os.path.join(root, "usr", "bin", "ortpool")
        self.assertIn("ortpool 0.", call(command, "--version", cwd=self.folder))
        self.assertIn(os.path.join(root, "usr", "share", "ortpool"), os.path.realpath(call(command, "inspect", "--json",
                      cwd=self.folder).split('"directory":"')[1].split('"')[0]))
        # As dpkg installs them, into a system of their own: no package's file is in another's way.
        system = os.path.join(self.folder, "system")
        os.makedirs(os.path.join(system, "var", "lib", "dpkg", "info"))
        for name in ("status", "available"):
            open(os.path.join(system, "var", "lib", "dpkg", name), "w", encoding="utf-8").close()
        if os.geteuid() == 0:
            call("dpkg", f"--root={system}", "--force-depends", "--force-script-chrootless",
                 f"--log={system}/dpkg.log", "-i", *packages.values())
            self.assertTrue(os.path.isfile(os.path.join(system, "usr", "bin", "ortpool")))

    def test_build_type_in_a_tree(self):
        """add_subdirectory: without a build type ortpool's files are optimised, the project's are left alone."""
        for kind, ours, theirs in ((None, True, False), ("Debug", False, False), ("Release", True, True)):
            build = os.path.join(self.folder, f"tree-{kind}")
            options = [f"-DCMAKE_BUILD_TYPE={kind}"] if kind else []
            call("cmake", "-S", os.path.join(CONSUMERS, "c_only"), "-B", build, "-G", "Ninja", f"-DORTPOOL={SOURCE}",
                 f"-DCMAKE_C_COMPILER={CC}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
            with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
                commands = json.load(file)
            seen = {True: set(), False: set()}
            for one in commands:
                seen[one["file"].startswith(os.path.join(SOURCE, "src"))].add("-O3" in one["command"].split())
            self.assertEqual(seen, {True: {ours}, False: {theirs}}, kind)

    def test_command(self):
        command = os.path.join(self.prefix, "bin", "ortpool")
        env = {"ORTPOOL_MODEL": ""}
        self.assertIn("ortpool 0.", call(command, "--version", cwd=self.folder))
        said = call(command, "inspect", cwd=self.folder, env={k: v for k, v in env.items() if v})
        self.assertIn(os.path.join("share", "ortpool", "models", "swipe-en"), said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
