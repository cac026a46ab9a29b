// Draws what the demo tells over server-sent events. One message holds the whole state, so a page that
// reconnects has missed nothing. Texts are set with textContent only: user names come from cookies.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const CROSSED = { colour: "#c81e1e", dash: "", width: 6 };
const BASELINE = { colour: "#64748b", dash: "", width: 2.5 };
// One colour and one dash per track, so that the graph can be read without colour too.
const TRACKS = [
  { colour: "#1d4ed8", dash: "9 5", width: 3.5 },
  { colour: "#b45309", dash: "2 5", width: 4 },
  { colour: "#0f766e", dash: "14 4 2 4", width: 3.5 },
  { colour: "#7e22ce", dash: "5 3", width: 3.5 },
];

const BOX = { width: 132, height: 52 };

let state = null;
let asked = false; // for a switch that is not answered yet
let sliding = false; // the slider is held, and shows what is not asked for yet
const drawn = new Map(); // the count of each call when it was last drawn

function style(release) {
  if (release === "crossed") return CROSSED;
  const index = state.tracks.indexOf(release);
  return index < 0 ? BASELINE : TRACKS[index % TRACKS.length];
}

function svg(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

function node(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// === Where things stand ===

// Columns of workloads, from the edge on. The middle of a column belongs to services with one version, so
// that each release is a lane of its own and a crossed call visibly crosses.
function columns() {
  const steps = Map.groupBy(state.workloads, (workload) => workload.step);
  const lanes = [...steps.keys()].sort((a, b) => a - b).map((step) => {
    const versions = Map.groupBy(steps.get(step), (workload) => workload.service);
    const column = [...versions.values()].filter((all) => all.length > 1).flat();
    const single = [...versions.values()].filter((all) => all.length === 1).flat();
    column.splice(column.length / 2, 0, ...single);
    return column;
  });
  return [[{ name: "gateway", service: "gateway" }], ...lanes];
}

// From left to right, or from top to bottom where that would be too narrow.
function layout(width) {
  const all = columns();
  const most = Math.max(...all.map((column) => column.length));
  const upright = width < 640;
  const height = upright ? (all.length - 1) * (most > 3 ? 190 : 150) + 70 : Math.max(350, most * 112);
  const [length, breadth, thickness] = upright ? [height, width, BOX.height] : [width, height, BOX.width];
  const boxes = all.flatMap((column, i) => column.map((workload, j) => {
    const along = 4 + thickness / 2 + (i * (length - thickness - 8)) / (all.length - 1);
    const across = ((j + 0.5) * breadth) / column.length;
    const size = { width: upright ? Math.min(BOX.width, width / column.length - 8) : BOX.width, height: BOX.height };
    return { workload, ...size, x: upright ? across : along, y: upright ? along : across };
  }));
  return { upright, boxes, width, height };
}

// A cubic curve between two boxes. Calls between the same two boxes lie side by side.
function curve({ upright, boxes }, call, siblings) {
  const shift = (siblings.indexOf(call) - (siblings.length - 1) / 2) * 20;
  const place = (name) => boxes.find(({ workload }) => workload.name === name);
  // Along the direction of the calls (u) and across it (v).
  const uv = ({ x, y }) => (upright ? { u: y, v: x } : { u: x, v: y });
  const xy = ({ u, v }) => (upright ? { x: v, y: u } : { x: u, y: v });
  const half = (upright ? BOX.height : BOX.width) / 2;
  const from = uv(place(call.from));
  const to = uv(place(call.to));
  const start = { u: from.u + half, v: from.v + shift };
  const end = { u: to.u - half - 10, v: to.v + shift };
  const bend = (end.u - start.u) / 2;
  const points = [start, { u: start.u + bend, v: start.v }, { u: end.u - bend, v: end.v }, end].map(xy);
  const [p0, p1, p2, p3] = points.map(({ x, y }) => `${x} ${y}`);
  const tip = [{ u: end.u - 2, v: end.v - 7 }, { u: end.u - 2, v: end.v + 7 }, { u: end.u + 10, v: end.v }].map(xy);
  return {
    line: `M${p0}C${p1} ${p2} ${p3}`,
    tip: `M${tip.map(({ x, y }) => `${x} ${y}`).join("L")}z`,
    at(t) {
      const weights = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2, t ** 3];
      const sum = (axis) => points.reduce((total, point, i) => total + weights[i] * point[axis], 0);
      return { x: sum("x"), y: sum("y") };
    },
  };
}

// The first place along the curve where a label covers nothing, or the one where it covers least.
function settle({ at }, width, height, taken) {
  const overlap = ({ x, y }) => taken.reduce((total, other) => {
    const across = (width + other.width) / 2 - Math.abs(x - other.x);
    const down = (height + other.height) / 2 - Math.abs(y - other.y);
    return total + Math.max(0, across) * Math.max(0, down);
  }, 0);
  const spots = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.2, 0.8].map(at);
  const best = spots.reduce((best, spot) => (overlap(spot) < overlap(best) ? spot : best));
  const spot = { ...best, width, height };
  taken.push(spot);
  return spot;
}

// === Drawing ===

function drawCall(root, call, { line, tip }) {
  const { colour, dash, width } = style(call.release);
  const group = svg("g", { class: "call", "data-from": call.from, "data-to": call.to, "data-release": call.release, "data-count": call.count }, root);
  svg("path", { d: line, stroke: colour, "stroke-width": width, "stroke-dasharray": dash }, group);
  svg("path", { d: tip, fill: colour }, group);
  if (call.release === "crossed") svg("path", { d: line, stroke: "#fff", "stroke-width": 1.5 }, group);
}

function drawLabel(root, call, geometry, taken) {
  const { colour, dash } = style(call.release);
  const crossed = call.release === "crossed";
  const group = svg("g", { class: crossed ? "label crossed" : "label" }, root);
  svg("title", {}, group).textContent = `${call.from} -> ${call.to}, ${call.release}: ${call.count}`;
  const pill = svg("rect", { class: "pill", stroke: colour, "stroke-dasharray": dash && "4 2" }, group);
  const text = svg("text", {}, group);
  text.textContent = { baseline: "", crossed: "\u2715 " }[call.release] ?? `${call.release}: `;
  text.textContent += call.count;
  const width = text.getComputedTextLength() + 16;
  const height = crossed ? 30 : 21;
  const { x, y } = settle(geometry, width, height, taken);
  for (const [key, value] of Object.entries({ x: x - width / 2, y: y - height / 2, width, height, rx: height / 2 })) pill.setAttribute(key, value);
  text.setAttribute("x", x);
  text.setAttribute("y", y + 0.5);
}

function drawWorkload(root, box) {
  const { workload, x, y } = box;
  const { colour, dash } = style(workload.track);
  const group = svg("g", { class: workload.served === 0 ? "quiet" : "", "data-workload": workload.name, "data-served": workload.served }, root);
  svg("rect", { class: "box", x: x - box.width / 2, y: y - box.height / 2, width: box.width, height: box.height, rx: 10, stroke: colour, "stroke-dasharray": dash }, group);
  const write = (text, className, dy, size) => {
    const element = svg("text", { class: className, x, y: y + dy }, group);
    element.textContent = text;
    element.style.fontSize = `${size}px`;
    const room = box.width - 10;
    const length = element.getComputedTextLength();
    if (length > room) element.style.fontSize = `${(size * room) / length}px`;
  };
  write(workload.service, "name", -9, 14);
  write(workload.version ? `${workload.version}, served ${workload.served}` : "the edge", "served", 11, 12);
}

function pulse(root, call, { line }) {
  const dot = svg("circle", { r: 6, fill: style(call.release).colour }, root);
  svg("animateMotion", { dur: "0.7s", begin: "indefinite", fill: "freeze", path: line }, dot).beginElement();
  setTimeout(() => dot.remove(), 700);
}

function draw() {
  const root = $("graph");
  const width = root.clientWidth;
  if (!state || !width) return;
  const plan = layout(width);
  root.setAttribute("viewBox", `0 0 ${plan.width} ${plan.height}`);
  root.style.height = `${plan.height}px`;
  root.replaceChildren();

  const between = Map.groupBy(state.calls, ({ from, to }) => `${from} ${to}`);
  const lines = state.calls.map((call) => [call, curve(plan, call, between.get(`${call.from} ${call.to}`))]);
  lines.sort(([a], [b]) => (a.release === "crossed") - (b.release === "crossed")); // crossed calls on top
  for (const [call, geometry] of lines) drawCall(root, call, geometry);
  for (const box of plan.boxes) drawWorkload(root, box);
  const taken = [...plan.boxes];
  for (const [call, geometry] of lines.toReversed()) drawLabel(root, call, geometry, taken);

  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const [call, geometry] of lines) {
    const key = `${call.from} ${call.to} ${call.release}`;
    if (!still && call.count > (drawn.get(key) ?? 0)) pulse(root, call, geometry);
    drawn.set(key, call.count);
  }
}

function drawLegend() {
  const sample = (name, { colour, dash, width }) => {
    const item = node("li");
    const line = svg("svg", { width: 44, height: 12, "aria-hidden": "true" }, item);
    svg("path", { d: "M0 6H44", stroke: colour, "stroke-width": width, "stroke-dasharray": dash }, line);
    if (name === "crossed") svg("path", { d: "M0 6H44", stroke: "#fff", "stroke-width": 1.5 }, line);
    item.append(name === "crossed" ? "\u2715 crossed" : name);
    return item;
  };
  $("legend").replaceChildren(...["baseline", ...state.tracks, "crossed"].map((name) => sample(name, style(name))));
}

// === Words ===

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// What the filter's own counters say, next to what the applications saw.
function witness({ says, arrivals, crossed, differences }) {
  switch (says) {
    case "nothing": return "There is no filter that could count, too.";
    case "same": return `The filter's counters say the same: ${plural(arrivals, "call")} on a track, ${crossed} crossed.`;
    case "other": return `The filter's counters say something else. ${differences.join("; ")}.`;
    default: return "The filter's counters are being read.";
  }
}

// What the gateway's guard sees, since the last switch.
function guarded({ hasStopped, inForce, track, baseline }) {
  const part = (name, { all, failed }) => `${failed} of ${all} responses of ${name} failed`;
  const seen = `${part(state.tracks[0], track)}, ${part("baseline", baseline)}`;
  return hasStopped
    ? `The guard has stopped the share: ${inForce} % is in force. ${seen}. Move the share to try again.`
    : `The guard watches: ${inForce} % is in force. ${seen}.`;
}

// The original routes do without the filter.
const chosen = ({ filter, routes, forward }) => ({ filter: filter && routes !== "original" ? "on" : "off", routes, forward, fails: state.fails ? "yes" : "no" });
const share = ({ share }) => (share ? `, share ${share} %` : "");

const ANYWHERE = "The filter decided otherwise, or the track ended on the way: release-track explain tells of one request.";

// What takes a track from requests whose account a rule names. On a mesh elsewhere nobody knows its switches.
function why(switches) {
  if (!switches) return ANYWHERE;
  const { filter, routes, forward } = switches;
  if (routes === "original") {
    const further = state.tracks.slice(1).map((track) => `, and no route is for ${track}`).join("");
    return `The routes' cookie expression misses "; user=tester", with the space that browsers write${further}.`;
  }
  if (!filter) return "The routes go by x-release-track, which nobody writes without the filter.";
  if (forward === "none") return "The applications forward nothing that could carry a track; only a track's own pods give it to their calls.";
  if (forward.endsWith("-sdk")) return "The applications' SDK forwards a trace alone, and begins one of its own where none arrives.";
  return ANYWHERE;
}

function tell() {
  const { crossed, lost, requests, failed, failedCalls, missed } = state;
  const failures = failed ? `, ${failed} failed` : failedCalls ? `, ${plural(failedCalls, "call")} failed` : "";
  $("verdict").className = crossed || lost ? "bad" : requests ? "good" : "idle";
  $("crossed").textContent = crossed;
  $("lost").textContent = lost;
  $("summary").textContent = requests
    ? `${plural(requests, "request")}${failures}${missed ? `, ${missed} not counted` : ""}. ` +
      (crossed ? "Some met two releases on their way." : "Each stayed on one release all the way.") +
      (lost ? ` ${lost} did not get the track that a rule names for their account.` : "")
    : "No request yet.";
  $("why").hidden = !lost;
  $("why").textContent = lost ? why(state.switches) : "";

  $("filter").className = state.filter?.says ?? "";
  $("filter").textContent = state.filter ? witness(state.filter) : "What the filter counted: release-track status.";

  if (state.words.length) {
    $("words").replaceChildren(...state.words.map((word) => {
      const wrong = word.crossed ? "crossed" : word.lost ? "lost" : "";
      const item = node("li", undefined, wrong);
      const line = node("span", `${word.user ?? "logged out"}:`);
      for (const hop of word.path.split(/ (?=->)/)) line.append(" ", node("span", hop, "hop"));
      if (wrong) line.append(` (${wrong})`);
      item.append(line, node("span", plural(word.count, "request"), "count"));
      return item;
    }));
  } else {
    $("words").replaceChildren(node("li", state.page ? "Send some traffic, or use the weather page." : "Send some traffic."));
  }

  $("earlier").hidden = !state.earlier.length;
  $("earlier").querySelector("ul").replaceChildren(...state.earlier.map((run) => node(
    "li",
    `filter ${chosen(run.switches).filter}, routes ${run.switches.routes}, forward ${run.switches.forward}${share(run.switches)}: ` +
      `${plural(run.requests, "request")}, crossed calls: ${run.crossed}, lost requests: ${run.lost}`,
    run.crossed || run.lost ? "crossed" : "",
  )));

  const sending = state.sending;
  $("send").disabled = sending !== null;
  $("send").textContent = sending ? `Sending ${sending.sent} of ${sending.of}` : "Send 60 requests";
  const page = $("page");
  page.hidden = !state.page;
  page.href = state.page ?? "";

  // Nothing is switched on a mesh elsewhere.
  for (const id of ["release", "switches"]) $(id).hidden = !state.switches;
  if (!state.switches) return;

  for (const fieldset of document.querySelectorAll("fieldset")) {
    const name = fieldset.dataset.switch;
    const value = chosen(state.switches)[name];
    fieldset.dataset.inForce = value;
    for (const input of fieldset.querySelectorAll("[type=radio]")) input.checked = input.value === value;
    const useless = { filter: state.switches.routes === "original", share: chosen(state.switches).filter === "off" }[name];
    fieldset.disabled = asked || state.applying || sending !== null || useless;
  }
  $("share").dataset.inForce = state.switches.share;
  if (!sliding) $("share").value = state.switches.share;
  $("share").nextElementSibling.value = `${$("share").value} %`;
  $("guard").hidden = !state.guard;
  $("guard").className = state.guard?.hasStopped ? "stopped" : "";
  $("guard").textContent = state.guard ? guarded(state.guard) : "";
  $("withdraw").disabled = state.switches.share === 0;
  $("released").textContent = state.tracks[0];
  $("original").hidden = state.switches.routes !== "original";
}

// === Talking to the demo ===

async function post(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
    .catch(() => null);
  const text = response ? await response.text() : "The demo does not answer. Is it still running?";
  say(response?.ok ? "" : text);
  return response?.ok;
}

function say(problem) {
  $("applied").className = problem ? "wrong" : "";
  $("applied").textContent = problem;
}

$("send").addEventListener("click", () => post("/traffic", { requests: 60 }));
$("clear").addEventListener("click", () => post("/clear", null));
async function choose(name, value) {
  asked = true;
  for (const fieldset of document.querySelectorAll("fieldset")) fieldset.disabled = true;
  const done = await post("/switch", { [name]: value });
  asked = false;
  tell();
  return done;
}

// Whoever moves the share wants to see what becomes of it.
async function release(percent) {
  const focused = document.activeElement;
  sliding = true;
  $("share").value = percent;
  if (await choose("share", percent)) await post("/traffic", { requests: 60 });
  sliding = false;
  focused.focus();
}

addEventListener("change", ({ target }) => {
  if (target.type === "radio") choose(target.name, target.value);
});
$("share").addEventListener("change", ({ target }) => release(target.valueAsNumber));
$("share").addEventListener("input", () => {
  sliding = true;
  $("share").nextElementSibling.value = `${$("share").value} %`;
});
$("withdraw").addEventListener("click", () => release(0));
addEventListener("resize", draw);

const events = new EventSource("/events");
events.onmessage = ({ data }) => {
  state = JSON.parse(data);
  drawLegend();
  draw();
  tell();
};
events.onopen = () => say("");
events.onerror = () => say("The demo does not answer; trying again.");
