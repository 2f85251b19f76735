/* What Streamlit calls whenever a part of the page has something new to show. */

/** Tell the server something that must not get lost: events wait here until the server says it has seen them, also
    those from before the page was whole. */
function queue(group, event) {
  const name = `${group}/marks`, channel = HUB.channels.get(name) ?? {};
  HUB.channels.set(name, channel);
  channel.number = Math.max(channel.number || 0, Date.now() * 1000) + 1;
  (channel.events ??= []).push({ ...event, number: channel.number });
  channel.tell?.("events", channel.events);
}

/** Tell the server something of which only the latest matters. */
function send(group, role, event) {
  HUB.channels.get(`${group}/${role}`)?.tell?.("events", [event]);
}

/** Ask the server for what is on the screen of a map. Of each map only the latest question matters, and it is asked again
    with those of the others until it is answered, for they may ask at once. */
function askForView(map, question) {
  const channel = HUB.channels.get(`${map.message.group}/view`);
  if (!channel?.tell) return;
  channel.asked ??= new Map();
  for (const id of channel.asked.keys()) if (!HUB.maps.has(id)) channel.asked.delete(id);
  channel.asked.set(map.message.id, { ...question, number: (HUB.asked = (HUB.asked || 0) + 1) });
  channel.tell("events", [...channel.asked.values()]);
}

const addressNow = () => location.search;

/** Show in the address what a map shows, without a step for the browser's button back. Returns what is new there, for the
    server to know it when it writes the address next; nothing where that cannot be told yet, or nothing is new. */
function keepInAddress(map) {
  const { id, group, mark, marks, colours } = map.message, names = IN_ADDRESS[id];
  if (map.goesBack || !names || !HUB.channels.get(`${group}/view`)?.tell) return undefined;
  const place = map.placeShown(), hidden = [...map.hidden].map((code) => marks[code - colours.length + marks.length]);
  const now = { [names[0]]: place && `${place}_${mark}`, [names[1]]: hidden.sort().join("-") };
  const parts = location.search.slice(1).split("&").filter(Boolean);
  const before = parts.join("&");
  for (const [name, value] of Object.entries(now)) {
    const at = parts.findIndex((part) => part.startsWith(`${name}=`));
    parts.splice(at < 0 ? parts.length : at, at < 0 ? 0 : 1, ...(value ? [`${name}=${value}`] : []));
  }
  if (parts.join("&") === before) return undefined;
  history.replaceState(history.state, "", `${location.pathname}${parts.length ? "?" : ""}${parts.join("&")}${location.hash}`);
  return now;
}

/** After the browser's button back: what the address says now. That may be of another map, which the server takes its time
    to send: until it is here, or somebody moves this one, nothing of this one is written there. */
HUB.goBack ??= addEventListener("popstate", () => {
  for (const map of HUB.maps.values()) {
    if (!IN_ADDRESS[map.message.id]) continue;
    map.hidden = hiddenInAddress(map.message);
    drawLegend(map);
    map.takePlace(placeInAddress(map));
    map.goesBack = true;
  }
}) ?? true;

export default function ({ data, parentElement, setTriggerValue }) {
  const message = unpack(data), { role, group } = message;
  if (role === "map") return showMap(message, parentElement);
  const name = `${group}/${role}`, channel = HUB.channels.get(name) ?? {};
  const waited = !channel.tell;
  HUB.channels.set(name, channel);
  channel.tell = setTriggerValue;
  const maps = [...HUB.maps.values()].filter((map) => map.message.group === group);
  if (role === "marks") {
    channel.events = (channel.events || []).filter((event) => event.number > message.seen);
    HUB.marks.set(group, message);
    maps.forEach((map) => { map.applyMarks(message); askForTip(map); });
    if (waited && channel.events.length) channel.tell("events", channel.events);
  } else if (role === "hover") {
    if (message.row !== undefined) maps.forEach((map) => takeTip(map, message));
    const map = waited && maps.find((one) => one.hoverRow !== null && !one.tips?.has(one.hoverRow));
    if (map) send(group, "hover", { row: map.hoverRow, map: map.message.id });
  } else if (role === "view") {
    const views = Object.keys(message.arrays).map((view) => unpack(message[view]));
    for (const view of views) {
      if (channel.asked?.get(view.id)?.number === view.number) channel.asked.delete(view.id);
      maps.filter((map) => map.message.id === view.id).forEach((map) => takeDetail(map, view));
    }
    if (!views.length) maps.forEach((map) => askForDetail(map, 0));
  }
  // Streamlit may clean up after a call only once the next one is made: what belongs to that stays, and so do the events.
  return () => { if (channel.tell === setTriggerValue) channel.tell = undefined; };
}

function showMap(message, parent) {
  let root = parent.querySelector(".atlas-map");
  if (!root) {
    root = document.createElement("div");
    root.className = "atlas-map";
    parent.appendChild(root);
    root.map = new GalaxyMap(root);
  }
  const owner = (root.map.owner = {}); // of the map now: see above
  root.map.show(message);
  return () => { if (root.map.owner === owner) root.map.leave(); };
}
