// SPDX-License-Identifier: MIT
// Plots with uPlot, in the page's colours and at its width; made again when either changes.
"use strict";

const plots = []; // {place, make, made}
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const NARROW = 560;

const colourOf = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const plotFont = px => `${px}px ${FONT}`;

/*
 * A figure with its summary, which is also the plot's name for who does not see it. make(width) gives
 * uPlot's options and data.
 */
function plotFigure(summary, make, {legend = null, kind = ""} = {}) {
    const place = element("div", {class: `plot ${kind}`, role: "img", "aria-label": summary});
    plots.push({place, make, made: null});
    return element("figure", {}, element("figcaption", {}, summary), place, legend);
}

function plotDraw(plot) {
    plot.made?.destroy();
    const {options, data} = plot.make(plot.place.clientWidth);
    plot.made = new uPlot(options, data, plot.place);
}

function plotsDraw() {
    for (const plot of plots) {
        try {
            plotDraw(plot);
        } catch (error) {
            pageError(`plot: ${error.stack ?? error}`);
        }
    }
}

function plotsWatch() {
    let width = document.documentElement.clientWidth;
    let waiting = 0;
    window.addEventListener("resize", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => {
            if (width !== document.documentElement.clientWidth) {
                width = document.documentElement.clientWidth;
                plotsDraw();
            }
        }, 150);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plotsDraw);
}

// ---- axes and scales ----

const tickText = tick => tick.toLocaleString("en-US", {maximumSignificantDigits: 3});

function axis(scale, label, more) {
    return {
        scale, label,
        stroke: colourOf("--soft"), font: plotFont(12), labelFont: plotFont(12), labelSize: 22, labelGap: 2,
        size: scale === "x" ? 32 : 52,
        grid: {stroke: colourOf("--line"), width: 1}, ticks: {stroke: colourOf("--line"), width: 1, size: 5},
        ...more,
    };
}

// Ticks of a logarithmic scale between the limits, about `most` of them.
function logSplits(low, high, most) {
    const ticks = [];
    const decades = Math.log10(high / low);
    const steps = decades < 0.8 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 2.6 ? [1, 2, 5] : [1];
    const jump = decades >= 2.6 ? Math.max(1, Math.ceil(decades / most)) : 1;
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
        if (power % jump === 0) {
            ticks.push(...steps.map(step => step * 10 ** power).filter(tick => tick >= low && tick <= high));
        }
    }
    return ticks;
}

function logAxis(scale, label, more) {
    return axis(scale, label, {
        splits: (u, i, low, high) => logSplits(low, high, 6),
        filter: (u, splits) => splits,
        values: (u, splits) => splits.map(tickText),
        ...more,
    });
}

const logScale = {
    distr: 3, log: 10,
    range: (u, low, high) => isNumber(low) && isNumber(high) && low > 0 ? [low / 1.12, high * 1.12] : [1, 10],
};
// What a logarithmic scale can show.
const positive = value => isNumber(value) && value > 0 ? value : null;

// From 0 up; 1 where there is nothing to show.
const fromZero = (u, low, high) => [0, isNumber(high) && high > 0 ? high * 1.06 : 1];

// The mark of a series in the legend: as its line is, or as its area.
function markOf({stroke, fill, dash}) {
    return dash ? `repeating-linear-gradient(90deg, ${stroke} 0 0.3rem, transparent 0.3rem 0.45rem)` : fill ?? stroke;
}

function lineOptions(width, height, {scales, axes, series, draw = null}) {
    return {
        width, height, scales, axes, series,
        legend: {show: true, live: true, markers: {width: 0, fill: (u, i) => markOf(series[i])}},
        cursor: {drag: {x: false, y: false}, points: {size: 7}},
        hooks: draw ? {draw: [draw]} : {},
        padding: [draw ? 22 : 10, 12, 0, 0],
    };
}

const OWN_COLOURS = 5; // --own-0 ... in page.css, and --other-0 ...
const DASHES = [[7, 4], [2, 3], [10, 3, 2, 3], [5, 2], [3, 6]];

// Other rows are dashed, so that colours need not tell them from ortpool's.
function lineOf(row, more) {
    return {
        label: row.title, stroke: colourOf(row.colour), width: row.own ? 2.2 : 1.7,
        dash: row.own ? row.number >= OWN_COLOURS ? [1, 3] : undefined : DASHES[row.number % DASHES.length],
        points: {show: false}, ...more,
    };
}

// Vertical marks {at, text} on the x scale of a plot.
function drawMarks(u, marks) {
    const {ctx} = u;
    const pixel = uPlot.pxRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colourOf("--bad");
    ctx.lineWidth = 1.5 * pixel;
    ctx.setLineDash([4 * pixel, 3 * pixel]);
    ctx.font = plotFont(11 * pixel);
    ctx.textBaseline = "bottom";
    for (const mark of marks) {
        const x = u.valToPos(mark.at, "x", true);
        const part = (x - u.bbox.left) / u.bbox.width;
        ctx.textAlign = part > 0.8 ? "right" : part < 0.2 ? "left" : "center";
        ctx.beginPath();
        ctx.moveTo(x, u.bbox.top);
        ctx.lineTo(x, u.bbox.top + u.bbox.height);
        ctx.stroke();
        ctx.fillText(mark.text, x, u.bbox.top - 3 * pixel);
    }
    ctx.restore();
}

// ---- bars that lie, a row each ----

// The text in at most `most` lines of the width; what is longer is cut.
function wrapped(ctx, text, width, most) {
    const words = text.split(/\s+/);
    const lines = [""];
    for (const word of words) {
        const longer = lines.at(-1) === "" ? word : `${lines.at(-1)} ${word}`;
        if (lines.length < most && lines[0] !== "" && ctx.measureText(longer).width > width) {
            lines.push(word);
        } else {
            lines[lines.length - 1] = longer;
        }
    }
    return lines.map(line => {
        let shown = line;
        while (shown.length > 1 && ctx.measureText(shown).width > width) {
            shown = `${shown.slice(0, -2).trimEnd()}…`;
        }
        return shown;
    });
}

function drawRowTitles(u, rows, room) {
    const {ctx} = u;
    const [size, most] = u.width < NARROW ? [11, 3] : [12, 2];
    const pixel = uPlot.pxRatio;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    rows.forEach((row, i) => {
        ctx.font = `${row.own ? "600 " : ""}${plotFont(size * pixel)}`;
        ctx.fillStyle = colourOf("--text");
        const y = u.valToPos(i, "x", true);
        const lines = wrapped(ctx, row.title, (room - 14) * pixel, most);
        lines.forEach((line, k) =>
            ctx.fillText(line, u.bbox.left - 8 * pixel, y + (k - (lines.length - 1) / 2) * (size + 1) * pixel));
    });
}

// The text behind a bar's end, or inside it where there is no room.
function drawBarText(u, i, value, text) {
    const {ctx} = u;
    const pixel = uPlot.pxRatio;
    ctx.font = plotFont(12 * pixel);
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    ctx.fillStyle = colourOf("--text");
    ctx.fillText(text, u.valToPos(value, "y", true) + 6 * pixel, u.valToPos(i, "x", true));
}

const barHalf = (u, rows) => 0.27 * (u.bbox.height / rows.length);

/*
 * stacks: from the left {label, colour(row), values: [a number or null per row]}. `after` draws on top.
 */
function barOptions(width, rows, stacks, {label, text, least = 0, after = null}) {
    const room = width < NARROW ? 122 : 250;
    const sums = [];
    let below = rows.map(() => 0);
    for (const stack of stacks) {
        below = below.map((sum, i) => sum + (stack.values[i] ?? 0));
        sums.push(below);
    }
    // The last to be drawn lies on top, so the sum of all comes first.
    const shown = stacks.map((stack, k) => ({...stack, sums: sums[k]})).reverse();
    const most = Math.max(least, ...below);
    const drawBars = (u, stack) => {
        const half = barHalf(u, rows);
        const zero = u.valToPos(0, "y", true);
        rows.forEach((row, i) => {
            u.ctx.fillStyle = colourOf(stack.colour(row));
            const middle = u.valToPos(i, "x", true);
            u.ctx.fillRect(zero, middle - half, u.valToPos(stack.sums[i], "y", true) - zero, 2 * half);
        });
    };
    const draw = u => {
        u.ctx.save();
        shown.forEach(stack => drawBars(u, stack));
        drawRowTitles(u, rows, room);
        rows.forEach((row, i) => drawBarText(u, i, Math.max(below[i], after?.end?.(row) ?? 0), text(row)));
        after?.draw(u);
        u.ctx.restore();
    };
    return {
        options: {
            width, height: 60 + (width < NARROW ? 42 : 36) * rows.length,
            scales: {
                x: {time: false, ori: 1, dir: -1, range: () => [-0.5, rows.length - 0.5]},
                y: {ori: 0, dir: 1, range: () => [0, (most > 0 ? most : 1) * (width < NARROW ? 1.35 : 1.14)]},
            },
            axes: [
                axis("x", undefined, {side: 3, size: room, values: () => [], grid: {show: false}, ticks: {show: false}}),
                axis("y", label, {side: 2, space: 60, size: 32}),
            ],
            series: [{}, ...shown.map(stack => ({label: stack.label, paths: () => null, points: {show: false}}))],
            legend: {show: false},
            cursor: {show: false},
            hooks: {draw: [draw]},
            padding: [6, 4, 0, 0],
        },
        data: [rows.map((row, i) => i), ...shown.map(stack => stack.sums)],
    };
}

// Colours of stacks, by name.
function legendOf(entries) {
    return element("ul", {class: "legend", "aria-hidden": "true"}, entries.map(([colour, label]) =>
        element("li", {}, element("span", {class: "mark", style: `--mark: var(${colour})`, "data-own": ""}), label)));
}
