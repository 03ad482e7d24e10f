// SPDX-License-Identifier: MIT
// The page: the document's figures into the sections of page.html.
"use strict";

const text = document.getElementById("document").textContent;
const bench = JSON.parse(text) ?? {};

function rowsOf(list) {
    const counts = {own: 0, other: 0};
    return list.map(row => {
        const kind = row.own === true ? "own" : "other";
        const number = counts[kind]++;
        return {
            ...row, own: row.own === true, number,
            title: textOf(row.title) || textOf(row.name) || "a row without a name",
            model: textOf(row.model), colour: `--${kind}-${number % OWN_COLOURS}`,
        };
    });
}

const rows = rowsOf(listOf(bench.rows));
const titles = new Map(rows.map(row => [row.name, row.title]));
const titleOf = name => titles.get(name) ?? textOf(name);
const p50Of = row => figureOf(row?.p50_us);
const absent = what => paragraph(what, "absent");

// ---- head ----

function fillFacts() {
    const {machine, method} = bench;
    const models = [...new Set(rows.map(row => row.model).filter(Boolean))];
    const facts = [
        ["machine", [textOf(machine?.cpu), isNumber(machine?.cores) ? plural(machine.cores, "core") : "",
            isNumber(machine?.memory_bytes) ? `${rounded(machine.memory_bytes / MIB / 1024)} GiB` : ""]],
        ["system", [textOf(machine?.system), textOf(machine?.compiler)]],
        ["ONNX Runtime", [textOf(bench.ort)]],
        ["ortpool", [textOf(bench.ortpool)]],
        [models.length === 1 ? "model" : "models", models],
        ["method", methodParts(method)],
    ];
    for (const [name, parts] of facts) {
        document.getElementById("facts").append(element("div", {}, element("dt", {}, name),
            element("dd", {}, parts.filter(Boolean).join(", ") || "not said")));
    }
    document.getElementById("subtitle").textContent = dateShort(bench.date) || "without a date";
    document.title = ["ortpool bench", models[0], dateShort(bench.date)].filter(Boolean).join(", ");
}

function methodParts(method) {
    return [
        isNumber(method?.swipes) ? plural(method.swipes, "swipe") : "",
        isNumber(method?.rounds) ? plural(method.rounds, "round") : "",
        isNumber(method?.beam) ? plural(method.beam, "beam") : "",
        isNumber(method?.tail) && method.tail > 0 ? `tails of ${plural(method.tail, "prediction")}` : "",
        isNumber(method?.starts) && method.starts > 0 ? plural(method.starts, "start") : "",
    ];
}

// ---- headline ----

const NO_COMPARISON = "these figures compare nothing";

// An interval that holds 1 decides nothing.
const verdictOf = ratio => ratio.high < 1 ? "bad" : ratio.low > 1 ? "good" : "open";
const VERDICTS = {good: "faster", bad: "slower", open: "undecided"};

function fillHeadline(place) {
    const ratios = listOf(bench.ratios).filter(ratio => isNumber(ratio.value));
    const ratio = ratios.find(one => one.row === "incremental" && one.baseline === "well-used") ?? ratios[0];
    if (!ratio) {
        place.append(absent("No row was compared with another, so there is no figure to begin with."));
        return;
    }
    const of = name => rows.find(row => row.name === name);
    const both = [of(ratio.row), of(ratio.baseline)].map(p50Of);
    place.append(
        element("p", {class: "figure", "data-verdict": verdictOf(ratio)},
            element("strong", {}, rounded(ratio.value)), " times as fast",
            verdictOf(ratio) === "good" ? null : `: ${VERDICTS[verdictOf(ratio)]}`),
        paragraph(`${titleOf(ratio.row)} against ${titleOf(ratio.baseline)}`
            + (both[0] && both[1] ? `: p50 ${milliseconds(both[0].value)} against ${milliseconds(both[1].value)}` : "")
            + (isNumber(ratio.low)
                ? `. 95 % interval of the ratio: ${rounded(ratio.low)} to ${rounded(ratio.high)}.` : ".")));
    if (bench.words?.same === false) {
        place.append(paragraph(`The rows gave different words: ${NO_COMPARISON}.`, "warning"));
    }
}

// ---- time ----

const timeColumn = (head, of, more) => ({head, unit: "ms", of, scale: 1000, digits: 2, ...more});

function p50Summary(timed) {
    const sorted = [...timed].sort((a, b) => p50Of(a).value - p50Of(b).value);
    const [fast, slow] = [sorted[0], sorted.at(-1)];
    return `p50 of a prediction, from ${milliseconds(p50Of(fast).value)} (${fast.title}) to `
        + `${milliseconds(p50Of(slow).value)} (${slow.title}). Bars: p50; lines across their ends: 95 % intervals; `
        + "dots below: the rounds' medians.";
}

const barColour = row => row.own ? "--own-0" : "--bar";

function fillP50(place) {
    const timed = rows.filter(p50Of);
    if (timed.length === 0) {
        place.append(absent("No row has a p50."));
        return;
    }
    const ms = value => value / 1000;
    const ends = row => [p50Of(row).value, p50Of(row).high, ...numbersOf(row.round_p50_us)].filter(isNumber).map(ms);
    const drawIntervals = u => {
        const {ctx} = u;
        const pixel = uPlot.pxRatio;
        ctx.strokeStyle = ctx.fillStyle = colourOf("--text");
        timed.forEach((row, i) => {
            const y = u.valToPos(i, "x", true);
            ctx.globalAlpha = 0.6;
            for (const one of numbersOf(row.round_p50_us).filter(isNumber)) {
                ctx.beginPath();
                ctx.arc(u.valToPos(ms(one), "y", true), y + barHalf(u, timed) + 3 * pixel, 1.4 * pixel, 0, 2 * Math.PI);
                ctx.fill();
            }
            ctx.globalAlpha = 1;
            const {low, high} = p50Of(row);
            if (isNumber(low) && isNumber(high)) {
                const [left, right] = [low, high].map(value => u.valToPos(ms(value), "y", true));
                ctx.lineWidth = 1.5 * pixel;
                ctx.beginPath();
                for (const x of [left, right]) {
                    ctx.moveTo(x, y - 5 * pixel);
                    ctx.lineTo(x, y + 5 * pixel);
                }
                ctx.moveTo(left, y);
                ctx.lineTo(right, y);
                ctx.stroke();
            }
        });
    };
    const stacks = [{label: "p50", colour: barColour, values: timed.map(row => ms(p50Of(row).value))}];
    place.append(plotFigure(p50Summary(timed), width => barOptions(width, timed, stacks, {
        label: "p50, ms", text: row => milliseconds(p50Of(row).value),
        least: Math.max(...timed.flatMap(ends)),
        after: {draw: drawIntervals, end: row => Math.max(...ends(row))},
    })));
}

function fillTimeTable(place) {
    if (rows.length === 0) {
        return; // said above
    }
    place.append(...compact(rowTable("Time of a prediction, with 95 % intervals; tinted: rows of ortpool", rows, [
        timeColumn("p50", row => row.p50_us),
        timeColumn("p90", row => row.p90_us),
        timeColumn("p99", row => row.p99_us),
        {head: "predictions", of: row => row.predictions},
    ], {withModel: true})));
}

const compact = list => list.filter(item => item !== null && item !== undefined);

function fillRatios(place) {
    const ratios = listOf(bench.ratios);
    if (ratios.length === 0) {
        place.append(absent("No row was compared with another."));
        return;
    }
    const names = key => [...new Set(ratios.map(ratio => ratio[key]))];
    const baselines = names("baseline");
    const cell = (row, baseline) => {
        const ratio = ratios.find(one => one.row === row && one.baseline === baseline);
        const made = figureCell(figureOf(ratio), 1, 2, "not compared");
        if (ratio && isNumber(ratio.low) && isNumber(ratio.high)) {
            made.dataset.verdict = verdictOf(ratio);
            made.append(element("span", {class: "verdict"}, VERDICTS[verdictOf(ratio)]));
        }
        return made;
    };
    const body = names("row").map(name => {
        const row = rows.find(one => one.name === name) ?? {title: textOf(name), colour: "--soft", own: false};
        return element("tr", {class: row.own ? "own" : null}, rowHead(row, false),
            baselines.map(baseline => cell(name, baseline)));
    });
    const caption = "p50: times as fast as the row at the top, with 95 % intervals";
    place.append(scrolling(element("table", {class: "rows ratios"}, captionOf(caption),
        tableHead("row", baselines.map(name => ({head: titleOf(name)}))), element("tbody", {}, body)), caption));
}

function fillDistribution(place) {
    const drawn = rows.filter(row => numbersOf(row.distribution_us).some(isNumber));
    if (drawn.length === 0) {
        place.append(absent("No row has a distribution."));
        return;
    }
    const widest = drawn.map(row => ({row, at: p => row.distribution_us[p]}))
        .filter(one => isNumber(one.at(50)) && isNumber(one.at(99)) && one.at(50) > 0)
        .sort((a, b) => b.at(99) / b.at(50) - a.at(99) / a.at(50))[0];
    const summary = "Latency of the predictions by percentile, a line for each row: solid ortpool, dashed the others."
        + (widest ? ` The widest: ${widest.row.title}, ${milliseconds(widest.at(50))} at the 50th and `
            + `${milliseconds(widest.at(99))} at the 99th percentile.` : "");
    const length = Math.max(...drawn.map(row => row.distribution_us.length));
    const value = (u, v) => isNumber(v) ? milliseconds(v * 1000) : "";
    place.append(plotFigure(summary, width => ({
        options: lineOptions(width, width < NARROW ? 300 : 400, {
            scales: {x: {time: false, range: () => [0, 100]}, y: logScale},
            axes: [axis("x", "percentile of the predictions"), logAxis("y", "latency, ms (logarithmic)")],
            series: [{label: "percentile", value: (u, v) => isNumber(v) ? String(v) : ""},
                ...drawn.map(row => lineOf(row, {value}))],
        }),
        data: [Array.from({length}, (_, i) => length > 1 ? 100 * i / (length - 1) : 0),
            ...drawn.map(row => numbersOf(row.distribution_us).map(us => positive(us / 1000)))],
    })));
}

function fillTails(place) {
    const {noise} = bench;
    const tailed = rows.filter(row => row.tail);
    if (tailed.length === 0) {
        place.append(absent("Tails were not measured."));
        if (noise) {
            place.append(paragraph(noiseText(noise)));
        }
        return;
    }
    const extra = noise ? [{title: "noise floor: a loop of equal length",
        cells: [noise.predictions, noise.p50_us, noise.p99_us, noise.p999_us, noise.max_us]}] : [];
    place.append(
        ...compact(rowTable("Longer runs of their own", rows, [
            {head: "predictions", of: row => row.tail?.predictions, why: "no longer run was made of it"},
            ...[["p50", "p50_us"], ["p99", "p99_us"], ["p99.9", "p999_us"], ["largest", "max_us"]].map(([head, key]) =>
                timeColumn(head, row => row.tail?.[key], {why: "no longer run was made of it"})),
        ], {extra})),
        paragraph(noise ? noiseText(noise)
            : "The noise floor was not measured: how much of a tail is the machine's is not known."));
}

function noiseText(noise) {
    return `Noise floor: the machine took ${milliseconds(noise.p50_us)} for a loop of equal length at p50, `
        + `${milliseconds(noise.p99_us)} at p99 and ${milliseconds(noise.p999_us)} at p99.9. `
        + "What is above p50 there is the machine's, and in every tail.";
}

// ---- targets ----

function targetsTable(targets, caption) {
    const verdict = target => target.holds === true ? ["good", "✓ reached"]
        : target.holds === false ? ["bad", "✗ missed"] : ["open", "– open"];
    const columns = ["wanted", "reached", "verdict"].map(head => ({head}));
    const line = target => {
        const [kind, words] = verdict(target);
        return element("tr", {},
            element("th", {scope: "row"}, textOf(target.figure)),
            element("td", {}, textOf(target.wanted)),
            element("td", {}, textOf(target.reached) || NONE),
            element("td", {class: "text", "data-verdict": kind}, words));
    };
    const groups = [...new Set(targets.map(target => textOf(target.table)))].map(group => element("tbody", {},
        element("tr", {class: "group"},
            element("th", {scope: "rowgroup", colspan: "4"}, `Targets of the ${group || "project"}`)),
        targets.filter(target => textOf(target.table) === group).map(line)));
    return scrolling(element("table", {class: "targets"}, captionOf(caption),
        tableHead("figure", columns), groups), caption);
}

function targetsCaption(targets) {
    const count = holds => targets.filter(target => (target.holds ?? null) === holds).length;
    return `Targets: ${count(true)} of ${targets.length} reached, ${count(false)} missed, ${count(null)} open or not measured here`;
}

function fillTargets(place) {
    const targets = listOf(bench.targets);
    place.append(targets.length ? targetsTable(targets, targetsCaption(targets))
        : absent("No target was looked at."));
}

// ---- tables ----

function fillStart(place) {
    const keys = ["load_us", "first_cold_us", "first_warm_us", "warm_us"];
    if (!rows.some(row => keys.some(key => figureOf(row[key])))) {
        place.append(absent("Starts were not measured."));
        return;
    }
    const why = "starts of the row were not measured";
    const unwarmed = "starts of the row were not measured, or it is none of ortpool, which alone warms up";
    place.append(...compact(rowTable("From the files to the first prediction, with 95 % intervals", rows,
        ["load", "first cold", "first warm", "warming up"].map((head, i) =>
            timeColumn(head, row => row[keys[i]], {digits: 1, why: i < 2 ? why : unwarmed})))));
}

function fillWork(place) {
    if (rows.length === 0) {
        place.append(absent("There are no rows."));
        return;
    }
    place.append(...compact(rowTable("Inside ONNX Runtime, per prediction", rows, [
        timeColumn("encoder", row => row.encoder_us),
        timeColumn("decoder", row => row.decoder_us),
        {head: "encoder runs", of: row => row.encoder_runs, digits: 2},
        {head: "decoder runs", of: row => row.decoder_runs, digits: 1},
        {head: "cache hits", of: row => row.cache_hits, digits: 2},
    ])));
}

const PHASES = [["encoder", "--phase-0"], ["decoder", "--phase-1"], ["rest", "--phase-2"]];

function fillHeap(place) {
    const counted = rows.filter(row => PHASES.some(([name]) => isNumber(row.phases?.[name]?.heap_calls)));
    if (counted.length === 0) {
        place.append(absent("Heap allocations were not counted by phase."));
        return;
    }
    const calls = (row, name) => row.phases?.[name]?.heap_calls ?? 0;
    const sum = row => PHASES.reduce((all, [name]) => all + calls(row, name), 0);
    const sorted = [...counted].sort((a, b) => sum(a) - sum(b));
    const [fewest, most] = [sorted[0], sorted.at(-1)];
    const summary = `Heap allocations of a prediction by phase, from ${number(sum(fewest), 0)} (${fewest.title}) `
        + `to ${number(sum(most), 0)} (${most.title}).`;
    const stacks = PHASES.map(([name, colour]) => ({
        label: name, colour: () => colour, values: counted.map(row => calls(row, name)),
    }));
    place.append(plotFigure(summary, width => barOptions(width, counted, stacks, {
        label: "heap allocations per prediction", text: row => number(sum(row), 0),
    }), {legend: legendOf(PHASES.map(([name, colour]) => [colour, name]))}));
}

function fillAllocationsTable(place) {
    if (rows.length === 0) {
        place.append(absent("There are no rows."));
        return;
    }
    const phase = (name, key) => row => row.phases?.[name]?.[key];
    place.append(...compact(rowTable("Per prediction", rows, [
        {head: "tensors", of: row => row.tensors, digits: 2},
        {head: "heap calls", of: row => row.heap_calls},
        {head: "heap bytes", unit: "KiB", of: row => row.heap_bytes, scale: KIB, digits: 1},
        {head: "memory calls", of: row => row.memory_calls, digits: 2, why: "strace was not there, or not allowed to trace"},
        {head: "faults", of: row => row.faults, digits: 2},
    ])));
    const columns = PHASES.flatMap(([name]) => [
        {head: `${name}: heap calls`, of: phase(name, "heap_calls")},
        {head: `${name}: heap bytes`, unit: "KiB", of: phase(name, "heap_bytes"), scale: KIB, digits: 1},
    ]);
    place.append(element("details", {}, element("summary", {}, "By phase, as a table"),
        ...compact(rowTable("Heap per prediction, by phase", rows, columns))));
}

function fillMemoryTable(place) {
    if (rows.length === 0) {
        place.append(absent("There are no rows."));
        return;
    }
    const column = (head, key, why) => ({head, unit: "MiB", of: row => row[key], scale: MIB, digits: 1, why});
    place.append(...compact(rowTable("Peaks", rows, [
        column("resident", "peak_resident"),
        column("anonymous", "peak_anonymous"),
        column("mapped", "peak_mapped", "only ortpool's rows have it"),
    ])));
}

// ---- the rest ----

function fillWords(place) {
    const {words} = bench;
    const {same} = words ?? {};
    place.append(same === true ? paragraph("Every row of the same weights gave the same words.")
        : same === false ? paragraph(`Rows of the same weights gave different words: ${NO_COMPARISON}.`, "warning")
            : absent("The rows' words were not compared."));
    const notes = listOf(words?.notes);
    if (notes.length) {
        place.append(element("ul", {}, notes.map(note => element("li", {}, textOf(note)))));
    }
}

function fillMethod(place) {
    const parts = methodParts(bench.method).filter(Boolean);
    place.textContent = parts.length ? `Here: ${parts.join(", ")}.` : "";
}

function fillContents() {
    for (const section of document.querySelectorAll("main > section[id] > h2")) {
        document.getElementById("contents").append(element("li", {},
            element("a", {href: `#${section.parentElement.id}`}, section.textContent)));
    }
}

function offerData() {
    const url = URL.createObjectURL(new Blob([JSON.stringify(bench, null, 1), "\n"], {type: "application/json"}));
    document.getElementById("data").href = url;
}

// One that fails says so in its place; the others are there all the same.
function fill(place, how) {
    try {
        how(place);
    } catch (error) {
        pageError(`${place.dataset.fill ?? place.id}: ${error.stack ?? error}`);
        place.append(paragraph("This part could not be made of the data.", "warning"));
    }
}

const FILLS = {
    "p50": fillP50, "time-table": fillTimeTable, "ratios": fillRatios, "distribution": fillDistribution,
    "tails": fillTails, "targets": fillTargets, "start": fillStart, "work": fillWork, "heap": fillHeap,
    "allocations-table": fillAllocationsTable, "memory-table": fillMemoryTable, "typing": fillTyping,
    "pool": fillPool, "words": fillWords, "method": fillMethod,
};

fill(document.getElementById("facts"), fillFacts);
fill(document.getElementById("headline"), fillHeadline);
for (const place of document.querySelectorAll("[data-fill]")) {
    fill(place, FILLS[place.dataset.fill]);
}
fillContents();
offerData();
plotsDraw();
plotsWatch();
document.documentElement.dataset.ready = "";
