// SPDX-License-Identifier: MIT
// The typing session: memory and latency over time.
"use strict";

const pressureMarks = typing => listOf(typing.pressure).filter(mark => isNumber(mark[0]))
    .map(([at, level]) => ({at: at / 1000, text: textOf(level) || "pressure"}));

function typingFacts(typing) {
    const facts = [
        ["swipes", number(typing.swipes, 0)],
        ["time", isNumber(typing.seconds) ? `${rounded(typing.seconds)} s` : NONE],
        ["threads", number(typing.threads, 0)],
        ["p50", milliseconds(typing.p50_us)],
        ["p99", milliseconds(typing.p99_us)],
        ["largest", milliseconds(typing.max_us)],
        ["cache hits", number(typing.hits, 0)],
        ["p50 of hits", milliseconds(typing.hit_p50_us)],
        ["first after pressure", numbersOf(typing.after_pressure_us).map(milliseconds).join(", ") || NONE],
    ];
    return element("dl", {class: "facts"}, facts.map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

const pressureText = marks => marks.length
    ? ` Memory pressure at ${marks.map(mark => `${rounded(mark.at)} s (${mark.text})`).join(", ")}.` : "";
const seconds = {label: "time", value: (u, v) => isNumber(v) ? `${number(v, 1)} s` : ""};

function latencyFigure(typing, marks) {
    const samples = listOf(typing.samples).filter(sample => isNumber(sample[0])).sort((a, b) => a[0] - b[0]);
    if (samples.length === 0) {
        return absent("The session has no samples.");
    }
    const of = hit => samples.map(sample => (sample[3] === 1) === hit ? positive(sample[1] / 1000) : null);
    const summary = `Latency of each prediction of the session: p50 ${milliseconds(typing.p50_us)}, largest `
        + `${milliseconds(typing.max_us)}; ${plural(typing.hits ?? 0, "cache hit")}.${pressureText(marks)}`;
    const points = (label, colour) => ({
        label, stroke: colourOf(colour), paths: () => null,
        points: {show: true, size: 6, fill: colourOf(colour), width: 0},
        value: (u, v) => isNumber(v) ? milliseconds(v * 1000) : "",
    });
    return plotFigure(summary, width => ({
        options: lineOptions(width, width < NARROW ? 280 : 320, {
            scales: {x: {time: false}, y: logScale},
            axes: [axis("x", "time of the session, s"), logAxis("y", "latency, ms (logarithmic)")],
            series: [seconds, points("computed", "--own-0"), points("cache hit", "--other-0")],
            draw: u => drawMarks(u, marks),
        }),
        data: [samples.map(sample => sample[0] / 1000), of(false), of(true)],
    }), {kind: "areas"});
}

// Layers from the bottom: what stays first, what comes and goes on top.
const LAYERS = ["weights", "metadata", "other", "tensors", "decode", "cache", "run", "idle"];

function memoryFigure(typing, marks) {
    const {memory} = typing;
    const at = numbersOf(memory?.t_ms);
    if (!at.some(isNumber)) {
        return absent("The session's memory was not sampled.");
    }
    const place = name => (LAYERS.indexOf(name) + 1 || LAYERS.length + 1);
    const layers = listOf(memory.labels)
        .map(label => ({name: textOf(label.name) || "no name", bytes: numbersOf(label.bytes)}))
        .sort((a, b) => place(a.name) - place(b.name));
    layers.push({name: "declared", bytes: numbersOf(memory.declared)});
    let below = at.map(() => 0);
    layers.forEach((layer, i) => {
        below = below.map((sum, k) => sum + (layer.bytes[k] ?? 0));
        layer.sums = below;
        layer.colour = `--layer-${i % 9}`;
    });
    const resident = numbersOf(memory.resident);
    const largest = values => Math.max(0, ...values.filter(isNumber));
    const summary = `Memory of the session, by use: charged at most ${mebibytes(largest(below))}, resident at most `
        + `${mebibytes(largest(resident))}.${pressureText(marks)} `
        + "Stacked: what is charged; line: resident memory of the process.";
    const shown = [...layers].reverse(); // the sum of all first, the rest on top of it
    return plotFigure(summary, width => ({
        options: lineOptions(width, width < NARROW ? 320 : 400, {
            scales: {x: {time: false}, y: {range: fromZero}},
            axes: [axis("x", "time of the session, s"), axis("y", "memory, MiB")],
            series: [seconds, ...shown.map(layer => ({
                label: layer.name, fill: colourOf(layer.colour), stroke: colourOf(layer.colour), width: 0.5,
                points: {show: false}, value: (u, v, s, i) => isNumber(i) ? mebibytes(layer.bytes[i]) : "",
            })), {
                label: "resident", stroke: colourOf("--text"), width: 2, points: {show: false},
                value: (u, v, s, i) => isNumber(i) ? mebibytes(resident[i]) : "",
            }],
            draw: u => drawMarks(u, marks),
        }),
        data: [at.map(ms => ms / 1000), ...shown.map(layer => layer.sums.map(bytes => bytes / MIB)),
            at.map((_, i) => isNumber(resident[i]) ? resident[i] / MIB : null)],
    }), {kind: "areas"});
}

function fillTyping(place) {
    const {typing} = bench;
    if (!typing) {
        place.append(absent("The typing session was not run."));
        return;
    }
    const marks = pressureMarks(typing);
    place.append(typingFacts(typing),
        element("h3", {}, "Memory over time"), memoryFigure(typing, marks),
        element("h3", {}, "Latency over time"), latencyFigure(typing, marks));
}
