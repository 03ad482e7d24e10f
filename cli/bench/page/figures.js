// SPDX-License-Identifier: MIT
// Figures as text, and the elements they stand in. Text from the document becomes text nodes, never markup.
"use strict";

const NONE = "–";
const KIB = 1024;
const MIB = 1024 * 1024;

// An element; attributes that are null are left out, children that are null too.
function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (value !== null && value !== undefined) {
            made.setAttribute(name, value);
        }
    }
    made.append(...children.flat().filter(child => child !== null && child !== undefined));
    return made;
}

const paragraph = (text, kind) => element("p", {class: kind ?? null}, text);
const isNumber = value => typeof value === "number" && Number.isFinite(value);
const listOf = value => Array.isArray(value) ? value.filter(item => item !== null) : [];
const numbersOf = value => Array.isArray(value) ? value : [];
const textOf = value => typeof value === "string" || isNumber(value) ? String(value) : "";

function number(value, digits) {
    return isNumber(value)
        ? value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits})
        : NONE;
}

// With as many digits as make three that count: 0.123, 1.23, 12.3, 123, 1,234.
function rounded(value) {
    if (!isNumber(value)) {
        return NONE;
    }
    const size = Math.abs(value);
    return number(value, size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

const milliseconds = us => isNumber(us) ? `${rounded(us / 1000)} ms` : NONE;
const mebibytes = bytes => isNumber(bytes) ? `${rounded(bytes / MIB)} MiB` : NONE;
const plural = (count, one, many) => `${number(count, 0)} ${count === 1 ? one : many ?? one + "s"}`;

const capital = words => words.charAt(0).toUpperCase() + words.slice(1);

function bytesShort(bytes) {
    const steps = [[MIB, "MiB"], [KIB, "KiB"]];
    const [unit, name] = steps.find(([size]) => bytes >= size) ?? [1, "B"];
    return `${Number((bytes / unit).toPrecision(3))} ${name}`;
}

function dateShort(text) {
    const parts = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?Z$/.exec(textOf(text));
    return parts ? `${parts[1]} ${parts[2]} UTC` : textOf(text);
}

// {value, low, high} or a plain number; null where there is none.
function figureOf(value) {
    if (isNumber(value)) {
        return {value, low: null, high: null};
    }
    return isNumber(value?.value) ? value : null;
}

// ---- tables ----

// A cell of a figure, its interval in small behind it.
function figureCell(figure, scale, digits, why) {
    if (figure === null) {
        return element("td", {class: "none", title: why ?? "not measured"}, NONE);
    }
    const cell = element("td", {}, number(figure.value / scale, digits));
    if (isNumber(figure.low) && isNumber(figure.high)) {
        const range = `${number(figure.low / scale, digits)}–${number(figure.high / scale, digits)}`;
        cell.append(" ", element("small", {}, range));
    }
    return cell;
}

// The heads of columns with their units; `first` is the head of the column of names.
function tableHead(first, columns) {
    const heads = columns.map(column => element("th", {scope: "col"}, column.head,
        column.unit ? element("span", {class: "unit"}, column.unit) : null));
    return element("thead", {}, element("tr", {}, element("th", {scope: "col"}, first), heads));
}

// Stays in sight while the table is scrolled.
const captionOf = words => element("caption", {}, element("span", {}, words));

function scrolling(table, label) {
    return element("div", {class: "scroll", role: "region", tabindex: "0", "aria-label": label}, table);
}

// The head of a row: its title with the mark it has in the plots.
function rowHead(row, withModel) {
    return element("th", {scope: "row"},
        element("span", {class: "mark", style: `--mark: var(${row.colour})`, "data-own": row.own ? "" : null}),
        row.title,
        row.own ? element("span", {class: "hidden"}, " (of ortpool)") : null,
        withModel && row.model ? element("small", {class: "model"}, row.model) : null);
}

/*
 * A line for each row, a cell for each column {head, unit, of, scale, digits, why}: `of` gives a figure
 * of the row, `why` says why there may be none. Extra lines {title, cells: [figure...]} come last.
 */
function rowTable(caption, rows, columns, {withModel = false, extra = []} = {}) {
    const missing = new Map(); // why: heads of columns
    const cellsOf = figures => columns.map((column, i) => {
        if (figures[i] === null) {
            const why = column.why ?? "not measured";
            missing.set(why, (missing.get(why) ?? new Set()).add(column.head));
        }
        return figureCell(figures[i], column.scale ?? 1, column.digits ?? 0, column.why);
    });
    const body = element("tbody", {}, rows.map(row =>
        element("tr", {class: row.own ? "own" : null}, rowHead(row, withModel),
            cellsOf(columns.map(column => figureOf(column.of(row)))))));
    for (const line of extra) {
        body.append(element("tr", {class: "extra"}, element("th", {scope: "row"}, line.title),
            cellsOf(line.cells.map(figureOf))));
    }
    const table = element("table", {class: "rows"}, captionOf(caption),
        tableHead("row", columns), body);
    const notes = [...missing].map(([why, heads]) =>
        heads.size === columns.length ? why : `${[...heads].join(", ")}: ${why}`);
    return [
        scrolling(table, caption),
        notes.length ? paragraph(`${NONE} ${notes.join("; ")}.`, "note") : null,
    ];
}
