// bench/page.js - the page of belfry bench --html: charts and tables from a result
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const result = read("result");
  const baseline = read("baseline"); // null, or a result as well
  const verdicts = read("verdicts");
  const names = read("names"); // as the text table has them: facts, and the series' cases and remarks
  const page = document.getElementById("page");
  page.textContent = "";

  const BEFORE = "before";
  const colours = { [BEFORE]: "#9a5fc4", floor: "#7d8590", belfry: "#0a7cc4", "belfry-window": "#52b6ec",
    qemu: "#d9630d", host: "#12946b" };
  const percentiles = [["min", "min"], ["p50", "p50"], ["p90", "p90"], ["p99", "p99"],
    ["p99_9", "p99.9"], ["p99_99", "p99.99"], ["max", "max"]];
  result.series.forEach((s, i) => { s.case = names.cases[i]; s.remarks = names.remarks[i]; });
  const measured = result.series.filter((s) => s.status === "measured");
  const before = !baseline ? [] : baseline.series
    .filter((s) => s.status === "measured" && s.contestant === "belfry");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark ? "#9aa5b1" : "#5d6773";
  const grid = dark ? "#2b323a" : "#e6eaee";

  // --- small things ---

  function add(parent, tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    parent.append(element);
    return element;
  }

  function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  const scales = { ns: ["ns", "us", "ms", "s"], per_s: ["/s", "k/s", "M/s", "G/s"],
    bytes_per_s: ["B/s", "kB/s", "MB/s", "GB/s"] };

  // 38420 ns is "38.42 us", and on an axis, where 0s at the end say nothing, "38.4 us"
  function words(figure, unit, onAxis) {
    let step = 0;
    for (; figure >= 1000 && step < 3; step++) figure /= 1000;
    return `${onAxis ? Number(figure.toPrecision(3)) : figure.toPrecision(4)} ${scales[unit][step]}`;
  }

  // The p50 of all samples; of rates, the median of the runs'
  const figureOf = (s) => s.unit === "ns" ? s.ns.p50
    : median(s.runs.filter((r) => r.samples).map((r) => r.figure));

  // --- charts ---

  function card(parent, title, text) {
    const box = add(parent, "div", undefined, "card");
    add(box, "h3", title);
    add(box, "p", text);
    return add(add(box, "div", undefined, "plot"), "canvas");
  }

  const axis = (title, more) => ({
    type: "logarithmic", title: { display: title !== "", text: title, color: ink },
    grid: { color: grid }, ...more, ticks: { color: ink, maxRotation: 0, ...more.ticks },
  });

  // Ticks at 1, 2 and 5 of each power of ten, fewer where there are many powers
  function decimalTicks(scale) {
    const powers = Math.log10(scale.max / scale.min);
    const steps = powers > 3 ? [1] : powers > 1.5 ? [1, 3] : [1, 2, 5];
    const ticks = [];
    for (let power = Math.floor(Math.log10(scale.min)); power <= Math.log10(scale.max); power++)
      for (const step of steps) {
        const value = step * 10 ** power;
        if (value >= scale.min && value <= scale.max) ticks.push({ value });
      }
    scale.ticks = ticks;
  }

  function draw(canvas, type, datasets, x, y, label) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", datasets.map((d) => d.label).join(", "));
    return new Chart(canvas, {
      type, data: { datasets },
      options: {
        animation: false, maintainAspectRatio: false, parsing: false,
        interaction: { mode: "nearest", axis: "x", intersect: false },
        scales: { x, y },
        plugins: { legend: { labels: { color: ink, boxWidth: 14, boxHeight: 3 } },
          tooltip: { callbacks: { title: () => "", label } } },
      },
    });
  }

  // Points (1 / (1 - share of samples above), ns) of a histogram
  function curve(series) {
    const points = [];
    let seen = 0;
    for (const [ns, count] of series.histogram) {
      points.push({ x: series.samples / (series.samples - seen), y: ns });
      seen += count;
    }
    const last = series.histogram[series.histogram.length - 1];
    points.push({ x: series.samples, y: last[0] });
    return points.filter((p) => p.y > 0);
  }

  // Not 0 %, at the left edge: it would run into 50 %
  const shares = [[2, "50 %"], [10, "90 %"], [100, "99 %"], [1000, "99.9 %"],
    [10000, "99.99 %"], [100000, "99.999 %"], [1000000, "99.9999 %"]];

  const percent = (x) => `${Number((100 - 100 / x).toPrecision(7))} %`;

  // How a contestant, or belfry as it was before, is drawn in all charts
  const lineOf = (name) => ({
    label: name === BEFORE ? `belfry ${BEFORE}` : name, showLine: true, borderWidth: 2,
    borderColor: colours[name] || "#888", backgroundColor: colours[name] || "#888",
    borderDash: name === "floor" ? [5, 4] : name === BEFORE ? [2, 3] : [],
  });

  function percentileChart(parent, scenario) {
    const ofCase = (s) => s.scenario === scenario && s.parameter === null;
    const list = measured.filter(ofCase);
    const canvas = card(parent, scenario, result.scenarios[scenario] || "");
    const lineWith = (name, s) => ({ ...lineOf(name), data: curve(s), pointRadius: 0,
      pointHitRadius: 6, stepped: true });
    const datasets = list.map((s) => lineWith(s.contestant, s))
      .concat(before.filter(ofCase).map((s) => lineWith(BEFORE, s)));
    const most = Math.max(...list.map((s) => s.samples));
    draw(canvas, "scatter", datasets,
      axis("share of samples that took no longer", {
        min: 1, max: most,
        afterBuildTicks: (scale) => {
          scale.ticks = shares.filter(([x]) => x <= scale.max).map(([value]) => ({ value }));
        },
        ticks: { callback: (x) => (shares.find(([at]) => at === x) || [])[1] },
      }),
      axis("time", { afterBuildTicks: decimalTicks,
        ticks: { callback: (ns) => words(ns, "ns", true) } }),
      (item) => `${item.dataset.label}: ${percent(item.raw.x)} within ${words(item.raw.y, "ns")}`);
  }

  function scalingChart(parent, scenario) {
    const ofCase = (s) => s.scenario === scenario && s.parameter !== null;
    const list = measured.filter(ofCase);
    const old = before.filter((s) => ofCase(s) && list.some(({ value }) => value === s.value));
    const { unit } = list[0];
    const canvas = card(parent, scenario, result.scenarios[scenario] || "");
    const lineThrough = (name, series) => ({ ...lineOf(name), pointRadius: 3,
      data: series.map((s) => ({ x: s.value, y: figureOf(s) })) });
    const datasets = [...new Set(list.map((s) => s.contestant))]
      .map((name) => lineThrough(name, list.filter((s) => s.contestant === name)));
    if (old.length) datasets.push(lineThrough(BEFORE, old));
    const values = [...new Set(list.map((s) => s.value))].sort((a, b) => a - b);
    const caseOf = (value) => list.find((s) => s.value === value).case;
    draw(canvas, "scatter", datasets,
      axis("", {
        min: values[0] * 0.9, max: values[values.length - 1] * 1.1,
        afterBuildTicks: (scale) => { scale.ticks = values.map((value) => ({ value })); },
        ticks: { callback: (value) => caseOf(value).split(/ (.*)/, 2) }, // "1024" over "peers",
      }),
      axis(unit === "ns" ? "p50" : "rate", { afterBuildTicks: decimalTicks,
        ticks: { callback: (figure) => words(figure, unit, true) } }),
      (item) => `${item.dataset.label}, ${caseOf(item.raw.x)}: ${words(item.raw.y, unit)}`);
  }

  function charts(title, scenarios, one) {
    if (scenarios.size === 0) return;
    add(page, "h2", title);
    const cards = add(page, "div", undefined, "cards");
    for (const scenario of scenarios) one(cards, scenario);
  }

  // --- tables ---

  function row(table, cells, tag = "td", className) {
    const line = add(table, "tr", undefined, className);
    cells.forEach((text) => add(line, tag, text));
    return line;
  }

  function table() {
    return add(add(page, "div", undefined, "wide"), "table");
  }

  // The figure over that of the floor in the same turn: the median of the turns
  function overFloor(series, of) {
    const floor = measured.find((s) => s.contestant === "floor" && s.scenario === series.scenario
      && s.value === series.value);
    const ratios = [];
    for (const run of series.runs) {
      const other = floor && floor.runs.find((r) => r.turn === run.turn && r.samples);
      if (other && run.samples && of(run) !== null && of(other) !== null)
        ratios.push(of(run) / of(other));
    }
    return ratios.length ? median(ratios).toFixed(2) : "";
  }

  const label = (s) => [s.contestant, s.case].filter((text) => text).join(", ");

  function seriesRow(body, s) {
    const line = add(body, "tr");
    add(line, "td", label(s));
    if (s.status !== "measured") {
      const cell = add(line, "td", s.reason ? `${s.status}: ${s.reason}` : s.status, "reason");
      cell.colSpan = 12;
      return;
    }
    const exits = s.runs.map((r) => r.exits);
    const bad = s.runs.filter((r) => r.disturbed).length;
    if (s.unit === "ns")
      for (const [field] of percentiles)
        add(line, "td", s.ns[field] === null ? "" : words(s.ns[field], "ns"));
    else
      rate(line, "td", words(figureOf(s), s.unit));
    for (const text of [overFloor(s, (run) => run.figure),
      s.unit === "ns" ? overFloor(s, (run) => run.ns.p99) : "", exits.includes(null) ? "-" : exits.reduce((a, b) => a + b, 0),
      s.unit === "ns" ? s.samples : s.runs.length, bad || ""])
      add(line, "td", String(text));
    if (s.remarks)
      add(add(body, "tr"), "td", s.remarks.trim().replace(/ {2}/g, "; "), "reason").colSpan = 13;
  }

  // Rates have one figure, below p50, where times have their percentiles
  function rate(line, tag, text) {
    add(line, tag, text).colSpan = 2;
    add(line, tag).colSpan = percentiles.length - 2;
  }

  function headings(body, ns) {
    const line = row(body, [""], "th");
    if (ns) percentiles.forEach(([, name]) => add(line, "th", name));
    else rate(line, "th", "rate");
    ["floor x", "at p99", "exits", ns ? "samples" : "runs", "disturbed"]
      .forEach((name) => add(line, "th", name));
  }

  // A scenario of which nothing was run by its name alone
  function notRun() {
    const list = result.series.filter((s) => s.status === "not run");
    const whole = (scenario) => result.series
      .every((s) => s.scenario !== scenario || s.status === "not run");
    return [...new Set(list.map((s) => whole(s.scenario) ? s.scenario
      : `${s.scenario} (${label(s)})`))].join(", ");
  }

  function seriesTable() {
    add(page, "h2", "All figures");
    if (notRun()) add(page, "p", `Not run: ${notRun()}`, "dim");
    const body = table();
    let scenario = "", headed;
    for (const s of result.series.filter(({ status }) => status !== "not run")) {
      if (s.scenario !== scenario) {
        const ns = s.unit === "ns";
        if (s.contestant && ns !== headed) headings(body, headed = ns);
        scenario = s.scenario;
        const line = add(body, "tr", undefined, "head");
        add(line, "td", `${scenario}: ${result.scenarios[scenario] || ""}`).colSpan = 13;
      }
      seriesRow(body, s);
    }
  }

  const classOf = { worse: "worse", better: "better", "too noisy to tell": "unclear",
    "not measured": "unclear" };

  function verdictTable() {
    if (!verdicts) return;
    add(page, "h2", `Against the baseline of ${verdicts.date}`);
    add(page, "p", `Worse is slower by more than ${verdicts.max_regression} %, with 99 % `
      + "confidence.", "dim");
    verdicts.warnings.forEach((text) => add(page, "p", text, "note"));
    const body = table();
    row(body, ["", "before", "now", "change", "99 % interval", "verdict"], "th");
    for (const j of verdicts.judgements) {
      const figure = (value) => !value ? "" : j.ratio ? `${value.toFixed(3)} x floor`
        : words(value, j.unit);
      const line = row(body, [j.name, figure(j.before), figure(j.after),
        j.change && `${j.change} %`, j.known ? `${j.low} to ${j.high} %` : ""]);
      add(line, "td", j.why ? `${j.verdict}: ${j.why}` : j.verdict, classOf[j.verdict] || "");
    }
  }

  function facts() {
    add(page, "h2", "Where and how");
    const box = add(page, "div", undefined, "card");
    const list = add(box, "dl");
    const fact = (name, text) => { add(list, "dt", name); add(list, "dd", text); };
    for (const [name, text] of Object.entries(result.host)) fact(names.facts[name], text);
    for (const c of result.contestants)
      if (!c.runs) fact(c.name, c.reason);
      else if (c.version && result.series.some((s) => s.contestant === c.name)) fact(c.name, c.version);
    const s = result.settings;
    fact("runs", `${s.runs} of ${s.ms} ms each, after ${s.warmup_ms} ms of warm-up; `
      + `vCPUs on ${s.cpus || "any CPU"}`);
  }

  // --- the page ---

  add(page, "h1", "belfry bench");
  add(page, "p", `belfry ${result.belfry}, ${result.date}; ${result.host.cpu}, `
    + result.host.kernel, "dim");
  result.notes.forEach((text) => add(page, "p", text, "note"));
  if (!result.complete) add(page, "p", `Not complete: ${result.stopped}`, "note");
  verdictTable();
  charts("Percentiles", new Set(measured.filter((s) => s.parameter === null && s.unit === "ns"
    && s.samples > 50).map((s) => s.scenario)), percentileChart);
  charts("Scaling", new Set(measured.filter((s) => s.parameter !== null)
    .map((s) => s.scenario)), scalingChart);
  seriesTable();
  facts();
  document.body.dataset.drawn = String(document.querySelectorAll("canvas").length);
})();
