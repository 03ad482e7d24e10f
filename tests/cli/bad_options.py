# SPDX-License-Identifier: MIT
"""Every option of predict and eval with nonsense. The options are read from --help: one without a line
here fails the test."""

import re

import test_cli as cli

NOT_A_NUMBER = ["", " ", "x", "-1", "0", "1.5", "1e3", "0x10", "+5", "5 ", " 5", "5x", "999999999999999999999",
                "\u0665"]

# Option -> values that are nonsense for it, and what the message says is expected; None: takes no value.
NONSENSE = {
    "--json": None,
    "--no-warmup": None,
    "--help": None,
    "--version": None,
    "--top": (NOT_A_NUMBER + ["17"], "a number from 1 to 16"),
    "--beam": (NOT_A_NUMBER + ["33"], "a number from 1 to 32"),
    "--threads": (NOT_A_NUMBER + ["65"], "a number from 1 to 64"),
    "--path": (["", "x", "Batched", "batched ", "both"], "'auto', 'sequential', 'batched' or 'incremental'"),
    "--pool": (["", "x", "Thread", "thread,striped"], "'thread' or 'striped'"),
    "--budget": (["", "x", "-1", "0", "0K", "1.5M", "64 M", "64MB", "M", "99999999999999999999G", "18014398509481984K"],
                 "a size above 0 such as 512K, 64MiB, 1G or bytes"),
    "--stats": (["", "x", "JSON", "table"], "'json', the one value it takes"),
    "--model": ([""], "a model's folder"),
}
OF_PREDICT_ALONE = {"--top"}


def documented(command):
    """The options that --help names, and whether each takes a value."""
    text = cli.run(command, "--help").out
    found = {}
    for line in text.splitlines():
        for name, value in re.findall(r"(--[a-z-]+)(\[=|[ =][A-Z]+)?", line if line.startswith("  --") else ""):
            found.setdefault(name, bool(value))
    return found


class Options(cli.Case):
    def refused(self, command, arguments, expected):
        done = cli.run(command, *arguments, stdin="")
        self.assertEqual(done.returncode, 2, (arguments, done.out, done.err))
        self.assertEqual(done.out, "", arguments)
        self.assertIn(f"ortpool {command}: ", done.err)
        self.assertIn(expected, done.err)
        self.assertIn(f"Try 'ortpool {command} --help'.", done.err)

    def test_every_documented_option_has_its_nonsense(self):
        for command in ("predict", "eval"):
            found = documented(command)
            expected = set(NONSENSE) - (OF_PREDICT_ALONE if command == "eval" else set())
            self.assertEqual(set(found), expected)
            for name, takes in found.items():
                self.assertEqual(takes, NONSENSE[name] is not None, name)

    def test_values_that_are_nonsense(self):
        for command in ("predict", "eval"):
            for name, nonsense in NONSENSE.items():
                if nonsense is None or (command == "eval" and name in OF_PREDICT_ALONE):
                    continue
                for value in nonsense[0]:
                    with self.subTest(command, option=name, value=value):
                        self.refused(command, [f"{name}={value}", "-"], f"{name}: '{value}' is not {nonsense[1]}")

    def test_values_that_are_missing(self):
        for command in ("predict", "eval"):
            for name, nonsense in NONSENSE.items():
                if nonsense is None or name == "--stats" or (command == "eval" and name in OF_PREDICT_ALONE):
                    continue
                self.refused(command, [name], f"{name} needs a value")

    def test_values_where_none_is_taken(self):
        for command in ("predict", "eval"):
            for name, nonsense in NONSENSE.items():
                if nonsense is None:
                    self.refused(command, [f"{name}=1", "-"], f"{name} takes no value")

    def test_options_that_do_not_exist(self):
        for command in ("predict", "eval"):
            for arguments, expected in ((["--nonsense"], "no option '--nonsense'"), (["--b", "4"], "no option '--b'"),
                                        (["-x"], "no option '-x'"), (["--=4"], "no option '--=4'"),
                                        (["--\x1b[31m"], "no option ")):
                self.refused(command, [*arguments, "-"], expected)
        self.refused("eval", ["--top", "3", "-"], "no option '--top'")

    def test_operands(self):
        for command in ("predict", "eval"):
            self.refused(command, ["a", "b"], "'b' is a second one")
            self.refused(command, [""], "the input's name is empty")
        self.refused("eval", [], "no input")

    def test_the_last_of_an_option_counts(self):
        self.refused("predict", ["--top", "3", "--top", "x", "-"], "--top: 'x'")

    def test_commands(self):
        for arguments, expected in (([], "which command?"), (["nonsense"], "no command nonsense"), ([""], "no command"),
                                    (["--nonsense"], "no option --nonsense"), (["PREDICT"], "no command PREDICT")):
            done = cli.run(*arguments)
            self.assertEqual((done.returncode, done.out), (2, ""), arguments)
            self.assertIn(f"ortpool: {expected}", done.err)

    def test_variables(self):
        """What the environment says is checked as options are; the message names the variable."""
        for value, expected in (("/nonexistent", "ORTPOOL_MODEL: no model in '/nonexistent'"),
                                ("\x01", "ORTPOOL_MODEL: no model in ")):
            done = cli.run("predict", "-", env={"ORTPOOL_MODEL": value})
            self.assertEqual(done.returncode, 2)
            self.assertIn(expected, done.err)
        done = cli.run("predict", "-", env={"ORTPOOL_ONNXRUNTIME": "/nonexistent"})
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent", done.err)
