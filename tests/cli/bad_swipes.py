# SPDX-License-Identifier: MIT
"""Swipes that are none: each kind of bad line, what is said about it, and that lines before and
after it are answered as if it were not there."""

import collections
import json
import os
import tempfile

import test_cli as cli

KEYBOARD = '"keyboard":{"width":1080,"height":480}'
DEEP = 3000
POINTS_MAX = 100000
LINE_MAX = 64 << 20
MESSAGE_MAX = 700

# name; the line as bytes; the id that is told (None: null); the whole message, a regular expression
Bad = collections.namedtuple("Bad", "name line id message")


def swipe(x="[100,200,300]", y="[100,120,140]", t="[0,20,40]", keyboard=KEYBOARD, head='"id":"b",'):
    """A line by its parts, each as JSON text."""
    return f'{{{head}"x":{x},"y":{y},"t":{t},{keyboard}}}'


def area(width, height):
    return f'"keyboard":{{"width":{width},"height":{height}}}'


def not_json(name, line, reason, at=r"\d+"):
    line = line if isinstance(line, bytes) else line.encode()
    return Bad(name, line, None, rf"not JSON: {reason} \(byte {at}\), expected one object")


def field(name, line, message, known="b"):
    return Bad(name, line.encode(), known, message)


def missing(name, what):
    """A swipe without one field."""
    row = json.loads(swipe())
    del row[name]
    return field(f"no {name}", json.dumps(row), rf'"{name}" is missing, expected {what}')


NUMBERS = "an array of numbers"
MALFORMED = [
    not_json("unterminated object", swipe()[:-1], r"'}' expected near end of file"),
    not_json("unterminated array", '{"id":"b","x":[1,2', r"'\]' expected near end of file"),
    not_json("unterminated string", '{"id":"b', r"(premature end of input|unexpected newline) near '\"b'"),
    not_json("half a line", swipe()[:40], ".+ near end of file"),
    not_json("trailing garbage", swipe() + " garbage", "end of file expected near 'garbage'"),
    not_json("two objects", swipe() + swipe(), "end of file expected near '{'"),
    not_json("trailing comma", swipe(x="[1,2,]"), "unexpected token near ']'"),
    not_json("comment", "// " + swipe(), "invalid token near '/'", at="1"),
    not_json("single quotes", swipe().replace('"', "'"), "string or '}' expected near '''"),
    not_json("no quotes", "{id:1}", "string or '}' expected near 'id'"),
    not_json("a word", "hello", "invalid token near 'hello'"),
    not_json("duplicate field", swipe(head='"id":"b","id":"c",'), "duplicate object key near '\"id\"'"),
    not_json("duplicate field below", swipe(keyboard='"keyboard":{"width":1,"width":1}'),
             "duplicate object key near '\"width\"'"),
    not_json("arrays too deep", swipe(head=f'"more":{"[" * DEEP}{"]" * DEEP},'),
             r"maximum parsing depth reached near '\['"),
    not_json("objects too deep", '{"a":' * DEEP + "1" + "}" * DEEP,
             "maximum parsing depth reached near '{'"),
    not_json("NaN", swipe(x="[NaN,2,3]"), "invalid token near 'NaN'"),
    not_json("nan", swipe(y="[1,nan,3]"), "invalid token near 'nan'"),
    not_json("Infinity", swipe(t="[0,20,Infinity]"), "invalid token near 'Infinity'"),
    not_json("-Infinity", swipe(t="[-Infinity,20,30]"), "invalid token near '-'"),
    not_json("1e999", swipe(x="[1e999,2,3]"), "real number overflow near '1e999'"),
    not_json("-1e999", swipe(t="[-1e999,2,3]"), "real number overflow near '-1e999'"),
    not_json("width 1e999", swipe(keyboard=area("1e999", 3)), "real number overflow near '1e999'"),
    not_json("a whole number of 40 digits", swipe(x=f"[{'9' * 40},2,3]"), "too big integer( near '9+')?"),
    not_json("an id of 40 digits", swipe(head=f'"id":{"9" * 40},'), "too big integer( near '9+')?"),
    not_json("number 01", swipe(x="[01,2,3]"), "invalid token near '0'"),
    not_json("number +1", swipe(x="[+1,2,3]"), r"invalid token near '\+'"),
    not_json("number .5", swipe(x="[.5,2,3]"), r"invalid token near '\.'"),
    not_json("number 1.", swipe(x="[1.,2,3]"), r"invalid token near '1\.'"),
    not_json("number 0x10", swipe(x="[0x10,2,3]"), r"'\]' expected near 'x'"),
    not_json("invalid UTF-8", b'{"id":"\xff"}', "unable to decode byte 0xff near '\"'"),
    not_json("cut UTF-8", b'{"id":"\xc3"}', "unable to decode byte 0xc3 near '\"'"),
    not_json("overlong UTF-8", b'{"id":"\xc0\x80"}', "unable to decode byte 0xc0 near '\"'"),
    not_json("UTF-16", ("\ufeff" + swipe()).encode("utf-16-le"), "unable to decode byte 0xff", at="0"),
    not_json("half a surrogate", swipe(head=r'"id":"\ud800",'), r"invalid Unicode '\\uD800' near .+"),
    not_json("bad escape", swipe(head=r'"id":"\x",'), r"invalid escape near .+"),
    not_json("raw NUL", b'{"id":"b\0"}', r"(control character 0x0|invalid escape) near '\"b'"),
    not_json("raw control", b'{"id":"b\x01"}', "control character 0x1 near '\"b'"),
    not_json("NUL in a name", swipe(head=r'"a\u0000":1,'), "NUL byte in object key not supported near .+"),
    not_json("NUL alone", b"\0", "invalid token near .*|end of file .+", at="[01]"),
    not_json("byte order mark in the middle", b"\xef\xbb\xbf" + swipe().encode(), "invalid token near .+"),
]
WRONG = [
    Bad("an array", b"[1,2]", None,
        "the line is an array, expected an object with x, y, t and keyboard"),
    Bad("an empty array", b"[]", None, "the line is an array, expected an object .+"),
    Bad("a string", b'"swipe"', None, "the line is a string, expected an object .+"),
    Bad("a number", b"12", None, "the line is a number, expected an object .+"),
    Bad("true", b"true", None, "the line is a boolean, expected an object .+"),
    Bad("null", b"null", None, "the line is null, expected an object .+"),
    Bad("an empty object", b"{}", None, '"x" is missing, expected an array of numbers'),
    missing("x", NUMBERS), missing("y", NUMBERS), missing("t", NUMBERS),
    missing("keyboard", "an object with width and height"),
    field("names in capitals", swipe().replace('"x"', '"X"'), f'"x" is missing, expected {NUMBERS}'),
    field("id is a boolean", swipe(head='"id":true,'),
          '"id" is a boolean, expected a string or a whole number', known=None),
    field("id is a fraction", swipe(head='"id":1.5,'),
          '"id" is a number, expected a string or a whole number', known=None),
    field("id is an object", swipe(head='"id":{},'),
          '"id" is an object, expected a string or a whole number', known=None),
    field("id with NUL", swipe(head=r'"id":"a\u0000b",'), '"id": a zero character is not allowed',
          known=None),
    field("x is null", swipe(x="null"), f'"x" is null, expected {NUMBERS}'),
    field("x is a string", swipe(x='"1"'), f'"x" is a string, expected {NUMBERS}'),
    field("y is an object", swipe(y='{"0":1}'), f'"y" is an object, expected {NUMBERS}'),
    field("t is a number", swipe(t="3"), f'"t" is a number, expected {NUMBERS}'),
    field("a string among numbers", swipe(x='[1,"2",3]'),
          r'"x"\[1\] is a string, expected a number'),
    field("null among numbers", swipe(t="[1,2,null]"), r'"t"\[2\] is null, expected a number'),
    field("an array among numbers", swipe(y="[[1],2,3]"), r'"y"\[0\] is an array, expected a number'),
    field("keyboard is an array", swipe(keyboard='"keyboard":[1080,480]'),
          '"keyboard" is an array, expected an object with width and height'),
    field("no width", swipe(keyboard='"keyboard":{"height":480}'),
          '"keyboard.width" is missing, expected .+ in pixels, a number'),
    field("no height", swipe(keyboard='"keyboard":{"width":480}'),
          '"keyboard.height" is missing, expected .+ in pixels, a number'),
    field("width is a string", swipe(keyboard=area('"1080"', 480)),
          '"keyboard.width" is a string, expected .+, a number'),
    field("height is null", swipe(keyboard=area(1080, "null")),
          '"keyboard.height" is null, expected .+, a number'),
    field("y is shorter", swipe(y="[1,2]"),
          '"y" has 2 values and "x" has 3, expected the same number'),
    field("y is longer", swipe(y="[1,2,3,4]"),
          '"y" has 4 values and "x" has 3, expected the same number'),
    field("t is empty", swipe(t="[]"), '"t" has 0 values and "x" has 3, expected the same number'),
    field("x alone is empty", swipe(x="[]"),
          '"y" has 3 values and "x" has 0, expected the same number'),
    field("t is longer by 10,000", swipe(t=json.dumps(list(range(10003)))),
          '"t" has 10003 values and "x" has 3, expected the same number'),
    field("no points", swipe("[]", "[]", "[]"), "swipe: no points, expected 1 to 100000"),
    field("time runs backwards", swipe(t="[0,20,10]"),
          r"swipe: t\[2\]: 10, earlier than the point before it, expected 20 or later"),
    field("time runs backwards from the first", swipe(t="[1e12,0,1]"),
          r"swipe: t\[1\]: 0, earlier than the point before it, expected 1000000000000 or later"),
    field("time runs backwards by a little", swipe(t="[0.1,0.2,0.19]"),
          r"swipe: t\[2\]: 0.19, earlier than the point before it, expected 0.2 or later"),
    field("zero keyboard", swipe(keyboard=area(0, 0)),
          "swipe: width: 0, expected a number above 0"),
    field("zero height", swipe(keyboard=area(1080, 0.0)),
          "swipe: height: 0, expected a number above 0"),
    field("negative zero width", swipe(keyboard=area("-0.0", 480)),
          "swipe: width: -0, expected a number above 0"),
    field("negative width", swipe(keyboard=area(-1080, 480)),
          "swipe: width: -1080, expected a number above 0"),
    field("negative height", swipe(keyboard=area(1080, "-1e-9")),
          "swipe: height: -1e-09, expected a number above 0"),
    field("tiny keyboard", swipe(keyboard=area("5e-324", "5e-324")),
          r"swipe: x\[0\]: more than a million widths outside the letter area, expected less"),
    field("x far away", swipe(x="[1,9e307,1]"),
          r"swipe: x\[1\]: more than a million widths outside the letter area, expected less"),
    field("y far away", swipe(y="[1,2,-9e307]"),
          r"swipe: y\[2\]: more than a million heights outside the letter area, expected less"),
    field("more points than there may be", swipe(*[json.dumps(list(range(POINTS_MAX + 1)))] * 3),
          "swipe: 100001 points, expected at most 100000"),
]
BAD = MALFORMED + WRONG

# What looks odd and is a swipe all the same: name, line.
ODD = [
    ("one point", swipe("[540]", "[240]", "[0]")),
    ("two points in one place", swipe("[540,540]", "[240,240]", "[0,0]")),
    ("equal times", swipe(t="[7,7,7]")),
    ("negative times", swipe(t="[-40,-20,-1]")),
    ("enormous times", swipe(t="[0,1e300,1.7e308]")),
    ("negative zeros", swipe("[-0.0,-0,0]", "[-0.0,1,2]", "[-0.0,-0,0]")),
    ("fractions and exponents", swipe("[1.5e2,2E+2,3e2]")),
    ("tiny numbers", swipe("[5e-324,1e-400,0]")),
    ("outside the letter area", swipe("[-500,1e6,1080]", "[-500,481,1e5]")),
    ("tiny keyboard and swipe", swipe("[1e-300,2e-300,3e-300]", "[0,1e-300,2e-300]",
                                      keyboard=area("1e-299", "1e-299"))),
    ("enormous keyboard", swipe(keyboard=area("1.7e308", "1.7e308"))),
    ("no id", swipe(head="")),
    ("id null", swipe(head='"id":null,')),
    ("an id of control characters", swipe(head=r'"id":"\u001b[2J\u202e",')),
    ("other fields, deep and with NUL", swipe(head=f'"more":{"[" * 1000}{"]" * 1000},"n":"\\u0000",')),
    ("blanks between all", swipe().replace(",", " , ").replace(":", "\t:\r ")),
    ("as many points as there may be", swipe(*[json.dumps(list(range(POINTS_MAX)))] * 3)),
]


def told(row):
    return [(c["word"], c["score"]) for c in row["candidates"]]


class SwipeCase(cli.OrtCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.good = [line.encode() for line in cli.samples(2)]
        cls.alone = []
        for line in cls.good:
            done = cls.ask([line], "--json")
            cls.alone.append(told(json.loads(done.out)))
        assert cls.alone[0] and cls.alone[0] != cls.alone[1]

    @staticmethod
    def ask(lines, *arguments):
        return cli.run("predict", *cli.tiny(), "--no-warmup", *arguments, stdin=b"\n".join(lines))

    def check_message(self, number, said, case):
        self.assertLess(len(said), MESSAGE_MAX)
        self.assertRegex(said, rf"\Aline {number}: (?s:{case.message})\Z", case.name)


class Swipes(SwipeCase):
    def test_names_are_unique(self):
        names = [case.name for case in BAD] + [name for name, _ in ODD]
        self.assertEqual(len(names), len(set(names)))

    def test_each_between_good_lines_as_json(self):
        for case in BAD:
            with self.subTest(case.name):
                done = self.ask([self.good[0], case.line, self.good[1]], "--json")
                self.ends(done, 1)
                self.assertEqual(done.err, "")
                rows = [json.loads(line) for line in done.out.splitlines()]
                self.assertEqual([row["id"] for row in rows], ["1", case.id, "2"])
                self.assertEqual([told(rows[0]), told(rows[2])], self.alone)
                self.assertEqual(set(rows[1]), {"id", "error"})
                self.check_message(2, rows[1]["error"], case)

    def test_each_between_good_lines_as_table(self):
        for case in BAD:
            with self.subTest(case.name):
                done = self.ask([self.good[0], case.line, self.good[1]])
                self.ends(done, 1)
                header, first, bad, last = done.out.splitlines()
                self.assertEqual(header.split()[0], "id")
                self.assertEqual(first.split()[1], self.alone[0][0][0])
                self.assertEqual(last.split()[1], self.alone[1][0][0])
                self.assertRegex(bad, rf"^ *{case.id or '-'}  \(line 2 failed\)$")
                self.assertEqual(done.err.count("\n"), 1, done.err)
                self.assertEqual(done.err[:9], "ortpool: ")
                self.assertTrue(done.err[:-1].isprintable(), ascii(done.err))
                if all(ord(c) >= 32 for c in case.line.decode("latin-1")):
                    self.check_message(2, done.err[9:-1], case)

    def test_all_in_one_input(self):
        lines, kinds = [self.good[0]], [0]
        for case in BAD:
            lines += [case.line, self.good[1]]
            kinds += [case, 1]
        for arguments in (["--threads", "1"], ["--threads", "4"]):
            done = self.ask(lines, "--json", *arguments)
            self.ends(done, 1)
            rows = [json.loads(line) for line in done.out.splitlines()]
            self.assertEqual(len(rows), len(lines))
            for number, (row, kind) in enumerate(zip(rows, kinds), 1):
                if isinstance(kind, Bad):
                    self.check_message(number, row["error"], kind)
                else:
                    self.assertEqual(told(row), self.alone[kind])

    def test_eval_counts_each_as_wrong(self):
        """There a line needs a word too; what is wrong else is said as ever."""
        lines = [self.good[0]] + [case.line for case in BAD] + [self.good[1]]
        done = cli.run("eval", "--json", *cli.tiny(), "--no-warmup", "-", stdin=b"\n".join(lines))
        self.ends(done, 1)
        report = json.loads(done.out)
        self.assertEqual((report["rows"], report["failed"]), (len(lines), len(BAD)))
        said = done.err.splitlines()
        self.assertEqual(len(said), len(BAD))
        for number, (line, case) in enumerate(zip(said, BAD), 2):
            self.assertTrue(line.startswith(f"ortpool: line {number}: "), line)
            if case in MALFORMED:
                self.assertIn("not JSON: ", line)

    def test_odd_ones_are_answered(self):
        for name, line in ODD:
            with self.subTest(name):
                done = self.ask([self.good[0], line.encode(), self.good[1]], "--json")
                self.ends(done, 0)
                rows = [json.loads(text) for text in done.out.splitlines()]
                self.assertEqual([told(rows[0]), told(rows[2])], self.alone)
                self.assertGreater(len(rows[1]["candidates"]), 0)

    def test_forms_of_lines(self):
        """Marks, line ends and empty lines around good lines change nothing but the line numbers."""
        one, two = self.good
        bad = b"nonsense"
        forms = [
            (b"\xef\xbb\xbf" + one + b"\n" + bad + b"\n" + two + b"\n", 2),
            (one + b"\r\n" + bad + b"\r\n" + two + b"\r\n", 2),
            (one + b"\n\n\r\n \t\n" + bad + b"\n" + two, 5),
            (b"\n\n" + one + b"\n" + bad + b"\n\x0b\x0c\n" + two + b"\n\n\n", 4),
        ]
        for text, number in forms:
            done = self.ask([text], "--json")
            self.ends(done, 1)
            rows = [json.loads(line) for line in done.out.splitlines()]
            self.assertEqual(len(rows), 3)
            self.assertEqual([told(rows[0]), told(rows[2])], self.alone)
            self.assertRegex(rows[1]["error"], rf"^line {number}: not JSON: .+'nonsense'")


class Inputs(SwipeCase):
    """Files that are no swipes at all."""

    def refused(self, name, reason, commands=("predict", "eval")):
        for command in commands:
            done = cli.run(command, *cli.tiny(), name)
            self.ends(done, 2)
            self.assertEqual(done.out, "")
            self.assertRegex(done.err, rf"\Aortpool: cannot read '{name}': {reason}\n\Z")

    def test_what_cannot_be_opened(self):
        with tempfile.TemporaryDirectory() as folder:
            loop = os.path.join(folder, "loop")
            os.symlink("loop", loop)
            self.refused(loop, "Too many levels of symbolic links")
            self.refused(os.path.join(folder, "none"), "No such file or directory")
            self.refused(folder, "Is a directory")
            self.refused(os.path.join(folder, "n" * 300), "File name too long")
            self.refused(os.path.join(cli.SOURCE, "README.md", "x"), "Not a directory")
            shut = os.path.join(folder, "shut")
            with open(shut, "wb"):
                pass
            os.chmod(shut, 0)
            if not os.access(shut, os.R_OK):
                self.refused(shut, "Permission denied")

    def test_read_error(self):
        if not os.path.exists("/proc/self/mem"):
            self.skipTest("no file here that opens and fails to be read")
        for command in ("predict", "eval"):
            done = cli.run(command, *cli.tiny(), "/proc/self/mem")
            self.ends(done, 2)
            self.assertIn("ortpool: reading '/proc/self/mem' failed after line 0: "
                          "Input/output error\n", done.err)

    def test_empty_file(self):
        done = cli.run("predict", *cli.tiny(), os.devnull)
        self.ends(done, 0)
        self.assertEqual((done.out, done.err), ("", "ortpool: no swipes in the input\n"))

    def test_binary_files(self):
        """A graph, random bytes and the program itself: each of their lines fails, one by one."""
        with open(cli.CLI, "rb") as file:
            program = file.read(300000)
        with open(cli.path("tests", "graphs", "tiny", "encoder.onnx"), "rb") as file:
            graph = file.read()
        every = bytes(range(256)) * 16
        for data in (program, graph, every):
            done = self.ask([self.good[0], data, self.good[1]], "--json")
            self.ends(done, 1)
            rows = [json.loads(line) for line in done.out.splitlines()]
            self.assertEqual([told(rows[0]), told(rows[-1])], self.alone)
            self.assertGreater(len(rows), 2)
            for row in rows[1:-1]:
                self.assertRegex(row["error"], r"\Aline \d+: (not JSON: |the line is )")
            done = self.ask([data])
            self.ends(done, 1)
            for line in done.err.splitlines() + done.out.splitlines():
                self.assertTrue(line.isprintable(), ascii(line))


class Points(cli.OrtCase):
    """10,000 points are resampled, with the bundled model, whose words mean something."""

    COUNT, ROWS, SAMPLES = 10000, 150, 8

    @staticmethod
    def at(values, position):
        """Linearly between two values of a list."""
        before = min(int(position), len(values) - 1)
        after = min(before + 1, len(values) - 1)
        share = position - before
        return values[before] * (1 - share) + values[after] * share

    def spread(self, row, count):
        """The swipe with so many points, evenly by index, both ends kept."""
        step = (len(row["x"]) - 1) / (count - 1)
        positions = [i * step for i in range(count - 1)] + [len(row["x"]) - 1]
        return dict(row, **{name: [self.at(row[name], p) for p in positions] for name in "xyt"})

    def test_10000_points(self):
        rows = [json.loads(line) for line in cli.samples(self.SAMPLES)]
        many = [self.spread(row, self.COUNT) for row in rows]
        thinned = [self.spread(row, self.ROWS) for row in many]
        answers = [self.predict("--no-warmup", "--threads", "2", lines=[json.dumps(r) for r in kind])
                   for kind in (rows, many, thinned)]
        same = 0
        for row, plain, full, thin in zip(rows, *answers):
            self.assertEqual(plain["candidates"][0]["word"], row["word"])
            same += full["candidates"][0]["word"] == row["word"]
            self.assertEqual([c["word"] for c in full["candidates"]],
                             [c["word"] for c in thin["candidates"]])
            for a, b in zip(full["candidates"], thin["candidates"]):
                self.assertAlmostEqual(a["score"], b["score"], places=3)
        # 150 rows are more than most of the swipes have: a double letter may come out of that.
        self.assertGreaterEqual(same, self.SAMPLES - 1)

    def test_one_point_is_answered(self):
        row = dict(json.loads(cli.samples(1)[0]), x=[540], y=[240], t=[0])
        got, = self.predict("--no-warmup", lines=[json.dumps(row)])
        self.assertGreater(len(got["candidates"]), 0)


class LongLines(SwipeCase):
    """Lines of 10 MB, and of more than may be."""

    BYTES = 10 << 20

    def between(self, line, code, *arguments):
        done = self.ask([self.good[0], line, self.good[1], line, self.good[0]], "--json", *arguments)
        self.ends(done, code)
        rows = [json.loads(text) for text in done.out.splitlines()]
        self.assertEqual([told(rows[0]), told(rows[2]), told(rows[4])], self.alone + self.alone[:1])
        return rows[1]

    def refused(self, line, message):
        row = self.between(line, 1)
        self.assertLess(len(row["error"]), MESSAGE_MAX)
        self.assertRegex(row["error"], rf"\Aline 2: {message}\Z")

    def test_10_mb_of_a_swipe(self):
        padded = swipe(head='"id":"b","more":"' + "x" * self.BYTES + '",').encode()
        self.assertEqual(told(self.between(padded, 0)), told(self.between(swipe().encode(), 0)))
        # As many points as there may be, of 35 digits each.
        digits = "0" * 26
        lists = [f"[{','.join(f'{i}.{digits}{i % 10}' for i in range(POINTS_MAX))}]"] * 3
        long = swipe(*lists).encode()
        self.assertGreater(len(long), 9 << 20)
        short = swipe(*[json.dumps(list(range(POINTS_MAX)))] * 3).encode()
        self.assertEqual([word for word, _ in told(self.between(long, 0, "--threads", "2"))],
                         [word for word, _ in told(self.between(short, 0))])

    def test_10_mb_of_something_else(self):
        end = r" \(byte \d+\), expected one object"
        self.refused(b"x" * self.BYTES, "not JSON: invalid token" + end)
        self.refused(b"[" * self.BYTES, r"not JSON: maximum parsing depth reached near '\['" + end)
        self.refused(b"\0" * self.BYTES, "not JSON: .+" + end)
        self.refused(b"\xff" * self.BYTES, "not JSON: unable to decode byte 0xff" + end)
        self.refused(b'{"id":"' + b"x" * self.BYTES, "not JSON: .+" + end)
        self.refused(b'"' + b"x" * self.BYTES + b'"', "the line is a string, expected an object .+")
        self.refused(b"[" + b"1," * (self.BYTES // 2) + b"1]", "the line is an array, expected .+")
        points = "[" + "1," * (self.BYTES // 6) + "1]"
        self.refused(swipe(points, points, points).encode(),
                     rf"swipe: {self.BYTES // 6 + 1} points, expected at most 100000")

    def test_10_mb_id(self):
        name = "i" * self.BYTES
        line = swipe(head=f'"id":"{name}",').encode()
        self.assertEqual(self.between(line, 0)["id"], name)
        done = self.ask([line])
        self.ends(done, 0)
        self.assertLess(max(len(text) for text in done.out.splitlines()), 200)

    def test_10_mb_of_blanks(self):
        done = self.ask([self.good[0], b" " * self.BYTES, self.good[1], b"nonsense"], "--json")
        self.ends(done, 1)
        rows = [json.loads(text) for text in done.out.splitlines()]
        self.assertEqual([told(row) for row in rows[:2]], self.alone)
        self.assertTrue(rows[2]["error"].startswith("line 4: "))

    def test_over_the_limit(self):
        self.refused(b"x" * (LINE_MAX + 1), "longer than 64 MB, the limit of a line")
        head = '"id":"b","more":"'
        padding = LINE_MAX - len(swipe(head=head + '",'))
        full = swipe(head=head + "x" * padding + '",').encode()
        self.assertEqual(len(full), LINE_MAX)
        self.assertEqual(self.between(full, 0)["id"], "b")
