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
    maps.forEach((map) => map.applyMarks(message));
    if (waited && channel.events.length) channel.tell("events", channel.events);
  } else if (role === "hover") {
    if (message.row !== undefined) maps.forEach((map) => takeTip(map, message));
    const map = waited && maps.find((one) => one.hoverRow !== null && !one.tips?.has(one.hoverRow));
    if (map) send(group, "hover", { row: map.hoverRow, map: map.message.id });
  } else if (role === "view" && message.id) {
    maps.filter((map) => map.message.id === message.id).forEach((map) => map.takeDetail(message));
  } else if (role === "view") {
    maps.forEach((map) => map.askForDetail(0));
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
