"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const count = data.keys.length;
  const words = (state) => state.replace("_", " ");
  const names = {
    running: "running", rate_limit: "waiting for the rate limit", server_away: "the server is away",
    slot_taken: "another client has the slot", other: "nothing runs, or it was not recorded",
  };

  const causes = {
    rate_limit: "waiting for the rate limit", server_away: "while the server was away",
    slot_taken: "while another client had the slot",
  };

  // Times

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const pad = (number) => String(number).padStart(2, "0");
  const clock = (date) => `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  const day = (date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const at = (ms) => new Date(data.begin * 1000 + ms);
  const offset = (date) => {
    const minutes = -date.getTimezoneOffset();
    return `UTC${minutes < 0 ? "-" : "+"}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
  };
  const long = (ms) => {
    const seconds = ms / 1000;
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 60) return `${whole} s`;
    const [large, small, names] = whole < 3600 ? [60, 1, ["min", "s"]] : [3600, 60, ["h", "min"]];
    const rest = Math.floor((whole % large) / small);
    return `${Math.floor(whole / large)} ${names[0]}${rest ? ` ${rest} ${names[1]}` : ""}`;
  };
  for (const time of document.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    const sameDay = day(at(0)) === day(at(data.span));
    time.textContent = time.className === "short" && sameDay ? clock(date) : `${day(date)} ${clock(date)}`;
  }
  byId("zone").textContent = `your time zone (${zone}, ${offset(at(0))})`;
  const facts = document.querySelector("header .facts");
  facts.append(` (${zone}, ${offset(at(0))})`);
  for (const part of document.querySelectorAll(".needs-script")) part.hidden = false;

  // The timeline: activities, windows of the rate limit, and every key

  const canvas = byId("chart");
  const brush = canvas.getContext("2d");
  const top = 22, activityHeight = 64, gap = 24, windowHeight = data.windows.length ? 16 : 0;
  const keysTop = top + gap + activityHeight + (windowHeight ? gap + windowHeight : 0) + gap;
  let keysHeight = 0, height = 0;
  const span = Math.max(data.span, 1);
  const shortest = Math.min(span, 1000);
  let from = 0, until = span, cursor = null, dragged = null, colours = {}, width = 0;

  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800,
    604800];
  const x = (ms) => ((ms - from) / (until - from)) * width;
  const back = (pixel) => from + (pixel / width) * (until - from);

  const read = () => {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["running", "rate_limit", "server_away", "away-line", "slot_taken", "other", "queued", "failed",
      "timed_out", "lost", "window", "cancelled", "not_started", "text", "muted", "edge", "panel", "ground", "focus"]) {
      colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
    colours.completed = colours.running;
  };

  const hatch = () => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const tip = tile.getContext("2d");
    tip.fillStyle = colours.server_away;
    tip.fillRect(0, 0, 8, 8);
    tip.strokeStyle = colours["away-line"];
    tip.lineWidth = 1.6;
    for (const shift of [-8, 0, 8]) {
      tip.beginPath();
      tip.moveTo(shift, 8);
      tip.lineTo(shift + 8, 0);
      tip.stroke();
    }
    return brush.createPattern(tile, "repeat");
  };

  const order = ["running", "other", "rate_limit", "slot_taken", "server_away"];
  const activities = (y, hatched) => {
    const colour = (activity) => (activity === "server_away" ? hatched : colours[activity]);
    const visible = data.segments.filter(([, began, ended]) => ended > from && began < until);
    if (visible.length * 4 < width) {
      for (const [activity, began, ended] of visible) {
        const scale = window.devicePixelRatio || 1;
        const left = Math.round(Math.max(x(began), 0) * scale) / scale;
        const right = Math.round(Math.min(x(ended), width) * scale) / scale;
        brush.fillStyle = colour(activity);
        brush.fillRect(left, y, Math.max(right - left, 0.5), activityHeight);
      }
      return;
    }
    // There are more than can be seen: each column shows the share of each activity in its time.
    const wide = visible.length > width ? 6 : 3;
    const shares = order.map(() => new Float32Array(Math.ceil(width / wide)));
    for (const [activity, began, ended] of visible) {
      const left = Math.max(x(began), 0) / wide, right = Math.min(x(ended), width) / wide;
      const share = shares[order.indexOf(activity)];
      for (let column = Math.floor(left); column < right; column += 1) {
        share[column] += Math.min(column + 1, right) - Math.max(column, left);
      }
    }
    for (let column = 0; column < shares[0].length; column += 1) {
      let base = y + activityHeight;
      order.forEach((activity, number) => {
        const part = shares[number][column] * activityHeight;
        brush.fillStyle = colour(activity);
        if (part > 0.2) brush.fillRect(column * wide, base - part, wide, part);
        base -= part;
      });
    }
  };

  const label = (text, y) => {
    brush.fillStyle = colours.muted;
    brush.font = "12px system-ui, sans-serif";
    brush.textAlign = "left";
    brush.clearRect(0, y - 11, brush.measureText(text).width + 4, 15); // the lines of the time axis
    brush.fillText(text, 0, y);
  };

  const ticks = (y, local) => {
    const wanted = Math.max(2, Math.floor(width / 80));
    const step = (steps.find((seconds) => (until - from) / 1000 / seconds <= wanted) || steps.at(-1)) * 1000;
    const shift = local ? (data.begin * 1000 - at(0).getTimezoneOffset() * 60000) % step : 0;
    brush.fillStyle = colours.muted;
    brush.strokeStyle = colours.edge;
    brush.lineWidth = 1;
    brush.font = "12px system-ui, sans-serif";
    let last = "";
    for (let ms = Math.ceil((from + shift) / step) * step - shift; ms <= until; ms += step) {
      const place = Math.round(x(ms)) + 0.5;
      const date = at(ms);
      let text;
      if (local) {
        text = clock(date).slice(0, step < 60000 ? 8 : 5);
        const today = day(date);
        if (last && today !== last) text = `${today.slice(5)} ${text}`;
        last = today;
      } else {
        const seconds = Math.round(ms / 1000);
        const hours = Math.floor(seconds / 3600);
        const minutes = Math.floor((seconds % 3600) / 60);
        const parts = [hours && `${hours} h`, minutes && `${minutes} min`, step < 60000 && `${seconds % 60} s`];
        text = `+${parts.filter(Boolean).join(" ") || "0"}`;
      }
      const half = brush.measureText(text).width / 2;
      brush.textAlign = "center";
      brush.fillText(text, Math.min(Math.max(place, half), width - half), y);
      if (local) {
        brush.beginPath();
        brush.moveTo(place, top);
        brush.lineTo(place, keysTop + keysHeight);
        brush.stroke();
      }
    }
  };

  const draw = () => {
    width = canvas.clientWidth;
    if (!width) return;
    const narrow = width < 600;
    keysHeight = Math.max(60, Math.min(narrow ? 220 : 320, count * 12));
    height = keysTop + keysHeight + 24;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    read();
    const hatched = hatch();
    brush.clearRect(0, 0, width, height);
    ticks(14, true);
    ticks(height - 6, false);

    let y = top + gap;
    label("What the batch did", y - 7);
    activities(y, hatched);
    y += activityHeight;

    if (windowHeight) {
      y += gap;
      const size = `${data.limit[0]} in ${long(data.limit[1] * 1000)}`;
      label(`Windows of the rate limit (${size})${narrow ? "" : ": how much of each is used"}`, y - 7);
      for (const [began, used] of data.windows) {
        const left = x(began), right = x(began + data.limit[1] * 1000);
        if (right < 0 || left > width) continue;
        const filled = (used / data.limit[0]) * windowHeight;
        const wide = Math.max(right - left - (right - left > 4 ? 1 : 0), 0.6);
        brush.fillStyle = colours.queued;
        brush.fillRect(left, y, wide, windowHeight);
        brush.fillStyle = colours.window;
        brush.fillRect(left, y + windowHeight - filled, wide, filled);
      }
    }

    // Only the keys that ran in the time that is shown. They are in the order in which they were started.
    let low = 0, high = count - 1;
    while (low < high && data.ended[low] < from) low += 1;
    while (high > low && data.started[high] > until) high -= 1;
    const shown = high - low + 1;
    const all = shown === count ? `Every ${data.one}` : `${shown.toLocaleString("en")} of ${count.toLocaleString("en")} ${data.many}`;
    const details = narrow ? "" : ": waiting in the queue, running, and how it ended";
    label(`${all}${details} (a dot: not completed)`, keysTop - 7);
    brush.globalAlpha = 0.16;
    brush.fillStyle = colours.server_away;
    for (const [activity, began, ended] of data.segments) {
      if (activity === "server_away" && x(ended) > 0 && x(began) < width) {
        brush.fillRect(x(began), keysTop, Math.max(x(ended) - x(began), 1), keysHeight);
      }
    }
    brush.globalAlpha = 1;
    const row = Math.min(keysHeight / Math.max(shown, 1), 20);
    const thick = Math.max(row - (row > 4 ? 1.5 : 0), 0.75);
    brush.fillStyle = colours.queued;
    for (let key = low; key <= high; key += 1) {
      const left = Math.max(x(data.queued[key]), 0), right = Math.min(x(data.started[key]), width);
      if (right > left) brush.fillRect(left, keysTop + (key - low) * row, right - left, thick);
    }
    for (const failures of [false, true]) {
      for (let key = low; key <= high; key += 1) {
        const state = data.states[key];
        if ((state !== "completed") !== failures) continue;
        const left = x(data.started[key]), right = x(data.ended[key]);
        if (right < -4 || left > width + 4) continue;
        const middle = keysTop + (key - low) * row + thick / 2;
        brush.fillStyle = colours[state];
        const high_ = Math.max(thick, 1.5);
        brush.fillRect(left, middle - high_ / 2, Math.max(right - left, 1.5), high_);
        if (failures) {
          brush.beginPath();
          brush.arc(right, middle, Math.max(Math.min(thick / 2 + 1, 5), 2.6), 0, 7);
          brush.fill();
        }
      }
    }
    if (row >= 13) {
      brush.font = "12px system-ui, sans-serif";
      for (let key = low; key <= high; key += 1) {
        const name = `\u2068${data.keys[key].slice(0, 40)}\u2069`;
        const right = x(data.ended[key]) + 10, wide = brush.measureText(name).width;
        const before = right + wide > width;
        brush.textAlign = before ? "right" : "left";
        brush.fillStyle = colours.text;
        brush.fillText(name, before ? Math.max(x(data.started[key]) - 8, wide) : right, keysTop + (key - low) * row + thick / 2 + 4);
      }
    }
    if (cursor !== null && cursor >= from && cursor <= until) {
      brush.fillStyle = colours.text;
      brush.fillRect(x(cursor) - 0.5, top, 1, keysTop + keysHeight - top);
    }
    if (dragged !== null) {
      brush.globalAlpha = 0.2;
      brush.fillStyle = colours.focus;
      brush.fillRect(Math.min(dragged[0], dragged[1]), top, Math.abs(dragged[1] - dragged[0]), keysTop + keysHeight - top);
      brush.globalAlpha = 1;
    }
  };

  const activityAt = (ms) => {
    let low = 0, high = data.segments.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data.segments[middle][2] <= ms) low = middle + 1;
      else high = middle;
    }
    return data.segments[low];
  };

  const readout = byId("readout");
  const tell = () => {
    if (cursor === null || !data.segments.length) {
      readout.textContent = `Shown: ${clock(at(from))} to ${clock(at(until))}, ${long(until - from)}.`;
      return;
    }
    const [activity, began, ended] = activityAt(cursor);
    let text = `${day(at(cursor))} ${clock(at(cursor))} (+${long(cursor)}): ${names[activity]}, `
      + `${clock(at(began))} to ${clock(at(ended))} (${long(ended - began)}). `;
    let over = 0, runs = [];
    for (let key = 0; key < count; key += 1) {
      if (data.ended[key] <= cursor) over += 1;
      else if (data.started[key] <= cursor) runs.push(data.keys[key]);
    }
    if (runs.length) text += `Running: \u2068${runs[0].slice(0, 60)}\u2069${runs.length > 1 ? ` and ${runs.length - 1} more` : ""}. `;
    readout.textContent = `${text}${over.toLocaleString("en")} of ${count.toLocaleString("en")} had ended.`;
  };

  let asked = false;
  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };
  const show = (left, right) => {
    const wide = Math.min(Math.max(right - left, shortest), span);
    from = Math.min(Math.max(left, 0), span - wide);
    until = from + wide;
    tell();
    redraw();
  };
  const zoom = (factor) => {
    const middle = cursor !== null && cursor >= from && cursor <= until ? cursor : (from + until) / 2;
    show(middle - (middle - from) * factor, middle + (until - middle) * factor);
  };
  const move = (share) => show(from + share * (until - from), until + share * (until - from));
  const point = (ms) => {
    cursor = Math.min(Math.max(ms, 0), span);
    const wide = until - from;
    if (cursor < from) show(cursor, cursor + wide);
    else if (cursor > until) show(cursor - wide, cursor);
    tell();
    redraw();
  };
  byId("zoom-in").onclick = () => zoom(0.5);
  byId("zoom-out").onclick = () => zoom(2);
  byId("earlier").onclick = () => move(-0.5);
  byId("later").onclick = () => move(0.5);
  byId("zoom-all").onclick = () => { cursor = null; show(0, span); };
  canvas.addEventListener("pointermove", (event) => {
    if (dragged !== null) dragged[1] = event.offsetX;
    point(back(event.offsetX));
  });
  canvas.addEventListener("pointerleave", () => { if (dragged === null) { cursor = null; tell(); redraw(); } });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return;
    dragged = [event.offsetX, event.offsetX];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => {
    if (dragged === null) return;
    const [one, two] = dragged;
    dragged = null;
    if (Math.abs(two - one) > 5) show(back(Math.min(one, two)), back(Math.max(one, two)));
    else redraw();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = (until - from) / (event.shiftKey ? 10 : 50);
    const now = cursor === null ? from : cursor;
    const actions = {
      ArrowLeft: () => point(now - step), ArrowRight: () => point(now + step), Home: () => point(0),
      End: () => point(span), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
      0: () => { cursor = null; show(0, span); },
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
  new ResizeObserver(redraw).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  tell();
  draw();

  // The table of all

  const perPage = 100;
  let first = 0, chosen = [];
  const reason = (key) => data.reasons[key] ?? (key in data.group ? data.groups[data.group[key]][1] : "");
  const option = (select, value, text) => select.add(new Option(text, value));
  const outcome = byId("outcome"), group = byId("group"), find = byId("find"), order_ = byId("order");
  const counts = new Map();
  for (const state of data.states) counts.set(state, (counts.get(state) || 0) + 1);
  option(outcome, "", `all (${count.toLocaleString("en")})`);
  if (counts.size > 1 && counts.has("completed")) {
    option(outcome, "-", `not completed (${(count - counts.get("completed")).toLocaleString("en")})`);
  }
  for (const [state, number] of counts) option(outcome, state, `${words(state)} (${number.toLocaleString("en")})`);
  option(group, "", "any");
  data.groups.forEach(([state, text], number) => option(group, String(number), `${words(state)}: ${text.slice(0, 90)}`));
  group.parentElement.hidden = !data.groups.length;

  const element = (name, content, kind) => {
    const made = document.createElement(name);
    if (content !== undefined) made.textContent = content;
    if (kind) made.className = kind;
    return made;
  };
  const rectangle = (svg, kind, began, ended, least) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const left = (began / span) * 1000;
    made.setAttribute("x", Math.min(left, 1000 - least));
    made.setAttribute("width", Math.max(((ended - began) / span) * 1000, least));
    made.setAttribute("height", "10");
    made.style.fill = `var(--${kind})`;
    svg.append(made);
  };
  const picture = (key) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 1000 10");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    rectangle(svg, "queued", data.queued[key], data.started[key], 0);
    const state = data.states[key];
    rectangle(svg, state === "completed" ? "running" : state, data.started[key], data.ended[key], 4);
    for (const [why, began, ended] of data.waits[key] || []) rectangle(svg, why, began, ended, 2);
    return svg;
  };
  const line = (key) => {
    const made = element("tr");
    const name = element("th");
    name.scope = "row";
    name.append(element("bdi", data.keys[key]));
    const why = reason(key);
    if (why) name.append(element("small", why));
    for (const [what, began, ended] of data.waits[key] || []) {
      name.append(element("small", `${long(ended - began)} ${causes[what]}`));
    }
    const state = element("td");
    state.append(element("span", words(data.states[key]), `chip ${data.states[key]}`));
    const ran = data.ended[key] - data.started[key];
    const when = element("td", undefined, "when");
    when.append(picture(key));
    made.append(name, state, element("td", ran ? clock(at(data.started[key])) : "never", "wide"),
      element("td", long(data.started[key] - data.queued[key]), "number wide"),
      element("td", ran ? long(ran) : "–", "number"), element("td", data.tries[key], "number wide"), when);
    return made;
  };
  const fill = () => {
    byId("rows").replaceChildren(...chosen.slice(first, first + perPage).map(line));
    const last = Math.min(first + perPage, chosen.length);
    byId("page").textContent = chosen.length ? `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")}` : "none";
    byId("previous").disabled = first === 0;
    byId("next").disabled = last >= chosen.length;
  };
  const by = {
    time: () => 0,
    ran: (one, two) => data.ended[two] - data.started[two] - data.ended[one] + data.started[one],
    queued: (one, two) => data.started[two] - data.queued[two] - data.started[one] + data.queued[one],
    tries: (one, two) => data.tries[two] - data.tries[one],
    key: (one, two) => data.keys[one].localeCompare(data.keys[two], "en", { numeric: true }),
  };
  const choose = () => {
    const sought = find.value.trim().toLowerCase();
    chosen = [];
    for (let key = 0; key < count; key += 1) {
      const state = data.states[key];
      if (outcome.value && (outcome.value === "-" ? state === "completed" : state !== outcome.value)) continue;
      if (group.value && String(data.group[key]) !== group.value) continue;
      if (sought && !data.keys[key].toLowerCase().includes(sought) && !reason(key).toLowerCase().includes(sought)) continue;
      chosen.push(key);
    }
    chosen.sort(by[order_.value]);
    first = 0;
    const shown = chosen.length.toLocaleString("en");
    byId("found").textContent = chosen.length === count ? `${shown} ${count === 1 ? data.one : data.many}`
      : `${shown} of ${count.toLocaleString("en")} ${data.many}`;
    fill();
  };
  for (const control of [outcome, group, order_]) control.addEventListener("change", choose);
  find.addEventListener("input", choose);
  const turn = (by_) => {
    first = Math.max(0, first + by_);
    fill();
  };
  byId("previous").onclick = () => turn(-perPage);
  byId("next").onclick = () => turn(perPage);
  for (const button of document.querySelectorAll("button[data-group]")) {
    button.onclick = () => {
      group.value = button.dataset.group;
      outcome.value = "";
      find.value = "";
      choose();
      byId("h-all").scrollIntoView({ block: "start" });
      group.focus({ preventScroll: true });
    };
  }
  choose();
})();
