"use strict";
(() => {
  const every = 2000, patience = 12000;
  const byId = (id) => document.getElementById(id);
  const many = (number, one, more = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : more}`;
  const words = (text) => text.replaceAll("_", " ");
  const pad = (number) => String(number).padStart(2, "0");
  const clock = (date, seconds = true) => `${pad(date.getHours())}:${pad(date.getMinutes())}${seconds ? `:${pad(date.getSeconds())}` : ""}`;
  const moment = (epoch) => {
    const date = new Date(epoch * 1000), today = new Date();
    const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} `;
    return `${date.toDateString() === today.toDateString() ? "" : day}${clock(date)}`;
  };
  const long = (seconds) => {
    const whole = Math.max(0, Math.round(seconds));
    for (const [large, small, one, two] of [[86400, 3600, "d", "h"], [3600, 60, "h", "min"], [60, 1, "min", "s"]]) {
      const rest = Math.floor((whole % large) / small);
      if (whole >= large) return `${Math.floor(whole / large)} ${one}${rest ? ` ${rest} ${two}` : ""}`;
    }
    return `${whole} s`;
  };
  const activities = {
    running: "running", rate_limit: "waiting for the rate limit", server_away: "server away",
    slot_taken: "slot taken by another client", other: "between runs, or not recorded",
  };

  // Elements. Every text from the store goes through textContent.

  const make = (name, attributes = {}, ...content) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...content.filter((part) => part !== null));
    return made;
  };
  const name = (text) => make("bdi", {}, text);
  const strip = (parts, kind, label) => {
    const whole = parts.reduce((sum, [, size]) => sum + size, 0) || 1;
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    for (const [key, value] of [["class", `shares ${kind}`], ["viewBox", "0 0 100 10"], ["preserveAspectRatio", "none"],
      ["role", "img"], ["aria-label", label]]) svg.setAttribute(key, value);
    let left = 0;
    for (const [fill, size] of parts) {
      const rectangle = document.createElementNS(space, "rect");
      const width = (100 * size) / whole;
      for (const [key, value] of [["x", left], ["width", width], ["height", 10], ["class", `fill-${fill}`]]) {
        rectangle.setAttribute(key, value);
      }
      svg.append(rectangle);
      left += width;
    }
    return svg;
  };
  const legend = (parts) => make("ul", { class: "legend small" },
    ...parts.map(([fill, text]) => make("li", {}, make("span", { class: `key fill-${fill}` }), text)));
  const table = (caption, headings, rows) => make("table", {}, make("caption", { class: "sr" }, caption),
    make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells))));
  const cell = (content, kind = "") => make("td", kind ? { class: kind } : {}, content);
  const nothing = (text) => make("p", { class: "empty" }, text);

  // Parts of the page

  const states = ["completed", "failed", "lost", "timed_out", "cancelled", "running", "queued"];
  const fills = { running: "active" };
  const batch = (entry, lanes) => {
    const total = Object.values(entry.jobs).reduce((sum, count) => sum + count, 0);
    const ended = total - entry.left;
    const counted = states.filter((state) => entry.jobs[state]);
    const parts = counted.map((state) => [fills[state] || state, entry.jobs[state]]);
    let pace = "";
    const isDriven = lanes.some((each) => each.url === entry.url && each.holder && each.name !== "outbox");
    if (entry.left && !isDriven) pace = " No process works on it.";
    else if (entry.left === total && !entry.jobs.running) pace = " None was started yet.";
    else if (entry.left) {
      pace = entry.eta === null ? " Nothing has ended in the last 15 minutes."
        : ` ${entry.per_minute.toFixed(1)} a minute; about ${long(entry.eta < 300 ? entry.eta : Math.round(entry.eta / 60) * 60)} to go, until ${moment(Date.now() / 1000 + entry.eta).slice(0, -3)}.`;
    }
    return make("article", { class: "item" }, make("h3", {}, name(entry.id)),
      make("p", { class: "big" }, make("b", {}, `${ended.toLocaleString("en")} of ${total.toLocaleString("en")}`), ` have ended.${pace}`),
      strip(parts, "", counted.map((state) => `${entry.jobs[state]} ${words(state)}`).join(", ")),
      legend(counted.map((state) => [fills[state] || state, `${entry.jobs[state].toLocaleString("en")} ${words(state)}`])),
      make("small", {}, `${words(entry.kind)}, since ${moment(entry.created_at)}, at ${entry.url}`));
  };

  const reasons = {
    server_away: "The server is away", slot_taken: "Another client has the slot", answer: "The server has not answered",
    server_error: "The server answers with errors", store: "The store could not be written",
  };
  const now = (lane) => {
    const closed = Math.max(0, ...lane.limits.map((limit) => limit.opens_in));
    if (!lane.holder && (lane.queued || lane.running.length)) {
      return "No process drives it: it goes on when a client or worker with the key opens this store.";
    }
    const reason = lane.waiting_for && reasons[lane.waiting_for.reason];
    if (reason && (lane.queued || lane.running.length)) {
      return `${reason}${lane.waiting_for.since ? `, since ${moment(lane.waiting_for.since)}` : ""}.`;
    }
    if (!lane.queued || lane.running.length) return "";
    if (closed) return `The rate limit opens in ${long(closed)}.`;
    return "Waiting for the slot, or for the server.";
  };
  const lane = (entry, at) => {
    const made = make("article", { class: "item" },
      make("h3", {}, name(words(entry.name)), " at ", name(entry.url)),
      make("small", {}, "organisation ", name(entry.organisation), ", ",
        entry.holder ? `driven by ${entry.holder}` : "driven by no process"));
    made.append(make("p", { class: "big" }, make("b", {}, many(entry.queued, "waits", "wait")), ` in the queue. ${now(entry)}`));
    if (entry.running.length) {
      made.append(make("ul", { class: "warnings" }, ...entry.running.slice(0, 10).map((job) => make("li", {}, name(job.key),
        !entry.holder ? " was under way when its process ended" : job.starting ? " is being started" : " runs",
        !entry.holder || job.since === null ? "" : ` for ${long(at - job.since)}`))));
      if (entry.running.length > 10) made.append(make("p", {}, `and ${entry.running.length - 10} more`));
    }
    for (const limit of entry.limits) {
      const pips = limit.hits > 20 ? null : make("span", { class: "pips", "aria-hidden": "true" },
        ...Array.from({ length: limit.hits }, (_, number) => make("span", number < limit.used ? { class: "used" } : {})));
      made.append(make("p", {}, pips, `Rate limit: ${limit.used} of ${limit.hits} in ${long(limit.period)} are used.`));
    }
    if (entry.hour) {
      const { begin, parts, seconds } = entry.hour;
      const whole = Object.values(seconds).reduce((sum, size) => sum + size, 0) || 1;
      const shares = Object.entries(seconds).filter(([, size]) => size >= whole / 200).sort((one, two) => two[1] - one[1]);
      const text = shares.map(([activity, size]) => [activity, `${Math.round((100 * size) / whole)} % ${activities[activity]}`]);
      made.append(make("h4", {}, "Where the last hour went"));
      made.append(strip(parts.map(([activity, from, until]) => [activity, until - from]), "hour",
        `The last hour: ${text.map(([, share]) => share).join(", ")}`));
      made.append(make("div", { class: "axis", "aria-hidden": "true" }, make("span", {}, moment(begin)), make("span", {}, moment(parts.at(-1)?.[2] ?? begin))));
      made.append(legend(text));
    }
    return made;
  };

  const failures = (list) => (list.length ? table("Latest failures", ["When", "What", "Outcome", "Why"], list.map((entry) => [
    cell(moment(entry.at), "time"), cell(name(entry.key)), cell(make("span", { class: `chip ${entry.state}` }, words(entry.state))),
    cell(make("span", { class: "reason" }, entry.reason)),
  ])) : nothing("None in this store."));

  const deliverers = (data) => data.lanes.filter((entry) => entry.name === "outbox" && entry.holder).map((entry) => entry.holder);
  const outbox = (entry, holders) => {
    const made = [];
    made.push(entry.waiting ? make("p", { class: "big" }, make("b", {}, many(entry.waiting.calls, "call waits", "calls wait")),
      ` (${(entry.waiting.bytes / 1e6).toFixed(1)} MB), the oldest for ${long(entry.waiting.oldest)}.`) : nothing("Nothing waits."));
    if (entry.waiting) made.push(make("p", {}, holders.length ? `Delivered by ${holders.join(", ")}.` : "No process delivers it: a client with the key, or a worker, does."));
    if (entry.set_aside) {
      made.push(make("p", {}, `${many(entry.set_aside.calls, "call")} set aside, as the server refused ${entry.set_aside.calls === 1 ? "it" : "them"}. `
        + "reflexio-async outbox retry tries again."));
      made.push(make("div", { class: "scroll" }, table("Refused calls", ["Accepted", "Call", "Session", "Why"], entry.refused.map((call) => [
        cell(moment(call.at), "time"), cell(call.call), cell(name(call.session)), cell(make("span", { class: "reason" }, call.reason)),
      ]))));
    }
    return made;
  };

  const warnings = (data) => {
    const found = [];
    for (const entry of data.lanes) {
      if (entry.queued && !entry.holder) found.push(`${many(entry.queued, "job waits", "jobs wait")} for ${words(entry.name)} at ${entry.url}, and no process drives that lane.`);
    }
    for (const entry of data.lanes) {
      const waits = entry.waiting_for;
      if (waits && ["server_away", "server_error"].includes(waits.reason)) {
        found.push(`${reasons[waits.reason]}: ${entry.url}${waits.since ? `, since ${moment(waits.since)}` : ""}.`);
      }
    }
    for (const entry of data.batches) {
      if (entry.left && entry.eta === null && entry.jobs.running !== entry.left && data.at - entry.created_at > 900) found.push(`Nothing of the batch ${entry.id} has ended in the last 15 minutes.`);
    }
    for (const account of data.accounts) {
      found.push(`${many(account.jobs + account.calls, "entry waits", "entries wait")} for ${account.url} until a client with the key is opened with this store.`);
    }
    if (data.outbox.set_aside) found.push(`${many(data.outbox.set_aside.calls, "call")} in the outbox ${data.outbox.set_aside.calls === 1 ? "was" : "were"} refused by the server.`);
    return found;
  };

  // What has not changed is left as it is, so that a screen reader and a selection keep their place.
  const shown = new Map();
  const put = (id, value, build) => {
    const text = JSON.stringify(value);
    if (shown.get(id) === text) return;
    shown.set(id, text);
    byId(id).replaceChildren(...build());
  };
  const show = (data) => {
    const found = warnings(data);
    byId("attention").hidden = !found.length;
    put("warnings", found, () => found.map((text) => make("li", {}, text)));
    put("batches", [data.batches, data.lanes.map((entry) => entry.holder), Math.floor(data.at / 20)],
      () => (data.batches.length ? data.batches.map((entry) => batch(entry, data.lanes)) : [nothing("None in this store.")]));
    const slots = data.lanes.filter((entry) => entry.name !== "outbox" && (entry.queued || entry.running.length || entry.hour || entry.holder));
    const moves = slots.some((entry) => entry.running.length || entry.queued);
    put("lanes", [slots, moves ? data.at : 0], () => (slots.length ? slots.map((entry) => lane(entry, data.at)) : [nothing("Nothing has run in the last hour, and nothing waits.")]));
    put("failures", data.failures, () => [failures(data.failures)]);
    put("outbox", [data.outbox.waiting?.calls, data.outbox.set_aside?.calls, data.outbox.waiting ? Math.floor(data.at / 10) : 0, deliverers(data)],
      () => outbox(data.outbox, deliverers(data)));
    byId("size").textContent = `${(data.bytes / 1e6).toFixed(1)} MB`;
    const open = data.batches.find((entry) => entry.left);
    const total = open ? Object.values(open.jobs).reduce((sum, count) => sum + count, 0) : 0;
    document.title = `${open ? `${Math.floor((100 * (total - open.left)) / total)} %, ` : ""}${byId("title").textContent}`;
  };

  // Reading

  let readAt = null, problem = null;
  const tell = () => {
    const stale = problem !== null;
    const age = readAt === null ? "" : ` since ${clock(new Date(readAt))} (${long((Date.now() - readAt) / 1000)})`;
    document.body.classList.toggle("stale", stale);
    byId("freshness").className = stale ? "old" : "fresh";
    byId("freshness").textContent = stale ? `no new data${age}` : `live, read at ${clock(new Date(readAt))}`;
    const status = byId("status");
    const text = stale ? `What you see is old: ${problem}` : "";
    if (status.textContent !== text) status.textContent = text;
    status.hidden = !stale;
  };
  const read = async () => {
    try {
      const response = await fetch("data", { signal: AbortSignal.timeout(patience), cache: "no-store" });
      const data = await response.json();
      if (!response.ok) throw new Error(data.error);
      show(data);
      readAt = Date.now();
      problem = null;
    } catch (error) {
      problem = error instanceof TypeError || error.name === "TimeoutError" || error instanceof SyntaxError
        ? "the command reflexio-async dashboard does not answer. Is it still running?" : error.message;
    }
    tell();
  };
  const loop = async () => {
    if (!document.hidden) await read();
    setTimeout(loop, every);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) read(); });
  byId("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  loop();
})();
