// SPDX-License-Identifier: MIT
// The pool alone: a plot and a table for each case.
"use strict";

// ortpool's are known by their title; the floor is neither.
function allocatorsOf(list) {
    const counts = {own: 0, other: 0};
    return listOf(list).map(one => {
        const title = textOf(one.title) || textOf(one.name) || "no name";
        const own = /ortpool/i.test(title);
        const floor = one.name === "floor";
        const number = floor ? 0 : counts[own ? "own" : "other"]++;
        return {
            ...one, title, dash: own ? undefined : floor ? [1, 3] : DASHES[number % DASHES.length],
            colour: floor ? "--soft" : `--${own ? "own" : "other"}-${number % OWN_COLOURS}`,
        };
    });
}

function poolSummary(one, allocators) {
    const size = numbersOf(one.sizes).at(-1);
    const at = allocators.map(a => ({title: a.title, ns: numbersOf(a.median).at(-1)})).filter(a => isNumber(a.ns))
        .sort((a, b) => a.ns - b.ns);
    return "Time of a pair against the size, a line for each allocator (medians)."
        + (at.length ? ` At ${bytesShort(size)}: ${at.map(a => `${a.title} ${rounded(a.ns)} ns`).join(", ")}.` : "");
}

function poolTable(one, allocators, unit) {
    const caption = `${textOf(one.title)}: medians, the least below, in ${unit}`;
    const body = allocators.map(allocator => element("tr", {},
        element("th", {scope: "row"}, allocator.title),
        numbersOf(one.sizes).map((_, i) => {
            const median = numbersOf(allocator.median)[i];
            if (!isNumber(median)) {
                return element("td", {class: "none", title: "not measured"}, NONE);
            }
            return element("td", {}, rounded(median), element("small", {}, rounded(numbersOf(allocator.min)[i])));
        })));
    return element("details", {}, element("summary", {}, "As a table"),
        scrolling(element("table", {class: "pool"}, captionOf(caption),
            tableHead("allocator", numbersOf(one.sizes).map(size => ({head: bytesShort(size)}))),
            element("tbody", {}, body)), caption),
        allocators.some(a => numbersOf(one.sizes).some((_, i) => !isNumber(numbersOf(a.median)[i])))
            ? paragraph(`${NONE} not measured.`, "note") : "");
}

function poolFigure(one) {
    const allocators = allocatorsOf(one.allocators);
    const sizes = numbersOf(one.sizes);
    const unit = textOf(one.unit) || "ns";
    const title = element("h3", {}, capital(textOf(one.title) || textOf(one.case)));
    if (sizes.length === 0 || !allocators.some(a => numbersOf(a.median).some(isNumber))) {
        return [title, absent("This case was not measured.")];
    }
    const splits = (u, i, low, high) => {
        const powers = Array.from({length: 41}, (_, k) => 2 ** k).filter(size => size >= low && size <= high);
        const step = Math.ceil(powers.length / (u.width < NARROW ? 5 : 12));
        return powers.filter((_, k) => k % step === 0);
    };
    const figure = plotFigure(poolSummary(one, allocators), width => ({
        options: lineOptions(width, width < NARROW ? 280 : 340, {
            scales: {x: {...logScale, time: false, log: 2}, y: logScale},
            axes: [
                axis("x", "size (logarithmic)",
                    {splits, filter: (u, all) => all, values: (u, all) => all.map(bytesShort)}),
                logAxis("y", `${unit} per pair (logarithmic)`),
            ],
            series: [{label: "size", value: (u, v) => isNumber(v) ? bytesShort(v) : ""},
                ...allocators.map(allocator => ({
                    label: allocator.title, stroke: colourOf(allocator.colour), dash: allocator.dash, width: 2,
                    points: {show: true, size: 5, fill: colourOf(allocator.colour)},
                    value: (u, v) => isNumber(v) ? `${rounded(v)} ${unit}` : "",
                }))],
        }),
        data: [sizes, ...allocators.map(allocator => sizes.map((_, i) => positive(numbersOf(allocator.median)[i])))],
    }));
    return [title, figure, poolTable(one, allocators, unit)];
}

function fillPool(place) {
    const {pool} = bench;
    if (!pool) {
        place.append(absent("The pool alone was not measured."));
        return;
    }
    const cases = listOf(pool.cases);
    place.append(...cases.flatMap(poolFigure));
    if (cases.length === 0) {
        place.append(absent("The pool alone has no cases."));
    }
    const targets = listOf(pool.targets);
    if (targets.length) {
        place.append(element("h3", {}, "Targets of the pool"), targetsTable(targets, targetsCaption(targets)));
    }
}
