#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The built ortpool command and what is around it: places, terminals, signals, full disks, small
budgets, and the rarer lines of its tables.

usage: test_system.py --cli PROGRAM --source FOLDER CLASS...
Exit codes as those of test_cli.py.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the source folder stays as it is

import test_cli as cli  # noqa: E402


class FolderCase(cli.Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def below(self, *parts):
        return os.path.join(self.folder, *parts)

    def tiny(self, lexicon=None, **changes):
        """The small model in the folder, with another manifest (None: without the field) or lexicon."""
        source = cli.path("tests", "graphs", "tiny")
        for name in ("lexicon.tsv", "encoder.onnx", "decoder.onnx"):
            shutil.copyfile(os.path.join(source, name), self.below(name))
        with open(os.path.join(source, "model.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        manifest.update(changes)
        with open(self.below("model.json"), "w", encoding="utf-8") as file:
            json.dump({name: value for name, value in manifest.items() if value is not None}, file)
        if lexicon is not None:
            with open(self.below("lexicon.tsv"), "w", encoding="utf-8") as file:
                file.write(lexicon)
        return ["--model", self.folder]


class Places(FolderCase):
    """Where a model is looked for. Needs no ONNX Runtime: inspect opens none."""

    def program(self, *parts):
        """A copy of the command in a folder of its own."""
        name = self.below(*parts, "ortpool")
        os.makedirs(self.below(*parts), exist_ok=True)
        shutil.copy(cli.CLI, name)
        return name

    def inspect(self, program, **env):
        environment = {name: value for name, value in os.environ.items() if name != "ORTPOOL_MODEL"}
        return subprocess.run([program, "inspect"], cwd=self.folder, env={**environment, **env},
                              capture_output=True, text=True, timeout=cli.TIMEOUT, check=False)

    def test_nowhere(self):
        for env in ({}, {"ORTPOOL_MODEL": ""}):
            done = self.inspect(self.program("a", "b"), **env)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            real = os.path.realpath(self.below("a", "b"))
            for text in ("no model found", "    ORTPOOL_MODEL (not set)\n", "    models/swipe-en\n",
                         f"    {real}/../../models/swipe-en\n",
                         f"    {real}/../share/ortpool/models/swipe-en\n", "Name its folder."):
                self.assertIn(text.strip("\n"), done.stderr)

    def test_one_place_after_the_other(self):
        program = self.program("a", "bin")
        for place in (("a", "share", "ortpool", "models"), ("models",)):
            os.makedirs(self.below(*place))
            os.symlink(cli.path("models", "swipe-en"), self.below(*place, "swipe-en"))
            done = self.inspect(program)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            where = "share/ortpool/models/swipe-en" if place[0] == "a" else "models/swipe-en"
            self.assertRegex(done.stdout.splitlines()[0], rf"^swipe-en in (/.+/\.\./)?{where}$")
        # Beside the sources, from a build folder; the current one has none.
        os.makedirs(self.below("elsewhere"))
        done = subprocess.run([program, "inspect"], cwd=self.below("elsewhere"), capture_output=True,
                              text=True, timeout=cli.TIMEOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("/../../models/swipe-en", done.stdout.splitlines()[0])

    def test_installed_onnx_runtime(self):
        """As the system's linker finds it: no folder is needed, and it comes before a fetched one."""
        found = re.search(r"^ONNX Runtime (\S+) \((.*)\)$", cli.run("--version").out, re.MULTILINE)
        if not found or "/" not in found.group(2):
            self.skipTest("no ONNX Runtime in a folder of its own")
        for name in ("libonnxruntime.so.1", "libonnxruntime.so"):
            os.symlink(os.path.realpath(cli.path(found.group(2))), self.below(name))
            done = cli.run("--version", env={"ORTPOOL_ONNXRUNTIME": None, "LD_LIBRARY_PATH": self.folder})
            self.ends(done, 0)
            self.assertEqual(done.out.splitlines()[1], f"ONNX Runtime {found.group(1)} ({name})")
            os.remove(self.below(name))

    def test_names_that_are_too_long(self):
        for length in (4085, 4090, 4095, 4096, 10000):
            done = cli.run("predict", "--model", "n" * length)
            self.ends(done, 2)
            self.assertIn("File name too long\n", done.err)


class Messages(cli.Case):
    """What is said names what was typed and what the reader can do."""

    def test_model_as_operand_or_option(self):
        done = cli.run("inspect", "nosuch")
        self.ends(done, 2)
        self.assertTrue(done.err.startswith("ortpool: no model in 'nosuch': "), done.err)
        done = cli.run("predict", "--model", "nosuch", "README.md")
        self.assertTrue(done.err.startswith("ortpool: --model: no model in 'nosuch': "), done.err)

    def test_help_of_a_command(self):
        for command in (["predict"], ["eval"], ["inspect"], ["run"], ["bench"], ["bench", "pool"], ["soak"]):
            done = cli.run("help", *command)
            self.ends(done, 0)
            self.assertEqual(done.out, cli.run(*command, "--help").out)
            self.assertTrue(done.out.startswith("usage: ortpool " + " ".join(command) + " "), done.out)
        for arguments in (["nosuch"], ["predict", "eval"], ["bench", "pool", "x"]):
            done = cli.run("help", *arguments)
            self.ends(done, 2)
            self.assertIn(arguments[-1], done.err)

    def test_help_names_a_file_that_is_there(self):
        done = cli.run("--help")
        named = re.search(r"(?m)^To begin with: ortpool predict (\S+) --stats$", done.out)
        self.assertTrue(os.path.exists(cli.path(named.group(1))), done.out)
        with tempfile.TemporaryDirectory() as folder:  # a program with no model beside it
            program = os.path.join(folder, "ortpool")
            shutil.copy(cli.CLI, program)
            done = subprocess.run([program, "--help"], cwd=folder, capture_output=True, text=True, check=True)
            self.assertNotIn("To begin with", done.stdout)

    def test_no_onnx_runtime(self):
        with tempfile.TemporaryDirectory() as folder:
            done = cli.run("predict", "README.md", env={"ORTPOOL_ONNXRUNTIME": folder})
            self.ends(done, 2)
            self.assertIn("set ORTPOOL_ONNXRUNTIME to its folder", done.err)

    def test_sizes_as_they_are_printed(self):
        model = cli.path("tests", "graphs", "tiny")
        for size in ("1GiB", "1024MiB", "1048576KiB", "1G"):
            done = cli.run("predict", "--model", model, "--budget", size, "--stats", stdin=cli.samples(1)[0])
            if "no ONNX Runtime" in done.err:
                self.skipTest("no ONNX Runtime found")
            self.ends(done, 0)
            self.assertIn("1048576.0 KiB", done.out)
        for size in ("18MB", "18 MiB", "18Mi", "18mib", "MiB"):
            self.assertIn(f"'{size}' is not a size", cli.run("predict", "--budget", size, "x").err)

    def test_one_value_of_stats(self):
        done = cli.run("predict", "--stats=xml", "x")
        self.assertIn("--stats: 'xml' is not 'json', the one value it takes\n", done.err)

    @staticmethod
    def catches(pid, number):
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            caught = next(line for line in file if line.startswith("SigCgt:"))
        return int(caught.split()[1], 16) >> (number - 1) & 1

    def test_early_interrupt(self):
        if not cli.has_ort():
            self.skipTest("no ONNX Runtime found")
        process = subprocess.Popen([cli.CLI, "bench", "--rounds", "1000"], cwd=cli.SOURCE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        deadline = time.monotonic() + cli.TIMEOUT
        while not self.catches(process.pid, signal.SIGINT) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=cli.TIMEOUT)
        self.assertEqual((process.returncode, out), (130, b""), err)
        self.assertIn(b"ortpool bench: interrupted before the first round was whole: nothing was measured\n", err)

    def test_no_control_characters_in_a_log(self):
        """The steps of the scripts on a terminal that knows none, and in a file."""
        script = f'. "{cli.path("scripts", "common.sh")}"; step "a step" "" sleep 1.3'
        for term in ("dumb", None, "xterm"):
            environment = {name: value for name, value in os.environ.items() if name != "TERM"}
            if term is not None:
                environment["TERM"] = term
            master, slave = os.openpty()
            with subprocess.Popen(["bash", "-c", script], env=environment, stdin=subprocess.DEVNULL, stdout=slave,
                                  stderr=slave) as process:
                process.wait(timeout=cli.TIMEOUT)
            os.close(slave)
            shown = os.read(master, 65536).replace(b"\r\n", b"\n")
            os.close(master)
            self.assertEqual(b"\r" in shown or b"\033" in shown, term == "xterm", (term, shown))
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=cli.TIMEOUT)
        self.assertNotRegex(done.stdout + done.stderr, b"[\r\033]")


class Output(cli.OrtCase):
    """Output that is not taken."""

    def to_full_disk(self, *arguments, lines=()):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([cli.CLI, *arguments], input="\n".join(lines).encode(), stdout=full,
                                  stderr=subprocess.PIPE, cwd=cli.SOURCE, timeout=cli.TIMEOUT, check=False)
        self.assertEqual(done.returncode, 2, arguments)
        self.assertEqual(done.stderr.decode(), "ortpool: the output could not be written: "
                                               "No space left on device\n", arguments)

    def test_full_disk(self):
        for arguments in (["--help"], ["--version"], ["predict", "--help"], ["eval", "--version"],
                          ["inspect", "--help"], ["inspect", "--json", "tests/graphs/tiny"]):
            self.to_full_disk(*arguments)
        for command in ("predict", "eval"):
            for form in ([], ["--json"]):
                self.to_full_disk(command, *form, "--stats", *cli.tiny(), "-", lines=cli.samples(3))

    def test_reader_that_is_gone(self):
        for arguments, code in ((["predict", "--help"], 0), (["inspect", "tests/graphs/tiny"], 0),
                                (["eval", "--stats", *cli.tiny(), "models/swipe-en/samples.jsonl"], 0)):
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run([cli.CLI, *arguments], stdout=writer, stderr=subprocess.PIPE,
                                  cwd=cli.SOURCE, timeout=cli.TIMEOUT, check=False)
            os.close(writer)
            self.assertEqual((done.returncode, done.stderr), (code, b""), arguments)


class Terminals(cli.PipeCase):
    def test_colours(self):
        for env, coloured in (({"TERM": "xterm", "NO_COLOR": None}, True),
                              ({"TERM": None, "NO_COLOR": None}, False)):
            code, seen = self.on_terminal(["predict", *cli.tiny()], env, piped=cli.samples(1)[0])
            self.assertEqual(code, 0, seen)
            self.assertEqual("\033[1m" in seen, coloured, seen)

    def test_swipes_are_typed(self):
        line = '{"x":[5,6],"y":[5,6],"t":[0,9],"keyboard":{"width":100,"height":45}}'
        code, seen = self.on_terminal(["predict", "--json", *cli.tiny()], {}, typed=line + "\n\x04")
        self.assertEqual(code, 0, seen)
        self.assertIn("reading swipes from the terminal, one JSON object a line; Ctrl-D ends", seen)
        self.assertIn('{"id":null,"candidates":[', seen)

    def test_progress_where_the_end_is_not_known(self):
        code, seen = self.on_terminal(["eval", "--no-warmup", *cli.tiny(), "-"], {"TERM": "xterm"},
                                      piped="\n".join(cli.samples(3)))
        self.assertEqual(code, 0, seen)
        self.assertRegex(seen, r"\r\x1b\[Kevaluating  1 rows, top-1 [01]")


class Signals(cli.PipeCase):
    def test_interrupt_while_warming_up(self):
        with subprocess.Popen([cli.CLI, "predict", "--json"], cwd=cli.SOURCE, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            # As soon as it handles signals: ONNX Runtime is not even loaded then.
            for _ in range(100000):
                with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
                    caught = int(re.search(r"SigCgt:\s*(\w+)", status.read()).group(1), 16)
                if caught >> (signal.SIGINT - 1) & 1:
                    break
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=cli.TIMEOUT)
        self.assertEqual((process.returncode, out, err), (130, b"", b""))

    def test_ignored_signals_stay_ignored(self):
        with self.start("--json", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) as process:
            for number in (1, 2):
                self.send(process, cli.samples(2)[number - 1])
                self.assertEqual(json.loads(self.receive(process))["id"], str(number))
                process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(cli.TIMEOUT), 143)
            self.assertEqual(process.stderr.read(), b"ortpool: interrupted: 2 lines answered\n")

    def test_half_a_line_is_not_answered(self):
        with self.start("--json") as process:
            first, second = cli.samples(2)
            # In one write, so that the half has been read when the answer to the line before it comes.
            process.stdin.write((first + "\n" + second).encode())
            process.stdin.flush()
            self.assertEqual(json.loads(self.receive(process))["id"], "1")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(cli.TIMEOUT), 130)
            self.assertEqual(process.stdout.read(), b"")
            self.assertEqual(process.stderr.read(), b"ortpool: interrupted: 1 line answered\n")


class Tables(cli.OrtCase, FolderCase):
    def test_more_columns_than_have_names(self):
        line = cli.samples(1)[0]
        done = cli.run("predict", "--top", "16", *cli.tiny(), stdin=line + "\n" + line)
        self.ends(done, 0)
        head, first, second = done.out.splitlines()
        for name in ("word", "second", "third", "4th", "16th"):
            self.assertIn(name, head.split())
        self.assertEqual((first.split()[-2], second.split()[-2]), ("miss", "hit"))
        # There are fewer words than columns: what follows stands where it does in the heading.
        self.assertLess(len(first.split()), 2 * 16)
        self.assertEqual(first.index("miss"), head.index("cache"))

    def test_no_word_at_all(self):
        model = self.tiny(lexicon="a" * 40 + "\t1\n")  # longer than max_tokens
        done = cli.run("predict", *model, stdin=cli.samples(1)[0])
        self.ends(done, 0)
        self.assertIn("  (no word)  ", done.out)
        done = cli.run("predict", "--json", *model, stdin=cli.samples(1)[0])
        self.assertEqual(json.loads(done.out)["candidates"], [])

    def test_rows_that_fail(self):
        good, bad = cli.samples(1)[0], '{"word":"w"}'
        done = cli.run("eval", *cli.tiny(), "-", stdin=f"{good}\n{bad}\n{bad}")
        self.ends(done, 1)
        self.assertIn("\n2 of 3 rows failed and count as wrong\n", done.out)
        self.assertIn("per prediction", done.out)
        done = cli.run("eval", *cli.tiny(), "-", stdin=bad)
        self.ends(done, 1)
        self.assertIn("\n1 of 1 rows failed and count as wrong\n", done.out)
        self.assertNotIn("per prediction", done.out)


class Budgets(cli.OrtCase, FolderCase):
    """What is said to a budget that is too small, by what is known of the model."""

    def said(self, *arguments, command="predict", budget="1K"):
        done = cli.run(command, "--budget", budget, *arguments, "-", stdin=cli.samples(1)[0])
        self.ends(done, 2)
        self.assertEqual(done.out, "")
        said = done.err.splitlines()
        self.assertIn("is too small for this model and these options", said[0])
        self.assertRegex(said[1], "^    .")
        return said

    def test_eval_keeps_nothing(self):
        predict, evaluate = self.said("--threads", "64"), self.said("--threads", "64", command="eval")
        self.assertEqual((len(predict), len(evaluate)), (3, 3))
        self.assertLess(int(evaluate[2].split()[-1][:-1]), int(predict[2].split()[-1][:-1]))

    def test_without_a_lexicon(self):
        model = self.tiny()
        complete = self.said(*model)
        os.remove(self.below("lexicon.tsv"))
        without = self.said(*model)
        self.assertEqual(len(without), 3)
        self.assertEqual(without[2], complete[2])  # a few KB of words are no MiB

    def test_of_a_model_that_cannot_be_used(self):
        """No limit would do: none is named."""
        for change in ({"layout": None}, {"hidden": "many"}, {"graphs": {"encoder": "none", "decoder": "none"}}):
            self.assertEqual(len(self.said(*self.tiny(**change))), 2, change)

    def test_enormous_files(self):
        model = self.tiny()
        with open(self.below("lexicon.tsv"), "wb") as file:
            file.truncate(1 << 42)
        megabytes = int(self.said(*model)[2].split()[-1][:-1])
        self.assertGreater(megabytes, 1 << 22)


if __name__ == "__main__":
    sys.exit(cli.main(sys.modules[__name__]))
