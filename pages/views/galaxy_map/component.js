/* What Streamlit calls whenever a part of the page has something new to show. */

/** Tell the server something that must not get lost: events wait here until the server says it has seen them. */
function queue(group, event) {
  const channel = HUB.channels.get(`${group}/marks`);
  if (!channel) return;
  channel.number = Math.max(channel.number || 0, Date.now() * 1000) + 1;
  (channel.events ??= []).push({ ...event, number: channel.number });
  channel.tell("events", channel.events);
}

/** Tell the server something of which only the latest matters. */
function send(group, role, event) {
  HUB.channels.get(`${group}/${role}`)?.tell("events", [event]);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const message = unpack(data), { role, group } = message;
  if (role === "map") return showMap(message, parentElement);
  const name = `${group}/${role}`, channel = HUB.channels.get(name) ?? {};
  HUB.channels.set(name, channel);
  channel.tell = setTriggerValue;
  const maps = [...HUB.maps.values()].filter((map) => map.message.group === group);
  if (role === "marks") {
    channel.events = (channel.events || []).filter((event) => event.number > message.seen);
    HUB.marks.set(group, message);
    maps.forEach((map) => map.applyMarks(message));
  } else if (role === "hover" && message.row !== undefined) {
    maps.forEach((map) => takeTip(map, message));
  } else if (role === "view" && message.id) {
    maps.filter((map) => map.message.id === message.id).forEach((map) => map.takeDetail(message));
  } else if (role === "view") {
    maps.forEach((map) => map.askForDetail(0));
  }
  return () => {
    if (HUB.channels.get(name) === channel) HUB.channels.delete(name);
  };
}

function showMap(message, parent) {
  let root = parent.querySelector(".atlas-map");
  if (!root) {
    root = document.createElement("div");
    root.className = "atlas-map";
    parent.appendChild(root);
    root.map = new GalaxyMap(root);
  }
  root.map.show(message);
  return () => root.map.leave();
}
