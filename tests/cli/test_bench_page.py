#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of `ortpool bench --html` in a browser: drawn, complete, without errors, whatever the document.

usage: test_bench_page.py --render PROGRAM --sample FILE [--keep FOLDER]

PROGRAM is unit_cli_bench_page, which writes the page of a document. Each page gets one more script that looks
at it from inside and leaves what it saw in the page; headless Chromium opens it and prints what became of it.
Exit status 77 where there is no Chromium.
"""

import argparse
import copy
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

RENDER = ""
SAMPLE = ""
KEEP = None
CHROMIUM = None
TIMEOUT = 150
SKIPPED = 77

PROBE = """
<script>
setTimeout(() => {
    plotsDraw(); // once more, as when the colours change, and pointed at
    plots.forEach(plot => plot.made.setCursor({left: 40, top: 40}));
}, 200);
setTimeout(() => {
    const all = (selector, from) => [...(from ?? document).querySelectorAll(selector)];
    const inked = canvas => {
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const colours = new Set();
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] > 200) {
                count++;
                colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
            }
        }
        return [count, colours.size];
    };
    const root = document.documentElement;
    all("details").forEach(one => one.open = true);
    const seen = {
        ready: "ready" in root.dataset, errors: root.dataset.errors ?? "", title: document.title,
        back: getComputedStyle(document.body).backgroundColor, text: getComputedStyle(document.body).color,
        overflow: root.scrollWidth - root.clientWidth, hacked: window.hacked === true,
        loaded: performance.getEntriesByType("resource").map(one => one.name),
        elements: all("img, iframe, link, object, embed, video, audio, [onerror], [onload]").length,
        data: document.getElementById("data").href,
        sections: all("main > section").map(section => ({
            id: section.id, text: section.innerText, absent: all(".absent", section).length,
            warnings: all(".warning", section).map(one => one.innerText),
            plots: all(".plot", section).map(plot => ({
                label: plot.getAttribute("aria-label"), role: plot.getAttribute("role"),
                canvases: all("canvas", plot).map(canvas => ({
                    width: canvas.width, height: canvas.height, shown: canvas.getBoundingClientRect().width,
                    inked: inked(canvas),
                })),
                legend: all(".u-series .u-label", plot).map(one => one.textContent),
                values: all(".u-series .u-value", plot).map(one => one.textContent),
            })),
            tables: all("table", section).filter(table => table.querySelector("caption")).map(table => ({
                caption: table.caption.textContent,
                columns: all("thead th[scope=col]", table).map(one => one.innerText),
                rows: all("tbody tr", table).map(row => [...row.cells].map(cell => cell.innerText)),
                own: all("tbody tr.own", table).length,
                heads: all("tbody th[scope]", table).length,
                dashes: all("td.none[title]", table).length,
            })),
        })),
    };
    const place = document.createElement("pre");
    place.id = "seen";
    place.textContent = JSON.stringify(seen);
    document.body.append(place);
}, 600);
</script>
"""


def sample():
    with open(SAMPLE, encoding="utf-8") as file:
        return json.load(file)


class Page:
    """A document's page as a browser has it."""

    def __init__(self, folder, name, document, *flags, width=1280):
        source, self.path = (os.path.join(folder, name + end) for end in (".json", ".html"))
        with open(source, "w", encoding="utf-8") as file:
            json.dump(document, file)
        subprocess.run([RENDER, source, self.path], check=True, timeout=TIMEOUT)
        with open(self.path, encoding="utf-8") as file:
            self.source = file.read()
        probed = os.path.join(folder, name + ".probed.html")
        with open(probed, "w", encoding="utf-8") as file:
            file.write(self.source.replace("</body>", PROBE + "</body>"))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                       "--no-first-run", "--disable-background-networking", "--force-device-scale-factor=1",
                       f"--user-data-dir={profile}", f"--window-size={width},900",
                       "--virtual-time-budget=8000", "--dump-dom", *flags, "file://" + probed]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
                                  env={**os.environ, "HOME": profile}, check=False)
        dom = done.stdout.decode("utf-8", "replace")
        found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.S)
        if not found:
            raise AssertionError(f"{name}: exit status {done.returncode}, no report in\n{dom[-2000:]}\n"
                                 + done.stderr.decode("utf-8", "replace")[-2000:])
        self.seen = json.loads(html.unescape(found.group(1)))
        self.sections = {section["id"]: section for section in self.seen["sections"]}

    def plots(self):
        return [plot for section in self.seen["sections"] for plot in section["plots"]]

    def tables(self):
        return [table for section in self.seen["sections"] for table in section["tables"]]


def emptied(value):
    """The same shape, null wherever there was a value."""
    if isinstance(value, dict):
        return {key: emptied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [emptied(item) for item in value]
    return None


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = KEEP
        if KEEP is None:
            folder = tempfile.TemporaryDirectory()
            self.addCleanup(folder.cleanup)
            self.folder = folder.name

    def page(self, name, document, *flags, **more):
        """Opened, and what holds for every page."""
        page = Page(self.folder, name, document, *flags, **more)
        self.assertEqual(page.seen["errors"], "")
        self.assertTrue(page.seen["ready"])
        self.assertEqual((page.seen["loaded"], page.seen["elements"], page.seen["hacked"]), ([], 0, False))
        self.assertLessEqual(page.seen["overflow"], 0)
        self.assertTrue(page.seen["data"].startswith("blob:"), page.seen["data"])
        for section in page.seen["sections"]:
            self.assertTrue(section["plots"] or section["tables"] or section["text"].strip(), section["id"])
        for plot in page.plots():
            self.assertEqual(plot["role"], "img")
            self.assertGreater(len(plot["label"]), 30)
            self.assertEqual(len(plot["canvases"]), 1, plot["label"])
        for table in page.tables():
            self.assertTrue(table["caption"])
            self.assertTrue(table["columns"])
            self.assertGreaterEqual(table["heads"], len(table["rows"]))
        return page

    def assert_drawn(self, page):
        for plot in page.plots():
            for canvas in plot["canvases"]:
                count, colours = canvas["inked"]
                self.assertGreater(min(canvas["width"], canvas["height"], canvas["shown"]), 200, plot["label"])
                self.assertGreater(count, 2000, plot["label"])
                self.assertGreater(colours, 3, plot["label"])

    def drawn_in(self, page):
        return {name: len(section["plots"]) for name, section in page.sections.items() if section["plots"]}


WHOLE = {"time": 2, "allocations": 1, "typing": 2, "pool": 3}


class Whole(Case):
    def test_sample(self):
        document = sample()
        page = self.page("sample", document)
        self.assertEqual(self.drawn_in(page), WHOLE)
        self.assert_drawn(page)
        self.assertEqual(page.seen["title"], "ortpool bench, swipe-en-usual, 2026-11-26 23:40 UTC")
        self.assertFalse([w for section in page.seen["sections"] for w in section["warnings"]])

        # the headline: the ratio with its interval
        ratio = next(r for r in document["ratios"] if (r["row"], r["baseline"]) == ("incremental", "well-used"))
        for value in ("value", "low", "high"):
            self.assertIn(f"{ratio[value]:.2f}", page.sections["headline"]["text"])

        # every row in every table of rows, those of ortpool marked
        titles = [row["title"] for row in document["rows"]]
        own = sum(row["own"] for row in document["rows"])
        tables = [t for t in page.tables() if t["columns"][0] == "row" and "times as fast" not in t["caption"]]
        self.assertEqual(len(tables), 7)
        for table in tables:
            heads = [row[0].split("\n")[0].removesuffix(" (of ortpool)") for row in table["rows"]]
            self.assertEqual(heads[:len(titles)], titles, table["caption"])
            self.assertEqual(table["own"], own)
        columns = " ".join(column for table in tables for column in table["columns"])
        for head in ("p50", "p90", "p99", "p99.9", "largest", "load", "first cold", "first warm", "warming up",
                     "encoder runs", "decoder runs", "cache hits", "tensors", "heap calls", "heap bytes\nKiB",
                     "memory calls", "faults", "resident\nMiB", "anonymous\nMiB", "mapped\nMiB"):
            self.assertIn(head, columns)
        without = sum(row["peak_mapped"] is None for row in document["rows"])
        memory = page.sections["memory"]
        self.assertEqual(memory["tables"][0]["dashes"], without)
        self.assertIn("only ortpool's rows have it", memory["text"])
        self.assertIn("noise floor", page.sections["time"]["text"])

        # lines and their legends, with the values under the cursor
        for plot in page.plots():
            if plot["legend"]:
                self.assertEqual(len(plot["values"]), len(plot["legend"]))
                self.assertTrue(plot["values"][0] and any(plot["values"][1:]), plot)
        distribution = page.sections["time"]["plots"][1]
        self.assertEqual(distribution["legend"][1:], titles)
        memory = page.sections["typing"]["plots"][0]["legend"]
        labels = [label["name"] for label in document["typing"]["memory"]["labels"]]
        self.assertEqual(sorted(memory[1:]), sorted([*labels, "declared", "resident"]))
        for case, plot in zip(document["pool"]["cases"], page.sections["pool"]["plots"]):
            self.assertEqual(plot["legend"][1:], [a["title"] for a in case["allocators"]])

        # verdicts: a loss as plain as a win
        for name, targets in (("targets", document["targets"]), ("pool", document["pool"]["targets"])):
            cells = [row[-1] for table in page.sections[name]["tables"] if table["columns"][-1] == "verdict"
                     for row in table["rows"]]
            for words, holds in (("✓ reached", True), ("✗ missed", False), ("– open", None)):
                self.assertEqual(cells.count(words), sum(t["holds"] is holds for t in targets), (name, words))
        ratios = next(t for t in page.tables() if "times as fast" in t["caption"])
        cells = " ".join(cell for row in ratios["rows"] for cell in row[1:])
        for words, holds in (("slower", lambda r: r["high"] < 1), ("faster", lambda r: r["low"] > 1),
                             ("undecided", lambda r: r["low"] <= 1 <= r["high"])):
            self.assertEqual(cells.count(words), sum(map(holds, document["ratios"])), words)

    def test_dark_and_narrow(self):
        light = self.page("narrow", sample(), width=390)
        dark = self.page("dark", sample(), "--blink-settings=preferredColorScheme=0", width=390)
        for page in (light, dark):
            self.assertEqual(self.drawn_in(page), WHOLE)
            self.assert_drawn(page)
        self.assertNotEqual(light.seen["back"], dark.seen["back"])
        self.assertNotEqual(light.seen["text"], dark.seen["text"])


class Lacking(Case):
    def test_sections_that_are_null(self):
        document = {**sample(), "typing": None, "pool": None, "noise": None}
        for row in document["rows"]:
            row.update(tail=None, load_us=None, first_cold_us=None, first_warm_us=None, warm_us=None)
        page = self.page("null-sections", document)
        self.assertEqual(self.drawn_in(page), {"time": 2, "allocations": 1})
        for name, sentence in (("typing", "The typing session was not run."), ("time", "Tails were not measured."),
                               ("pool", "The pool alone was not measured."), ("start", "Starts were not measured.")):
            self.assertIn(sentence, page.sections[name]["text"])

    def test_nothing(self):
        for name, document in (("nothing", {}), ("list", [])):
            page = self.page(name, document)
            self.assertEqual((page.plots(), page.tables()), ([], []))
            for section in ("headline", "time", "targets", "start", "work", "allocations", "memory", "typing",
                            "pool", "words"):
                self.assertGreater(page.sections[section]["absent"], 0, section)

    def test_nulls_everywhere(self):
        page = self.page("nulls", emptied(sample()))
        self.assertNotIn("NaN", " ".join(s["text"] for s in page.seen["sections"]))
        self.assertNotIn("undefined", " ".join(s["text"] for s in page.seen["sections"]))
        tops = sample()
        self.page("null-tops", {key: None for key in tops})

    def test_few_and_zero(self):
        """One row, one round, zeros, one sample: scales without a range."""
        document = sample()
        row = copy.deepcopy(document["rows"][0])
        row.update(p50_us={"value": 0, "low": 0, "high": 0}, round_p50_us=[0], distribution_us=[0] * 101,
                   phases={name: {"heap_calls": 0, "heap_bytes": 0} for name in ("encoder", "decoder", "rest")})
        typing = document["typing"]
        typing["samples"] = typing["samples"][:1]
        typing["memory"] = {"t_ms": [0], "labels": [{"name": "run", "bytes": [0]}], "declared": [0], "resident": [0]}
        pool = {"cases": [{"case": "pair", "title": "one", "unit": "ns", "sizes": [64], "allocators": [
            {"name": "pool", "title": "ortpool", "min": [1], "median": [2]}]}], "targets": []}
        page = self.page("few", {**document, "rows": [row], "ratios": [], "typing": typing, "pool": pool})
        self.assertEqual(self.drawn_in(page), {"time": 2, "allocations": 1, "typing": 2, "pool": 1})
        self.assertNotIn("NaN", " ".join(s["text"] for s in page.seen["sections"]))

    def test_losses_are_said_first(self):
        for name, ratio, said in (("slower", (0.59, 0.57, 0.66), "0.590 times as fast: slower"),
                                  ("undecided", (1.02, 0.96, 1.09), "1.02 times as fast: undecided")):
            document = sample()
            for one in document["ratios"]:
                one.update(zip(("value", "low", "high"), ratio))
            self.assertIn(said, self.page(name, document).sections["headline"]["text"])

    def test_different_words_are_said_first(self):
        document = {**sample(), "words": {"same": False, "notes": ["other words"]}}
        page = self.page("words", document)
        for name in ("headline", "words"):
            self.assertIn("these figures compare nothing", page.sections[name]["warnings"][0])


HOSTILE = [
    "</script><img src=x onerror=\"window.hacked=true\">",
    "<script>window.hacked=true</script>",
    "<!--<script>",
    "<b onclick='window.hacked=true'>\"&amp;&lt;",
    "${window.hacked=true}`'\\",
    "@{page.js}",
    "\u202egnp.exe \u2028\u2029 \U0001f600",
    "a" * 400,
]


class Hostile(Case):
    def strings(self, value, number):
        """Every string that is shown replaced by a hostile one, another each time."""
        if isinstance(value, dict):
            return {key: item if key in ("name", "row", "baseline", "case") else self.strings(item, number)
                    for key, item in value.items()}
        if isinstance(value, list):
            return [self.strings(item, number) for item in value]
        if isinstance(value, str):
            number[0] += 1
            return HOSTILE[number[0] % len(HOSTILE)]
        return value

    def test_strings_are_text(self):
        page = self.page("hostile", self.strings(sample(), [0]))
        self.assertEqual(self.drawn_in(page), WHOLE)
        text = "".join(section["text"] for section in page.seen["sections"])
        for string in HOSTILE[:6]:
            self.assertIn(string, text)

    def test_one_by_one(self):
        """Model and title of a row, and the machine: where names come from outside."""
        document = sample()
        for i, string in enumerate(HOSTILE):
            row = document["rows"][i]
            row.update(title=string, model=string, name=string)
        document["machine"]["cpu"] = HOSTILE[0]
        page = self.page("hostile-rows", document)
        heads = [row[0] for row in page.sections["time"]["tables"][0]["rows"]]
        for string, head in zip(HOSTILE[:6], heads):
            self.assertEqual(head.count(string), 2, head)


def main():
    global RENDER, SAMPLE, KEEP, CHROMIUM
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", required=True)
    parser.add_argument("--sample", required=True)
    parser.add_argument("--keep", help="an existing folder for the pages")
    options, rest = parser.parse_known_args()
    RENDER, SAMPLE, KEEP = options.render, options.sample, options.keep and os.path.abspath(options.keep)
    names = ("chromium", "chromium-browser", "google-chrome")
    CHROMIUM = next((path for path in map(shutil.which, names) if path), None)
    if CHROMIUM is None:
        print("skipped: there is no Chromium (apt-get install chromium)")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
